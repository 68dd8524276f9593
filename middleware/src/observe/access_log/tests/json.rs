//! Lines of JSON.

use serde_json::{Value, json};

use super::*;

fn read(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn a_line_has_all_members() {
    let ticks = AtomicU64::new(0);
    let next = move || {
        Duration::from_micros(7) * u32::try_from(ticks.fetch_add(1, Ordering::Relaxed)).unwrap()
    };
    let sent = request(
        "GET",
        "/a\"?b=c",
        &[("user-agent", "a\u{85}b\\é".as_bytes())],
    );
    let line = line_of(AccessLog::json().timer(next), &foobar(), sent);
    assert_eq!(
        line,
        concat!(
            r#"{"time":"1994-11-06T08:49:37.000Z","client":"192.0.2.7","user":null,"method":"GET","#,
            r#""host":"example.com","target":"/a\"?b=c","protocol":"HTTP/1.1","status":200,"#,
            r#""outcome":"complete","bytes":6,"first_byte_us":7,"total_us":14,"referer":null,"#,
            r#""user_agent":"a\u0085b\\é","id":null}"#
        )
    );
    assert_eq!(read(&line)["user_agent"], "a\u{85}b\\é");
}

#[test]
fn members_are_values_or_texts() {
    let cases = [
        (vec![], json!({})),
        (vec![("a", "")], json!({"a": ""})),
        (vec![("a", "\"\\ \t%%")], json!({"a": "\"\\ \t%"})),
        (vec![("a\"b\n", "%s")], json!({"a\"b\n": 200})),
        (vec![("a", "%s ")], json!({"a": "200 "})),
        (
            vec![("a", "%q"), ("b", "%q%q")],
            json!({"a": null, "b": ""}),
        ),
        (
            vec![("a", "%u"), ("b", "-%u")],
            json!({"a": null, "b": "--"}),
        ),
        (
            vec![("a", "%b"), ("b", "%B"), ("c", "%p")],
            json!({"a": 6, "b": 6, "c": 8080}),
        ),
        (
            vec![("a", "%X"), ("b", "%l"), ("c", "%%")],
            json!({"a": "+", "b": "-", "c": "%"}),
        ),
        (
            vec![("a", "%{sec}t"), ("b", "%{msec_frac}t")],
            json!({"a": "784111777", "b": "000"}),
        ),
        (vec![("a", "%{\"%Y\"}t")], json!({"a": "\"1994\""})),
        (
            vec![("a", "%r"), ("b", "%h")],
            json!({"a": "GET /x HTTP/1.1", "b": "192.0.2.7"}),
        ),
    ];
    for (members, expected) in cases {
        let log = AccessLog::json_of(members).unwrap();
        let line = line_of(log, &foobar(), request("GET", "/x", &[]));
        assert_eq!(read(&line), expected, "{line}");
    }
}

#[test]
fn a_mistake_in_a_member_has_its_name_and_its_place() {
    for (members, expected) in [
        (
            [("a", "%h"), ("b", "x%Z")],
            "log member \"b\", at byte 1: \"%Z\" is not a directive",
        ),
        ([("a", "%h"), ("a", "%h")], "log member \"a\" is repeated"),
    ] {
        let error = AccessLog::json_of(members).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::LogFormat, expected.to_owned())
        );
    }
}

#[test]
fn a_request_without_a_response_has_the_status_of_a_client_that_left() {
    let memory = Memory::default();
    let log = AccessLog::json().writer(memory.clone());
    let app = Application::new(|_: Request| std::future::pending::<()>()).wrap(fixed(log));
    drop(app.call(Request::get("/")));
    drop(app);
    let line = read(&memory.lines()[0]);
    for (name, expected) in [
        ("status", json!(499)),
        ("first_byte_us", Value::Null),
        ("client", Value::Null),
        ("outcome", json!("gone")),
        ("bytes", json!(0)),
    ] {
        assert_eq!(line[name], expected, "{name}");
    }
}
