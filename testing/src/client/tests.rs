use enfilade_core::Reply;
use http::StatusCode;

use super::*;

fn echo() -> Client {
    Client::new(Application::new(|request: Request| {
        let headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        let (method, uri) = (request.method(), request.uri());
        format!("{method} {uri} {:?} {headers:?}", request.version())
    }))
}

#[test]
fn a_request_arrives_as_it_was_put_together() {
    let client = echo();
    let cases = [
        (
            client.get("/a?b=c"),
            r#"GET /a?b=c HTTP/1.1 ["host: localhost"]"#,
        ),
        (
            client.options("/"),
            r#"OPTIONS / HTTP/1.1 ["host: localhost"]"#,
        ),
        (
            client.get("http://h:8/a"),
            r#"GET http://h:8/a HTTP/1.1 ["host: h:8"]"#,
        ),
        (
            client.delete("/").header("HOST", "x"),
            r#"DELETE / HTTP/1.1 ["host: x"]"#,
        ),
        (
            client
                .post("/")
                .without_host()
                .version(Version::HTTP_10)
                .header("a", "1")
                .header("a", "2"),
            r#"POST / HTTP/1.0 ["a: 1", "a: 2"]"#,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(request.send().text(), expected);
    }
}

#[test]
fn a_gateway_is_between_unless_a_test_asks_for_none() {
    let app = Application::new(|_: Request| (StatusCode::NO_CONTENT, "x"));
    let client = Client::new(app);
    assert_eq!(client.get("/").send().text(), "");
    assert_eq!(client.without_gateway().get("/").send().text(), "x");
    assert_eq!(echo().get("/").without_host().send().status(), 400);
}

#[test]
fn connection_and_extensions_reach_the_application() {
    let app = Application::new(|request: Request| -> Reply {
        let peer = request.connection().peer().unwrap().port();
        let number = request.extensions().get::<u32>().copied().unwrap();
        Reply::new(format!("{peer} {number}"))
    });
    let request = Client::new(app).get("/").extension(7_u32);
    let response = request.peer("127.0.0.1:80".parse().unwrap()).send();
    assert_eq!(response.text(), "80 7");
}

#[test]
fn mistakes_of_the_test_are_reported() {
    fn panic_of(make: impl FnOnce() -> RequestBuilder + std::panic::UnwindSafe) -> String {
        let panic = std::panic::catch_unwind(|| drop(make())).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    }
    let name = panic_of(|| echo().get("/").header("a b", "1"));
    assert_eq!(name, "\"a b\" is not a header name");
    let value = panic_of(|| echo().get("/").header("a", "1\n2"));
    assert_eq!(value, r#""1\n2" is not a value for the header a"#);
    let target = panic_of(|| echo().get("a b"));
    assert!(
        target.starts_with("\"a b\" is not a request target: "),
        "{target}"
    );
}

#[test]
fn what_is_spawned_runs_after_the_response() {
    let (sender, done) = std::sync::mpsc::channel();
    let app = Application::new(move |request: Request| {
        let (sender, connection) = (sender.clone(), request.connection().clone());
        let spawned = request.connection().spawn(async move {
            let more = connection.spawn(async move { sender.send("more").unwrap() });
            assert!(more.is_ok());
        });
        spawned.map_or("nothing runs it", |()| "Hello")
    });
    assert_eq!(Client::new(app).get("/").send().text(), "Hello");
    assert_eq!(done.try_recv(), Ok("more"));
}
