use http::header::HOST;

use super::*;
use crate::message::body::Body;
use crate::message::request_id::RequestIdValue;

fn headers_after(
    method: Method,
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: Body,
) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response
            .headers_mut()
            .append(*name, HeaderValue::from_static(value));
    }
    finish(&method, response)
}

#[test]
fn lengths_and_bodies_are_what_http_says() {
    let get = || Method::GET;
    let stream = || Body::from_iterator(["ab", "cd"]);
    let wrong = [("content-length", "12")];
    let cases = [
        (
            get(),
            200,
            &[][..],
            Body::from("abcd"),
            Some("4"),
            Some("abcd"),
        ),
        (
            get(),
            200,
            &wrong,
            Body::from("abcd"),
            Some("4"),
            Some("abcd"),
        ),
        (get(), 200, &[], Body::empty(), Some("0"), Some("")),
        (get(), 200, &[], stream(), None, None),
        (
            get(),
            200,
            &[("content-length", "4")],
            stream(),
            Some("4"),
            None,
        ),
        (get(), 204, &wrong, Body::from("abcd"), None, Some("")),
        (get(), 101, &wrong, Body::from("abcd"), None, Some("")),
        (get(), 205, &wrong, Body::from("abcd"), Some("0"), Some("")),
        (get(), 304, &wrong, Body::from("abcd"), Some("12"), Some("")),
        (get(), 304, &[], Body::empty(), None, Some("")),
        (
            Method::HEAD,
            200,
            &[],
            Body::from("abcd"),
            Some("4"),
            Some(""),
        ),
        (
            Method::HEAD,
            200,
            &wrong,
            Body::empty(),
            Some("12"),
            Some(""),
        ),
        (Method::HEAD, 200, &[], Body::empty(), None, Some("")),
        (Method::HEAD, 404, &[], Body::empty(), None, Some("")),
        (
            Method::HEAD,
            200,
            &[("content-length", "0")],
            Body::empty(),
            Some("0"),
            Some(""),
        ),
        (Method::HEAD, 200, &[], stream(), None, Some("")),
        (
            Method::HEAD,
            404,
            &[],
            Body::from("nope"),
            Some("4"),
            Some(""),
        ),
    ];
    for (method, status, headers, body, length, content) in cases {
        let case = format!("{method} {status} {body:?}");
        let response = headers_after(method, status, headers, body);
        let found = response
            .headers()
            .get(CONTENT_LENGTH)
            .map(|value| value.to_str().unwrap());
        assert_eq!(found, length, "{case}");
        assert_eq!(
            response.body().as_bytes().map(|bytes| &bytes[..]),
            content.map(str::as_bytes),
            "{case}"
        );
    }
}

#[test]
fn a_length_is_said_once_and_plainly() {
    for said in [
        &["4"][..],
        &["4", "4"],
        &["4", "5"],
        &["04"],
        &["+4"],
        &[""],
        &["4, 4"],
    ] {
        let headers: Vec<_> = said.iter().map(|said| ("content-length", *said)).collect();
        let response = headers_after(Method::GET, 200, &headers, Body::from("abcd"));
        let lengths: Vec<_> = response.headers().get_all(CONTENT_LENGTH).iter().collect();
        assert_eq!(lengths, ["4"], "{said:?}");
    }
}

#[test]
fn hop_by_hop_headers_belong_to_the_gateway() {
    let headers = [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "x"),
        ("x-a", "1"),
    ];
    let response = headers_after(Method::GET, 200, &headers, Body::from("x"));
    let names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-a", "content-length"]);
}

fn get(target: &'static str, headers: &[(&'static str, &'static str)]) -> Request {
    let mut request = Request::get(target);
    for (name, value) in [("host", "h")].iter().chain(headers) {
        let value = HeaderValue::from_static(value);
        request.headers_mut().append(*name, value);
    }
    request
}

#[test]
fn the_application_sees_one_line_of_cookies() {
    let app = Application::new(|request: Request| {
        let lines = request.headers().get_all(COOKIE).iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
        lines.join(" | ")
    });
    for (lines, expected) in [
        (&[][..], ""),
        (&[("cookie", "a=1; b=2")], "a=1; b=2"),
        (
            &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")],
            "a=1; b=2; c=3",
        ),
        (&[("x", "1"), ("x", "2"), ("cookie", "a=1")], "a=1"),
    ] {
        let response = pollster::block_on(respond(&app, get("/", lines)));
        assert_eq!(response.body().as_bytes().unwrap(), expected);
    }
}

#[test]
fn what_connection_names_belongs_to_the_connection() {
    let headers = [
        ("connection", "close, X-Private"),
        ("connection", "x-other,content-length,,(bad)"),
        ("x-private", "1"),
        ("x-private", "2"),
        ("x-other", "3"),
        ("x-a", "4"),
        ("content-length", "1"),
    ];
    let response = headers_after(Method::GET, 200, &headers, Body::from_iterator(["x"]));
    let names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-a"]);
    // A length that the application no longer sets is set for a body that has one.
    let response = headers_after(Method::GET, 200, &headers, Body::from("xyz"));
    assert_eq!(response.headers()[CONTENT_LENGTH], "3");
}

#[test]
fn the_server_itself_is_asked_without_the_application() {
    let app = Application::new(|_: Request| StatusCode::IM_A_TEAPOT);
    for (method, target, expected) in [
        (Method::OPTIONS, "*", 200),
        (Method::OPTIONS, "/", 418),
        (Method::GET, "*", 400),
    ] {
        let mut request = get(target, &[]);
        *request.method_mut() = method.clone();
        let future = respond(&app, request);
        assert_eq!(future.refusal().is_some(), expected == 400);
        let response = pollster::block_on(future);
        assert_eq!(response.status(), expected, "{method} {target}");
    }
}

#[test]
fn an_interim_status_is_no_final_one() {
    for (version, status, expected) in [
        (Version::HTTP_11, 101, 500),
        (Version::HTTP_11, 103, 500),
        (Version::HTTP_2, 101, 500),
        (Version::HTTP_2, 103, 500),
        (Version::HTTP_2, 204, 204),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let app = Application::new(move |_: Request| status);
        let mut request = Request::get("http://h/");
        *request.version_mut() = version;
        let host = HeaderValue::from_static("h");
        request.headers_mut().insert(HOST, host);
        let response = pollster::block_on(respond(&app, request));
        assert_eq!(response.status(), expected, "{version:?} {status}");
    }
}

#[test]
fn a_panic_is_a_500_wherever_it_happens() {
    fn boom() -> &'static str {
        panic!("boom")
    }
    let id = || RequestIdValue::new("an-id").unwrap();
    let at_once = Application::new(|_: Request| boom());
    let later = Application::new(|_: Request| async { boom() });
    let tagged = Application::new(move |_: Request| id().tag_panic(boom));
    let tagged_later = Application::new(move |_: Request| async move { id().tag_panic(boom) });
    for (app, said) in [
        (at_once, "panicked: boom"),
        (tagged, "request an-id panicked: boom"),
        (later, "panicked: boom"),
        (tagged_later, "request an-id panicked: boom"),
    ] {
        let mut request = Request::get("/");
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static("h"));
        let mut future = respond(&app, request);
        let response = pollster::block_on(&mut future);
        assert!(future.has_panicked());
        assert_eq!(response.status(), 500);
        let found = response.extensions().get::<RequestIdValue>();
        assert_eq!(found.is_some(), said.contains("an-id"));
        assert_eq!(response.body().as_bytes().unwrap(), "Internal Server Error");
        let error = response
            .extensions()
            .get::<std::sync::Arc<HttpError>>()
            .unwrap();
        assert_eq!(error.source().unwrap().to_string(), said);
    }
}
