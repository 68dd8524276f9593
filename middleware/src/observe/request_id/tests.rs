use std::panic::catch_unwind;
use std::task::Poll;

use enfilade_core::{Body, HttpError, RemoteUser};
use enfilade_testing::{Client, Lint, TestResponse, laws};

use super::*;
use crate::error::ErrorKind;

const GOOD: &str = "existingidthatislongenough";

/// An application that shows what it sees, and sets a header of its own.
fn echo() -> Application {
    Application::new(|request: Request| {
        let lines = request.headers().get_all(X_REQUEST_ID).into_iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
        let id = request.extensions().get::<RequestIdValue>().unwrap();
        let text = format!("{} {id}", lines.join(" "));
        ([("x-request-id", "its own")], text)
    })
}

fn ask(wrapper: RequestId, lines: &[&str]) -> TestResponse {
    let app = echo().wrap(Lint::new()).wrap(wrapper).wrap(Lint::new());
    let client = Client::new(app);
    let request = lines.iter().fold(client.get("/"), |request, line| {
        request.header("x-request-id", *line)
    });
    request.send()
}

fn id_of(response: &TestResponse) -> &str {
    response.header("x-request-id").unwrap()
}

#[test]
fn an_id_that_is_fit_is_kept_and_any_other_replaced() {
    let long = "a".repeat(200);
    let longer = "a".repeat(201);
    let cases: [(&[&str], bool); 14] = [
        (&[GOOD], true),
        (&["01J9ZK3V7Q8W2N4M6P0R"], true),
        (&["019a3f6e-7c1b-7def-8123-456789abcdef"], true),
        (
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
            true,
        ),
        (&["aGVsbG8gd29ybGQ+Lw=="], true),
        (&[&long], true),
        (&[&longer], false),
        (&[], false),
        (&[""], false),
        (&["foo"], false),
        (&["existing id that is long enough"], false),
        (&["<script>alert(1)</script>"], false),
        (&["existing\"id\\that'is$long"], false),
        (&[GOOD, GOOD], false),
    ];
    for (lines, is_kept) in cases {
        let response = ask(RequestId::new(), lines);
        let id = id_of(&response);
        assert_eq!(lines.contains(&id), is_kept, "{lines:?}");
        assert_eq!(response.text(), format!("{id} {id}"));
        let value = response.extensions().get::<RequestIdValue>().unwrap();
        assert_eq!(value.as_str(), id);
        assert!(is_kept || is_uuid_v7(id), "{id}");
        let ignored = ask(RequestId::new().ignore_inbound(), lines);
        assert!(!lines.contains(&id_of(&ignored)));
    }
}

fn is_uuid_v7(id: &str) -> bool {
    id.len() == 36
        && id.char_indices().all(|(at, found)| match at {
            8 | 13 | 18 | 23 => found == '-',
            14 => found == '7',
            19 => "89ab".contains(found),
            _ => matches!(found, '0'..='9' | 'a'..='f'),
        })
}

#[test]
fn a_uuid_has_the_layout_of_version_7() {
    // The time of the example in RFC 9562, appendix A.6, and its random bits.
    let time = Duration::from_millis(1_645_557_742_000);
    let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
    let example = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    for (time, random, expected) in [
        (time, random, example),
        (
            Duration::ZERO,
            [0; 10],
            "00000000-0000-7000-8000-000000000000",
        ),
        (
            Duration::from_millis((1 << 48) - 1),
            [0xff; 10],
            "ffffffff-ffff-7fff-bfff-ffffffffffff",
        ),
    ] {
        assert_eq!(uuid_v7(time, random), expected);
        assert!(is_uuid_v7(expected));
    }
}

#[test]
fn uuids_are_in_the_order_of_time_and_differ_within_a_millisecond() {
    let at = |milliseconds, random| uuid_v7(Duration::from_millis(milliseconds), random);
    assert!(at(1, [0xff; 10]) < at(2, [0; 10]));
    let (first, second) = (new_uuid(), new_uuid());
    assert!(is_uuid_v7(&first) && is_uuid_v7(&second));
    assert_ne!(first.split_at(15).1, second.split_at(15).1);
}

#[test]
fn a_generator_s_id_is_taken_where_it_is_one() {
    let long = "a".repeat(201);
    for (id, is_taken) in [
        ("custom-id", true),
        ("bad\r\nvalue", false),
        ("a b", false),
        ("é", false),
        ("", false),
        (long.as_str(), false),
    ] {
        let given = id.to_owned();
        let response = ask(RequestId::new().generator(move || given.clone()), &[]);
        assert_eq!(id_of(&response) == id, is_taken, "{id:?}");
        assert!(is_taken || is_uuid_v7(id_of(&response)));
    }
}

#[test]
fn the_header_can_be_another() {
    let wrapper = || RequestId::new().header("Custom-Id").unwrap();
    let app = Application::new(|_: Request| "x").wrap(wrapper());
    let client = Client::new(app);
    let response = client.get("/").header("custom-id", GOOD).send();
    assert_eq!(response.header("custom-id"), Some(GOOD));
    assert_eq!(response.header("x-request-id"), None);
    assert_eq!(id_of(&ask(wrapper(), &[])), "its own");
    for name in ["a b", "", "Connection", "content-length"] {
        let error = RequestId::new().header(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HeaderName);
    }
}

#[test]
fn an_id_from_further_out_is_kept() {
    let app = echo().wrap(RequestId::new().ignore_inbound());
    let response = Client::new(app.wrap(RequestId::new()))
        .get("/")
        .header("x-request-id", GOOD)
        .send();
    assert_eq!(response.text(), format!("{GOOD} {GOOD}"));
    assert_eq!(RequestIdValue::new("a b"), None);
    let mut request = Request::get("/");
    let value = RequestIdValue::new("short").unwrap();
    request.extensions_mut().insert(value);
    let app = Client::new(echo().wrap(RequestId::new()));
    assert_eq!(app.prepared(request).send().text(), "short short");
}

#[test]
fn the_gateway_knows_which_request_panicked() {
    let panics = Application::new(|request: Request| match request.path() {
        "/call" => panic!("in the call"),
        "/future" => Reply::from_future(poll_fn(|_| -> Poll<Response> { panic!("in the future") })),
        "/body" => Reply::new(Body::from_iterator((0..2).map(|number| match number {
            0 => "begun",
            _ => panic!("in the body"),
        }))),
        _ => match catch_unwind(|| -> Reply { panic!("and caught") }) {
            Ok(reply) => reply,
            Err(_) => Reply::new("caught"),
        },
    });
    let app = panics.wrap(Lint::new()).wrap(RequestId::new());
    let client = Client::new(app.wrap(Lint::new()));
    let failed = "Internal Server Error";
    for (path, status, text, cause) in [
        ("/call", 500, failed, Some("in the call")),
        ("/future", 500, failed, Some("in the future")),
        ("/body", 200, "begun", None),
        ("/caught", 200, "caught", None),
    ] {
        let response = client.get(path).header("x-request-id", GOOD).send();
        assert_eq!(
            (response.status().as_u16(), &*response.text()),
            (status, text),
            "{path}"
        );
        let error = response.extensions().get::<Arc<HttpError>>();
        let found = error.map(|error| error.source().unwrap().to_string());
        let cause = cause.map(|cause| format!("request {GOOD} panicked: {cause}"));
        assert_eq!(found, cause, "{path}");
        let id = response.extensions().get::<RequestIdValue>().unwrap();
        assert_eq!(id.as_str(), GOOD, "{path}");
    }
}

#[test]
fn other_extensions_pass() {
    let app = Application::new(|request: Request| {
        let user = request.extensions().get::<RemoteUser>().unwrap();
        user.name().to_owned()
    });
    let mut request = Request::get("/");
    request.extensions_mut().insert(RemoteUser::new("ada"));
    let client = Client::new(app.wrap(RequestId::new()));
    assert_eq!(client.prepared(request).send().text(), "ada");
}

#[test]
fn is_described_with_its_header() {
    fn inner(_: Request) -> &'static str {
        "x"
    }
    let app = Application::new(inner).wrap(RequestId::new().ignore_inbound());
    assert_eq!(
        app.describe().to_string(),
        "RequestId (header: x-request-id, inbound: ignored)\n└─ inner\n"
    );
}

#[test]
fn keeps_the_laws() {
    let wrapper = RequestId::new().generator(|| "one".to_owned());
    laws::Check::new(wrapper).touches([X_REQUEST_ID]).run();
}
