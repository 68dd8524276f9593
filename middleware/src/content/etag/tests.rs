//! Tests of tags.

use enfilade_core::{Body, IntoResponse, ReadAt, Segment};
use enfilade_testing::{Client, Lint, laws};

use super::*;

fn client(etag: Etag, response: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Client {
    let app = Application::new(move |request: Request| response(&request));
    Client::new(app.wrap(Lint::new()).wrap(etag).wrap(Lint::new()))
}

/// The same without a `Lint` inside, which makes streams of all content but one buffer.
fn plain(etag: Etag, response: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Client {
    let app = Application::new(move |request: Request| response(&request));
    Client::new(app.wrap(etag).wrap(Lint::new()))
}

/// The tag of `Hello, World!`.
const HELLO: &str = "W/\"c49aacf8080fe47f\"";

#[test]
fn content_in_memory_gets_the_same_tag_however_it_is_cut() {
    let file: Arc<dyn ReadAt> = Arc::new(Bytes::from("Hello, World!"));
    let bodies: [(fn(Arc<dyn ReadAt>) -> Body, Option<&str>); 6] = [
        (|_| Body::from("Hello, World!"), Some(HELLO)),
        (|_| Body::from_list(["Hello", "", ", World!"]), Some(HELLO)),
        (|_| Body::from(""), None),
        (|_| Body::from("longer than the limit"), None),
        (|_| Body::from_iterator(["Hello, World!"]), None),
        (
            |file| Body::from_segments([Segment::new(file, 0..13)]),
            None,
        ),
    ];
    for (body, expected) in bodies {
        let file = file.clone();
        let client = plain(Etag::new().limit(13), move |_| {
            Response::new(body(file.clone()))
        });
        assert_eq!(client.get("/").send().header("etag"), expected);
        assert_eq!(client.head("/").send().header("etag"), expected);
    }
}

#[test]
fn only_responses_that_a_cache_can_keep_are_tagged() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let cases: [(&str, u16, (&'static str, &'static str), Option<&str>); 15] = [
        ("GET", 200, ("x-a", ""), Some(HELLO)),
        ("QUERY", 200, ("x-a", ""), Some(HELLO)),
        ("POST", 201, ("x-a", ""), Some(HELLO)),
        ("POST", 200, ("x-a", ""), None),
        ("GET", 201, ("x-a", ""), None),
        ("PUT", 200, ("x-a", ""), None),
        ("PUT", 201, ("x-a", ""), None),
        ("DELETE", 200, ("x-a", ""), None),
        ("GET", 203, ("x-a", ""), None),
        ("GET", 404, ("x-a", ""), None),
        ("GET", 500, ("x-a", ""), None),
        ("GET", 200, ("cache-control", "private, No-Store"), None),
        ("GET", 200, ("cache-control", "no-cache"), Some(HELLO)),
        ("GET", 200, ("last-modified", date), None),
        ("GET", 200, ("etag", "\"own\""), Some("\"own\"")),
    ];
    for (method, status, header, expected) in cases {
        let client = client(Etag::new(), move |_| {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [header], "Hello, World!").into_response()
        });
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = client.request(method.clone(), "/").send();
        assert_eq!(response.header("etag"), expected, "{method} {status}");
    }
}

#[test]
fn the_tag_of_a_handler_is_sent_for_every_method_and_body() {
    let client = client(Etag::new(), |request| {
        let mut response = Response::new(Body::from_iterator(["x"]));
        response
            .extensions_mut()
            .insert(EntityTag::strong("7").unwrap());
        if request.path() == "/error" {
            *response.status_mut() = StatusCode::CONFLICT;
        }
        response
    });
    assert_eq!(client.get("/").send().header("etag"), Some("\"7\""));
    assert_eq!(client.put("/").send().header("etag"), Some("\"7\""));
    assert_eq!(client.get("/error").send().header("etag"), None);
}

#[test]
fn a_header_or_a_function_makes_the_tag() {
    let header = HeaderName::from_static("x-version");
    let response = |request: &Request| {
        let version = request.path().trim_start_matches('/').to_owned();
        let mut response = Body::from_iterator(["x"]).into_response();
        response
            .headers_mut()
            .insert("x-version", version.parse().unwrap());
        response
    };
    let by_header = client(Etag::from_header(header), response);
    assert_eq!(by_header.get("/7").send().header("etag"), Some("W/\"7\""));
    assert_eq!(
        by_header.get("/a%20b").send().header("etag"),
        Some("W/\"a%20b\"")
    );
    let by_function = Etag::from_fn(|response| {
        let version = response.headers().get("x-version")?.as_bytes();
        (version != b"0").then(|| EntityTag::strong(version).unwrap())
    });
    let by_function = client(by_function, response);
    assert_eq!(by_function.get("/7").send().header("etag"), Some("\"7\""));
    assert_eq!(by_function.get("/0").send().header("etag"), None);
}

#[cfg(feature = "strong-etags")]
#[test]
fn strong_tags_are_the_same_however_content_is_cut() {
    let whole = plain(Etag::new().strong(), |_| "abc".into_response());
    let parts = plain(Etag::new().strong(), |_| {
        Body::from_list(["a", "bc"]).into_response()
    });
    let tag = Some("\"ba7816bf8f01cfea414140de5dae2223\"");
    assert_eq!(whole.get("/").send().header("etag"), tag);
    assert_eq!(parts.get("/").send().header("etag"), tag);
}

#[test]
fn keeps_the_laws() {
    laws::Check::new(Etag::new()).touches([ETAG]).run();
}
