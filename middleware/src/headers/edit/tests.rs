use enfilade_core::{Body, Handler};
use enfilade_testing::{Client, Lint, TestResponse};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::*;
use crate::error::{Error, ErrorKind};
use crate::matching::guard::Guard;
use crate::matching::response_filter::ResponseFilter;

type Build<T = Response> = fn(Headers<T>) -> Result<Headers<T>, Error>;
type Own = &'static [(&'static str, &'static str)];

fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

/// The wrapper with a checker of the contract on both its sides.
fn linted<T: Message>(app: Application, headers: &Headers<T>) -> Client {
    let inside = app.wrap(Lint::new());
    Client::new(inside.wrap(headers.clone()).wrap(Lint::new()))
}

/// The response of an application with these headers through `headers`, ready and pending.
fn response_to(headers: &Headers, status: u16, own: Own, body: &'static str) -> TestResponse {
    let make = move || {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in own {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        response
    };
    let ready = linted(Application::new(move |_: Request| make()), headers);
    let pending = linted(
        Application::new(move |_: Request| async move { make() }),
        headers,
    );
    let (first, second) = (ready.get("/").send(), pending.get("/").send());
    assert_eq!(first.headers(), second.headers());
    assert_eq!(
        (first.status().as_u16(), first.text()),
        (status, body.into())
    );
    first
}

#[test]
fn operations_run_in_order_on_what_is_there() {
    let cases: [(Build, Own, &str, &[&str]); 26] = [
        (
            |h| h.remove_prefix("X-Debug-"),
            &[
                ("x-debug-a", "1"),
                ("x-debug-b", "2"),
                ("x-debug-b", "3"),
                ("x-debugged", "4"),
            ],
            "x-debug-b",
            &[],
        ),
        (
            |h| h.remove_prefix("x-debug-"),
            &[("x-debug-a", "1"), ("x-debugged", "4")],
            "x-debugged",
            &["4"],
        ),
        (
            |h| h.rename("x-old", "x-new"),
            &[("x-old", "1"), ("x-new", "0"), ("x-old", "2")],
            "x-new",
            &["1", "2"],
        ),
        (
            |h| h.rename("x-old", "x-new"),
            &[("x-old", "1")],
            "x-old",
            &[],
        ),
        (
            |h| h.rename("x-old", "x-new"),
            &[("x-new", "0")],
            "x-new",
            &["0"],
        ),
        (
            |h| h.rename("x-old", "x-old"),
            &[("x-old", "1"), ("x-old", "2")],
            "x-old",
            &["1", "2"],
        ),
        (
            |h| {
                h.replace(
                    "link",
                    "http://([a-z.]+)/(?<rest>[^>]*)",
                    "https://$1/v2/${rest}$$",
                )
            },
            &[
                ("link", "<http://a.b/c>; <http://d/>"),
                ("link", "<x>"),
                ("link", "<http://e/f>"),
            ],
            "link",
            &[
                "<https://a.b/v2/c$>; <https://d/v2/$>",
                "<x>",
                "<https://e/v2/f$>",
            ],
        ),
        (
            |h| h.append_with("x-a", |response| response.headers().get("x-a").cloned()),
            &[("x-a", "1")],
            "x-a",
            &["1", "1"],
        ),
        (
            |h| h.default_with("x-a", |_| unreachable!()),
            &[("x-a", "1")],
            "x-a",
            &["1"],
        ),
        (
            |h| h.default_with("x-a", |_| Some(HeaderValue::from_static("2"))),
            &[],
            "x-a",
            &["2"],
        ),
        (
            |h| {
                h.set("x-a", "0")?.append_from("x-a", |request: &Request| {
                    let method = HeaderValue::from_str(request.method().as_str());
                    move |_: &Response| method.ok()
                })
            },
            &[("x-a", "1")],
            "x-a",
            &["0", "GET"],
        ),
        (
            |h| {
                h.default_from("x-a", |_| {
                    |_: &Response| Some(HeaderValue::from_static("2"))
                })
            },
            &[("x-a", "1")],
            "x-a",
            &["1"],
        ),
        (|h| h.set("X-A", "2"), &[("x-a", "0")], "x-a", &["2"]),
        (|h| h.append("X-A", "2"), &[], "x-a", &["2"]),
        (
            |h| h.append("Content-Language", "de"),
            &[("content-language", "en")],
            "content-language",
            &["en", "de"],
        ),
        (
            |h| h.default("Content-Type", "text/html"),
            &[("content-type", "text/plain")],
            "content-type",
            &["text/plain"],
        ),
        (|h| h.default("X-A", "d"), &[("x-a", "")], "x-a", &[""]),
        (|h| h.default("X-A", "d"), &[], "x-a", &["d"]),
        (
            |h| h.set("custom-a", "a")?.set("custom-a", "b"),
            &[],
            "custom-a",
            &["b"],
        ),
        (
            |h| h.append("X-A", "1")?.set("X-A", "2")?.append("X-A", "3"),
            &[],
            "x-a",
            &["2", "3"],
        ),
        (
            |h| h.remove("x-powered-by"),
            &[("X-Powered-By", "x"), ("x-powered-BY", "y")],
            "x-powered-by",
            &[],
        ),
        (
            |h| h.remove("X-Nope"),
            &[("content-type", "text/plain")],
            "content-type",
            &["text/plain"],
        ),
        (
            |h| h.remove("X-A")?.append("X-A", "1"),
            &[("x-a", "0")],
            "x-a",
            &["1"],
        ),
        (Ok, &[("x-a", "0")], "x-a", &["0"]),
        (
            |h| {
                h.set_with("X-Frame-Options", |_| {
                    Some(HeaderValue::from_static("DENY"))
                })
            },
            &[("x-frame-options", "ALLOW")],
            "x-frame-options",
            &["DENY"],
        ),
        (
            |h| h.set_with("X-A", |_| None),
            &[("x-a", "1")],
            "x-a",
            &["1"],
        ),
    ];
    for (at, (build, own, name, expected)) in cases.into_iter().enumerate() {
        let headers = build(Headers::new()).unwrap();
        let response = response_to(&headers, 200, own, "");
        assert_eq!(lines(response.headers(), name), expected, "case {at}");
    }
}

#[test]
fn applies_to_every_status_and_to_what_the_body_says() {
    let length = |response: &Response| response.body().known_length().map(HeaderValue::from);
    let headers = Headers::new().set("x-a", "1").unwrap();
    let headers = headers.set_with("x-length", length).unwrap();
    for (status, body) in [
        (200, "Hello"),
        (204, ""),
        (304, ""),
        (404, "Hello"),
        (500, "Hello"),
    ] {
        let response = response_to(&headers, status, &[], body);
        let length = body.len().to_string();
        assert_eq!(response.header("x-a"), Some("1"), "{status}");
        assert_eq!(response.header("x-length"), Some(&*length), "{status}");
    }
}

#[test]
fn a_ready_reply_stays_ready() {
    let headers = Headers::new().set("x-a", "1").unwrap();
    let app = Application::new(|_: Request| "x").wrap(headers);
    assert!(app.call(Request::get("/")).is_ready());
}

#[test]
fn requests_are_changed_before_the_application_sees_them() {
    let cases: [(Build<Request>, &str, &[&str], &[&str]); 13] = [
        (|h| h.default("X-A", "new"), "x-a", &[""], &[""]),
        (|h| h.default("X-A", "new"), "x-a", &[], &["new"]),
        (|h| h.remove_prefix("x-"), "x-a", &["1"], &[]),
        (|h| h.rename("x-b", "x-a"), "x-a", &["1"], &["1"]),
        (
            |h| h.default("x-b", "2")?.rename("x-b", "x-a"),
            "x-a",
            &["1"],
            &["2"],
        ),
        (
            |h| h.replace("x-a", "^b(.)", "$1"),
            "x-a",
            &["abc", "bcd"],
            &["abc", "cd"],
        ),
        (
            |h| h.set_with("x-a", |request| HeaderValue::from_str(request.path()).ok()),
            "x-a",
            &["1"],
            &["/"],
        ),
        (|h| h.append_with("x-a", |_| None), "x-a", &["1"], &["1"]),
        (
            |h| h.default_with("x-a", |_| unreachable!()),
            "x-a",
            &["1"],
            &["1"],
        ),
        (|h| h.set("X-A", "new"), "x-a", &["1", "2"], &["new"]),
        (|h| h.append("X-A", "new"), "x-a", &["1"], &["1", "new"]),
        (|h| h.remove("Proxy"), "proxy", &["http://evil"], &[]),
        (
            |h| h.remove("x-a")?.append("x-a", "2"),
            "x-a",
            &["1"],
            &["2"],
        ),
    ];
    for (build, name, sent, expected) in cases {
        let echo =
            Application::new(move |request: Request| lines(request.headers(), name).join("|"));
        let client = linted(echo, &build(Headers::request()).unwrap());
        let request = sent.iter().fold(client.get("/"), |request, value| {
            request.header(name, value)
        });
        assert_eq!(request.send().text(), expected.join("|"), "{name}");
    }
}

#[test]
fn conditions_choose_requests_and_responses() {
    let set = |name: &'static str| Headers::new().set(name, "1").unwrap();
    let errors = || ResponseFilter::new().status_class(5).unwrap();
    let posts = || Guard::method([Method::POST]);
    let api = || Guard::path("/api/**").unwrap();
    let echo = Headers::new()
        .set_from("x-both", |request: &Request| {
            let path = request.path().to_owned();
            move |response: &Response| {
                HeaderValue::from_str(&format!("{path} {}", response.status().as_u16())).ok()
            }
        })
        .unwrap();
    let headers = Headers::new()
        .for_responses(errors(), set("x-error").set("retry-after", "1").unwrap())
        .for_requests(api(), set("x-api").for_requests(posts(), set("x-api-post")))
        .for_responses(errors(), Headers::new().for_requests(api(), echo.clone()))
        .for_requests(posts(), Headers::new().for_responses(errors(), echo))
        // They are looked at once, so what one operation changes does not keep the next one from running.
        .for_responses(
            ResponseFilter::new().media_type("text/plain").unwrap(),
            Headers::new()
                .remove("content-type")
                .unwrap()
                .set("x-text", "1")
                .unwrap(),
        );
    let post = Headers::request().set("x-post", "1").unwrap();
    let requests = Headers::request().for_requests(posts(), post);
    let app = Application::new(|request: Request| {
        let status = if request.path().ends_with("bad") {
            500
        } else {
            200
        };
        let seen = request.headers().contains_key("x-post").to_string();
        (StatusCode::from_u16(status).unwrap(), seen)
    });
    let client = linted(app.wrap(headers).wrap(Lint::new()), &requests);
    for (method, path, seen, expected) in [
        (Method::GET, "/", "false", "x-text"),
        (Method::GET, "/bad", "false", "retry-after x-error x-text"),
        (Method::GET, "/api/a", "false", "x-api x-text"),
        (Method::GET, "/%61pi/a", "false", "x-api x-text"),
        (
            Method::GET,
            "/api/bad",
            "false",
            "retry-after x-api x-both=/api/bad 500 x-error x-text",
        ),
        (Method::POST, "/", "true", "x-text"),
        (Method::POST, "/api/a", "true", "x-api x-api-post x-text"),
        (
            Method::POST,
            "/bad",
            "true",
            "retry-after x-both=/bad 500 x-error x-text",
        ),
    ] {
        let response = client.request(method.clone(), path).send();
        assert_eq!(response.text(), seen);
        let line = |(name, value): (&http::HeaderName, &HeaderValue)| match value.to_str().unwrap()
        {
            "1" => name.to_string(),
            value => format!("{name}={value}"),
        };
        let own = response
            .headers()
            .iter()
            .filter(|(name, _)| *name != "content-length");
        let mut lines: Vec<String> = own.map(line).collect();
        lines.sort();
        assert_eq!(lines.join(" "), expected, "{method} {path}");
    }
}

#[test]
fn values_that_are_no_text_are_replaced_too_and_keep_their_mark() {
    let app = Application::new(|_: Request| {
        let mut value = HeaderValue::from_bytes(b"\xff secret \xfe").unwrap();
        value.set_sensitive(true);
        let mut response = Response::default();
        response.headers_mut().insert("x-a", value);
        response
    });
    let headers = Headers::new().replace("x-a", "secret", "\u{e9}").unwrap();
    let response = Client::new(app.wrap(headers)).get("/").send();
    let value = &response.headers()["x-a"];
    assert_eq!(value.as_bytes(), b"\xff \xc3\xa9 \xfe");
    assert!(value.is_sensitive());
}

#[test]
fn what_belongs_to_the_gateway_stays_whatever_prefix_it_has() {
    let mut map = HeaderMap::new();
    for name in [
        "content-length",
        "content-type",
        "content-language",
        "connection",
    ] {
        map.insert(name, HeaderValue::from_static("1"));
    }
    change::Change::RemovePrefix("con".to_owned()).apply(&mut map);
    let mut left: Vec<&str> = map.keys().map(http::HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["connection", "content-length"]);
}

#[test]
fn a_mistake_is_found_when_the_stack_is_built() {
    let cases: [(Build, ErrorKind, &str); 15] = [
        (
            |h| h.set(":", "hello"),
            ErrorKind::HeaderName,
            "\":\" is not a header name",
        ),
        (
            |h| h.append("invalid header name with spaces", "value"),
            ErrorKind::HeaderName,
            "\"invalid header name with spaces\" is not a header name",
        ),
        (
            |h| h.default(String::new(), "x"),
            ErrorKind::HeaderName,
            "\"\" is not a header name",
        ),
        (
            |h| h.remove("a\r\nb"),
            ErrorKind::HeaderName,
            r#""a\r\nb" is not a header name"#,
        ),
        (
            |h| h.set("x-test", "a\r\nSet-Cookie: x=1"),
            ErrorKind::HeaderValue,
            r#""a\r\nSet-Cookie: x=1" is not a header value"#,
        ),
        (
            |h| h.set("Content-Length", "1"),
            ErrorKind::HeaderName,
            "\"Content-Length\" is a header that belongs to the gateway",
        ),
        (
            |h| h.set_with("connection", |_| None),
            ErrorKind::HeaderName,
            "\"connection\" is a header that belongs to the gateway",
        ),
        (
            |h| h.remove("Keep-Alive"),
            ErrorKind::HeaderName,
            "\"Keep-Alive\" is a header that belongs to the gateway",
        ),
        (
            |h| h.remove_prefix("x y"),
            ErrorKind::HeaderName,
            "\"x y\" is not a prefix of a header name",
        ),
        (
            |h| h.rename("x-a", "content-length"),
            ErrorKind::HeaderName,
            "\"content-length\" is a header that belongs to the gateway",
        ),
        (
            |h| h.replace("upgrade", "a", "b"),
            ErrorKind::HeaderName,
            "\"upgrade\" is a header that belongs to the gateway",
        ),
        (
            |h| h.replace("x-a", "(a)", "$2"),
            ErrorKind::Rule,
            "\"(a)\" to \"$2\" is not a replacement: there is no group \"2\"",
        ),
        (
            |h| h.replace("x-a", "a", "\r\nx: y"),
            ErrorKind::HeaderValue,
            r#""a" to "\r\nx: y" is not a replacement: a byte is not allowed in a value"#,
        ),
        (
            |h| h.replace("x-a", r"\w{1000}", "b"),
            ErrorKind::Rule,
            r#""\\w{1000}" to "b" is not a replacement: Compiled regex exceeds size limit of 262144 bytes."#,
        ),
        (
            |h| h.set_from("x a", |_| |_: &Response| None),
            ErrorKind::HeaderName,
            "\"x a\" is not a header name",
        ),
    ];
    for (build, kind, text) in cases {
        let error = build(Headers::new()).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (kind, text.to_owned()));
    }
    let of_requests: [(Build<Request>, ErrorKind, &str); 6] = [
        (
            |h| h.set("x-test", "a\0b".to_owned()),
            ErrorKind::HeaderValue,
            r#""a\0b" is not a header value"#,
        ),
        (
            |h| h.append("TE", "trailers"),
            ErrorKind::HeaderName,
            "\"TE\" is a header that belongs to the gateway",
        ),
        (
            |h| h.remove(http::header::TRANSFER_ENCODING),
            ErrorKind::HeaderName,
            "\"transfer-encoding\" is a header that belongs to the gateway",
        ),
        (
            |h| h.remove_prefix(""),
            ErrorKind::HeaderName,
            "\"\" is not a prefix of a header name",
        ),
        (
            |h| h.rename("x a", "x-b"),
            ErrorKind::HeaderName,
            "\"x a\" is not a header name",
        ),
        (
            |h| h.replace("x-a", "(?<b>a)", "${c}"),
            ErrorKind::Rule,
            "\"(?<b>a)\" to \"${c}\" is not a replacement: there is no group \"c\"",
        ),
    ];
    for (build, kind, text) in of_requests {
        let error = build(Headers::request()).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (kind, text.to_owned()));
    }
}

#[test]
fn takes_parsed_names_and_values() {
    let headers = Headers::new()
        .set(CONTENT_TYPE, HeaderValue::from_static("a/b"))
        .unwrap();
    let response = response_to(&headers, 200, &[("content-type", "c/d")], "");
    assert_eq!(response.header("content-type"), Some("a/b"));
}

#[test]
fn is_described_by_names_without_values() {
    fn described<T: Message>(headers: Headers<T>) -> String {
        let app = Application::from_handler(Garden).wrap(headers);
        app.describe().to_string()
    }
    let set = Headers::request().set("authorization", "secret").unwrap();
    assert_eq!(
        described(set.clone()),
        "Headers (request set: [authorization])\n└─ Garden\n"
    );
    let requests = Headers::request()
        .default_with("x-f", |_| None)
        .unwrap()
        .for_requests(
            Guard::method([Method::GET]),
            Headers::request().remove("x-h").unwrap(),
        );
    assert_eq!(
        described(requests),
        "Headers (request default with: [x-f], for GET request remove: [x-h])\n└─ Garden\n"
    );
    let all = Headers::new()
        .append("x-a", "1")
        .and_then(|h| h.append("x-z", "1"))
        .and_then(|h| h.remove_prefix("X-Debug-"))
        .and_then(|h| h.rename("x-a", "x-b"))
        .and_then(|h| h.replace("x-c", "secret", "hidden"))
        .and_then(|h| h.set_with("x-d", |_| None))
        .and_then(|h| h.append_from("x-e", |_| |_: &Response| None))
        .unwrap();
    let nested = Headers::new().for_responses(
        ResponseFilter::new().status_class(5).unwrap(),
        Headers::new().set("x-g", "1").unwrap(),
    );
    let nested = Headers::new().for_requests(Guard::path("/**").unwrap(), nested);
    assert_eq!(
        described(all.for_requests(Guard::method([Method::GET]), nested)),
        "Headers (append: [x-a, x-z], remove: [x-debug-*], rename: [x-a to x-b], replace in: [x-c], set with: [x-d], \
         append from: [x-e], for GET for /** for 5xx set: [x-g])\n└─ Garden\n"
    );
}

struct Garden;

impl Handler for Garden {
    fn call(&self, _request: Request) -> Reply {
        Reply::new(())
    }
}

#[test]
fn keeps_the_laws() {
    use enfilade_testing::laws;
    use http::header::{ETAG, USER_AGENT};

    let headers = Headers::new()
        .set("x-new", "1")
        .unwrap()
        .default("x-default", "2")
        .unwrap();
    laws::check(headers.clone().append("x-new", "2").unwrap());
    let touching = headers.remove("etag").unwrap();
    laws::Check::new(touching).touches([ETAG]).run();
    let touching = Headers::request().set("user-agent", "x").unwrap();
    laws::Check::new(touching).touches([USER_AGENT]).run();
}
