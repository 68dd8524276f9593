use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use enfilade_core::{Body, Outcome};
use enfilade_testing::{Client, Lint};
use http::HeaderValue;

use enfilade_core::IntoResponse;

use super::*;

type Make = fn() -> Response;

fn respond(status: u16, headers: &[(&'static str, &'static str)], body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response
            .headers_mut()
            .append(*name, HeaderValue::from_static(value));
    }
    response
}

fn passing(status: u16, body: &'static str) -> Response {
    let mut response = respond(status, &[("x-inner", "1")], Body::from(body));
    response.extensions_mut().insert(Pass);
    response
}

/// The wrapper with a checker of the contract on each of its sides.
fn linted(app: Application, fallback: Application) -> Client {
    let fallback = NotFound::new(fallback.wrap(Lint::new()));
    Client::new(app.wrap(Lint::new()).wrap(fallback).wrap(Lint::new()))
}

/// An application whose replies are ready, and one whose replies are pending.
fn both(make: Make) -> [Application; 2] {
    [
        Application::new(move |_: Request| make()),
        Application::new(move |_: Request| async move { make() }),
    ]
}

#[test]
fn the_fallback_responds_if_there_is_no_response() {
    let stays = None;
    let falls = Some(200);
    let cases: [(Make, Option<u16>); 18] = [
        (|| respond(404, &[], Body::empty()), falls),
        (
            || respond(404, &[("content-length", "0")], Body::empty()),
            falls,
        ),
        (|| respond(404, &[("x-inner", "1")], Body::from("")), falls),
        (|| passing(404, ""), falls),
        (|| passing(200, "text"), falls),
        (|| passing(500, ""), falls),
        (Pass::response, falls),
        (
            || HttpError::new(StatusCode::NOT_FOUND).into_response(),
            falls,
        ),
        (
            || {
                Request::get("/")
                    .param::<u8>("id")
                    .unwrap_err()
                    .with_status(StatusCode::NOT_FOUND)
                    .into_response()
            },
            falls,
        ),
        (
            || {
                HttpError::new(StatusCode::NOT_FOUND)
                    .message("own")
                    .into_response()
            },
            stays,
        ),
        (|| HttpError::new(StatusCode::GONE).into_response(), stays),
        (|| respond(404, &[], Body::from("own page")), stays),
        (
            || respond(404, &[], Body::from_iterator(["own ", "page"])),
            stays,
        ),
        (|| respond(404, &[], Body::from_iterator([""; 0])), stays),
        (|| respond(200, &[], Body::empty()), stays),
        (|| respond(405, &[("allow", "GET")], Body::empty()), stays),
        (|| respond(410, &[], Body::empty()), stays),
        (
            || respond(401, &[("www-authenticate", "Basic blah")], Body::empty()),
            stays,
        ),
    ];
    for (at, (make, expected)) in cases.into_iter().enumerate() {
        for app in both(make) {
            let client = linted(app, Application::new(|_: Request| "fallback"));
            let response = client.without_gateway().get("/").send();
            let own = make();
            let status = expected.unwrap_or(own.status().as_u16());
            assert_eq!(response.status(), status, "case {at}");
            if expected.is_none() {
                assert_eq!(response.headers(), own.headers(), "case {at}");
            } else {
                assert_eq!(response.header("x-inner"), None, "case {at}");
                assert_eq!(response.text(), "fallback", "case {at}");
            }
        }
    }
}

#[test]
fn a_response_to_head_counts_like_the_one_to_get() {
    let cases: [(Make, u16); 5] = [
        (|| respond(404, &[], Body::empty()), 200),
        (
            || respond(404, &[("content-length", "0")], Body::empty()),
            200,
        ),
        (
            || respond(404, &[("content-length", "12")], Body::empty()),
            404,
        ),
        (
            || respond(404, &[("content-encoding", "gzip")], Body::empty()),
            404,
        ),
        (|| respond(404, &[], Body::from("own page")), 404),
    ];
    for (make, status) in cases {
        for app in both(make) {
            let client = linted(app, Application::new(|_: Request| "fallback"));
            let response = client.head("/").send();
            assert_eq!(
                (response.status().as_u16(), response.text()),
                (status, "".into())
            );
        }
    }
}

#[test]
fn the_first_content_is_dropped_before_the_fallback_is_called() {
    struct Source(Arc<AtomicBool>);
    impl Drop for Source {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    impl Iterator for Source {
        type Item = &'static str;
        fn next(&mut self) -> Option<&'static str> {
            Some("more")
        }
    }
    let (closed, ends) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let (source, seen, end) = (closed.clone(), closed.clone(), ends.clone());
    let app = Application::new(move |_: Request| {
        let end = end.clone();
        let body = Body::from_iterator(Source(source.clone()))
            .on_end(move |ended| end.lock().unwrap().push(ended.outcome()));
        let mut response = Pass::response();
        *response.body_mut() = body;
        response
    });
    let fallback = Application::new(move |_: Request| seen.load(Ordering::SeqCst).to_string());
    // No checker inside: a body that is passed on in another one reports that it was dropped.
    let app = app.wrap(NotFound::new(fallback)).wrap(Lint::new());
    let response = Client::new(app).get("/").send();
    assert_eq!(response.text(), "true");
    assert_eq!(*ends.lock().unwrap(), [Outcome::Complete]);
}

#[test]
fn the_fallback_sees_the_request_as_it_came() {
    let greedy = Application::new(|mut request: Request| async move {
        request.mount("/b").unwrap();
        request.headers_mut().clear();
        request.extensions_mut().clear();
        let content = request.take_body().collect(100).await.unwrap();
        assert_eq!(content, "content");
        StatusCode::NOT_FOUND
    });
    let echo = Application::new(|request: Request| {
        format!(
            "{} {} {} {} {:?} {:?} {:?}",
            request.method(),
            request.script_name(),
            request.path(),
            request.connection().peer().unwrap(),
            request.extensions().get::<u8>(),
            request.headers(),
            request.body(),
        )
    });
    let mut request = Request::new(Method::PUT, "/a/b/c?d".parse().unwrap());
    request.mount("/a").unwrap();
    let response = linted(greedy, echo)
        .prepared(request)
        .peer("192.0.2.7:4711".parse().unwrap())
        .extension(7_u8)
        .header("content-length", "7")
        .body("content")
        .send();
    assert_eq!(
        response.text(),
        "PUT /a /b/c 192.0.2.7:4711 Some(7) {\"host\": \"localhost\"} Body(empty)"
    );
}

#[test]
fn fallbacks_are_asked_in_turn() {
    let app = Application::new(|_: Request| StatusCode::NOT_FOUND)
        .wrap(NotFound::new(Application::new(|_: Request| Pass)))
        .wrap(NotFound::new(Application::new(|_: Request| "third")));
    let response = pollster::block_on(app.call(Request::get("/")));
    assert_eq!(response.body().as_bytes().unwrap(), "third");
}

#[test]
fn a_reply_that_is_ready_stays_ready() {
    let [app, _] = both(|| StatusCode::NOT_FOUND.into_response());
    let app = app.wrap(NotFound::new(Application::new(|_: Request| "page")));
    assert!(app.call(Request::get("/")).is_ready());
}

#[test]
fn is_described_with_both_applications() {
    fn first(_: Request) -> Pass {
        Pass
    }
    fn second(_: Request) -> Pass {
        Pass
    }
    let app = Application::new(first).wrap(NotFound::new(Application::new(second)));
    assert_eq!(
        app.describe().to_string(),
        "NotFound\n├─ first\n└─ otherwise: second\n"
    );
}

#[test]
fn keeps_the_laws() {
    let page = Application::new(|_: Request| (StatusCode::NOT_FOUND, "Nothing here"));
    let misses = |response: &enfilade_testing::laws::GeneratedResponse<'_>| {
        let coded = response.headers().contains_key(CONTENT_ENCODING);
        response.status() == StatusCode::NOT_FOUND && !response.has_content() && !coded
    };
    enfilade_testing::laws::Check::new(NotFound::new(page))
        .replaces(misses)
        .run();
}
