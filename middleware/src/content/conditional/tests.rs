//! Tests of conditions.

use std::sync::mpsc;

use enfilade_core::Outcome;
use enfilade_core::conditional::EntityTag;
use enfilade_testing::{Client, Lint, laws};

use super::*;

const TAG: (&str, &str) = ("etag", "\"7\"");
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn client(
    conditional: Conditional,
    respond: impl Fn() -> Response + Send + Sync + 'static,
) -> Client {
    let app = Application::new(move |_: Request| respond());
    Client::new(app.wrap(Lint::new()).wrap(conditional).wrap(Lint::new()))
}

#[test]
fn a_304_keeps_exactly_the_headers_that_are_not_about_content() {
    let lines = [
        TAG,
        ("cache-control", "max-age=60"),
        ("content-digest", "sha-256=:AA==:"),
        ("content-disposition", "inline"),
        ("content-encoding", "br"),
        ("content-language", "en"),
        ("content-length", "4"),
        ("content-location", "/x"),
        ("content-type", "text/plain"),
        ("date", DATE),
        ("expires", DATE),
        ("last-modified", DATE),
        ("set-cookie", "a=1"),
        ("vary", "accept-encoding"),
        ("x-own", "1"),
    ];
    let client = client(Conditional::new(), move || (lines, "TEST").into_response());
    for request in [
        client.get("/"),
        client.head("/"),
        client.request(Method::QUERY, "/"),
    ] {
        let response = request.header("if-none-match", "\"7\"").send();
        assert_eq!((response.status().as_u16(), &*response.text()), (304, ""));
        let names: Vec<_> = response
            .headers()
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        let expected = [
            "etag",
            "cache-control",
            "content-location",
            "date",
            "expires",
            "set-cookie",
            "vary",
            "x-own",
        ];
        assert_eq!(sorted(names), sorted(expected.to_vec()));
    }
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

#[test]
fn a_304_without_a_tag_keeps_its_date() {
    let client = client(Conditional::new(), || {
        ([("last-modified", DATE)], "TEST").into_response()
    });
    let response = client.get("/").header("if-modified-since", DATE).send();
    assert_eq!(response.status(), 304);
    assert_eq!(response.header("last-modified"), Some(DATE));
}

#[test]
fn a_412_has_nothing_of_the_content_and_no_cache_keeps_it() {
    let lines = [
        TAG,
        ("cache-control", "max-age=60"),
        ("content-encoding", "br"),
        ("content-length", "4"),
        ("content-type", "image/png"),
        ("expires", DATE),
        ("last-modified", DATE),
        ("vary", "accept-encoding"),
        ("x-own", "1"),
    ];
    let client = client(Conditional::new(), move || (lines, "TEST").into_response());
    let response = client.get("/").header("if-match", "\"8\"").send();
    assert_eq!(response.status(), 412);
    assert_eq!(response.text(), "Precondition Failed");
    let names: Vec<_> = response
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    assert_eq!(
        sorted(names),
        ["content-length", "content-type", "vary", "x-own"]
    );
    assert_eq!(response.header("content-length"), Some("19"));
    assert!(response.extensions().get::<Arc<HttpError>>().is_some());
}

#[test]
fn only_reads_with_a_2xx_are_compared() {
    for (method, status, header, expected) in [
        ("GET", 200, "if-none-match", 304),
        ("GET", 206, "if-none-match", 304),
        ("GET", 203, "if-none-match", 304),
        ("QUERY", 200, "if-none-match", 304),
        ("GET", 404, "if-none-match", 404),
        ("GET", 404, "if-match", 404),
        ("GET", 302, "if-none-match", 302),
        ("GET", 500, "if-none-match", 500),
        ("GET", 412, "if-none-match", 412),
        ("POST", 200, "if-none-match", 200),
        ("PUT", 200, "if-none-match", 200),
        ("OPTIONS", 200, "if-none-match", 200),
        ("GET", 200, "if-range", 200),
    ] {
        let client = client(Conditional::new(), move || {
            let status = StatusCode::from_u16(status).unwrap();
            let range = (status == 206).then_some(("content-range", "bytes 0-3/4"));
            let lines = [TAG, ("x-a", "1"), ("location", "/")].into_iter();
            let lines: Vec<_> = lines.chain(range).collect();
            let mut response = (status, "TEST").into_response();
            for (name, value) in lines {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        });
        let value = if header == "if-match" {
            "\"8\""
        } else {
            "\"7\""
        };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = client
            .request(method.clone(), "/")
            .header(header, value)
            .send();
        assert_eq!(response.status(), expected, "{method} {status} {header}");
    }
}

#[test]
fn content_that_is_not_sent_is_dropped_at_once() {
    let (ends, seen) = mpsc::channel();
    let app = Application::new(move |_: Request| {
        let ends = ends.clone();
        let body = Body::from_iterator(std::iter::repeat("endless"));
        let body = body.on_end(move |end| ends.send((end.bytes(), end.outcome())).unwrap());
        let mut response = Response::new(body);
        response
            .headers_mut()
            .insert("etag", "\"7\"".parse().unwrap());
        response
    });
    let client = Client::new(app.wrap(Conditional::new()).wrap(Lint::new()));
    for (name, value, status) in [("if-none-match", "*", 304), ("if-match", "\"8\"", 412)] {
        let response = client.get("/").header(name, value).send();
        assert_eq!(response.status(), status);
        assert_eq!(seen.try_recv(), Ok((0, Outcome::Complete)));
    }
}

#[test]
fn a_write_without_a_condition_can_be_rejected() {
    let guarded = Conditional::new().require_if_match([Method::PUT, Method::DELETE]);
    let client = client(guarded, || "done".into_response());
    for (method, header, status) in [
        (Method::PUT, None, 428),
        (Method::DELETE, None, 428),
        (Method::PATCH, None, 200),
        (Method::GET, None, 200),
        (Method::PUT, Some(("if-match", "\"7\"")), 200),
        (Method::PUT, Some(("if-match", "*")), 200),
        (Method::PUT, Some(("if-none-match", "*")), 200),
        (Method::PUT, Some(("if-none-match", "\"7\"")), 428),
        (Method::PUT, Some(("if-unmodified-since", DATE)), 428),
    ] {
        let request = client.request(method.clone(), "/");
        let request = match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        assert_eq!(request.send().status(), status, "{method} {header:?}");
    }
}

#[test]
fn a_check_responds_before_the_work() {
    let tag = EntityTag::strong("7").unwrap();
    let date = enfilade_core::headers::parse_http_date(DATE).unwrap();
    let current = Validators::new().entity_tag(tag).last_modified(date);
    let request = |method: Method, name: &'static str, value: &str| {
        let mut request = Request::get("/");
        *request.method_mut() = method;
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    for (method, name, value, expected) in [
        (Method::GET, "if-none-match", "\"7\"", Some(304)),
        (Method::PUT, "if-none-match", "\"7\"", Some(412)),
        (Method::PUT, "if-match", "\"7\"", None),
        (Method::PUT, "if-match", "\"8\"", Some(412)),
        (Method::PUT, "if-unmodified-since", DATE, None),
        (Method::GET, "if-modified-since", DATE, Some(304)),
        (Method::POST, "if-modified-since", DATE, None),
    ] {
        let found = Conditional::check(&request(method.clone(), name, value), &current);
        let status = found.map(|response| response.status().as_u16());
        assert_eq!(status, expected, "{method} {name}: {value}");
    }
    let fresh = Conditional::check(&request(Method::GET, "if-none-match", "*"), &current).unwrap();
    assert_eq!(fresh.headers()["etag"], "\"7\"");
    assert!(!fresh.headers().contains_key("last-modified"));
    let creating = request(Method::PUT, "if-none-match", "*");
    assert!(Conditional::check(&creating, &Validators::missing()).is_none());
}

#[test]
fn keeps_the_laws() {
    laws::check(Conditional::new());
    let guarded = Conditional::new().require_if_match([Method::PUT]);
    let check = laws::Check::new(guarded).request(|request| *request.method_mut() = Method::PUT);
    check.never_calls().run();
}

#[test]
fn says_what_it_requires() {
    let app = Application::new(|_: Request| "x");
    let guarded = Conditional::new().require_if_match([Method::PUT, Method::PATCH]);
    let described = app.wrap(guarded).describe().to_string();
    assert!(
        described.starts_with("Conditional (require_if_match: [PUT, PATCH])\n"),
        "{described}"
    );
}
