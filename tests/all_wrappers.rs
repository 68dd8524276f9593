//! All wrappers around one application: in the documented order, and in the reverse order.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod wrappers;
}

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade::middleware::Router;
use enfilade::{Application, Body, Connection, HttpError, Request, Scheme};
use enfilade_testing::{Client, Doctor, RequestBuilder, TestResponse, doctor, lint_all};
use flate2::write::GzEncoder;
use http::StatusCode;

use self::support::wrappers::{Wrap, wrappers};

/// The rows of the table in the documentation of `enfilade::middleware`.
const DOCUMENTATION: &str = include_str!("../middleware/src/lib.rs");
const PAGE: &str = "A page with some text. ";

/// A stream of so many pages, of unknown length.
struct Chunks(usize);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        let page = || Ok(http_body::Frame::data(Bytes::from_static(PAGE.as_bytes())));
        Poll::Ready(left.map(|_| page()))
    }
}

fn garden() -> Application {
    let echo = async |request: Request| {
        let mut request = request;
        let method = request.method().to_string();
        let bytes = request.take_body().collect(1 << 20).await?;
        let text = format!("{method} {}", String::from_utf8_lossy(&bytes));
        Ok::<_, HttpError>(text)
    };
    let stream = |_: Request| Body::new(Chunks(3));
    let shout = |request: Request| {
        let upgrade = request.upgrade("shout").expect("the client asks for it");
        upgrade.respond(async |mut connection| {
            let mut buffer = [0; 16];
            loop {
                let count = connection.read(&mut buffer).await?;
                let text = buffer[..count].to_ascii_uppercase();
                match count {
                    0 => return Ok(()),
                    _ => connection.write_all(&text).await?,
                }
            }
        })
    };
    let router = Router::new()
        .get("/", |_: Request| PAGE.repeat(100))
        .get("/shout", shout)
        .get("/later", async |_: Request| "later")
        .get("/stream", stream)
        .get("/error", |_: Request| -> Result<(), HttpError> {
            Err(HttpError::new(StatusCode::CONFLICT).message("the name is taken"))
        })
        .get("/panic", |_: Request| -> () { panic!("a panic of a test") })
        .post("/echo", echo)
        .put("/echo", echo);
    router.build().unwrap()
}

fn ask(app: &Application, build: impl FnOnce(&Client) -> RequestBuilder) -> TestResponse {
    let connection = Connection::new(Scheme::Https).with_peer("10.0.0.1:4711".parse().unwrap());
    build(&Client::new(lint_all(app)))
        .connection(connection)
        .header("x-forwarded-for", "192.0.2.7")
        .header("x-client", "test")
        .send()
}

/// The cases: a name, the request, and the status of the response in the documented order and in the reverse one.
type Case = (&'static str, fn(&Client) -> RequestBuilder, [u16; 2]);

fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const CASES: [Case; 15] = [
    (
        "a page",
        |client| on(client.get("/")).header("accept-encoding", "gzip"),
        [200, 200],
    ),
    (
        "its head",
        |client| on(client.head("/")).header("accept-encoding", "gzip"),
        [200, 200],
    ),
    (
        "a pending reply",
        |client| on(client.get("/later")),
        [200, 200],
    ),
    ("a stream", |client| on(client.get("/stream")), [200, 200]),
    (
        "a rewritten path",
        |client| on(client.get("/old/later")),
        [200, 200],
    ),
    (
        "a slash too many",
        |client| on(client.get("/later/")),
        [200, 200],
    ),
    (
        "a form",
        |client| on(client.post("/echo")).body("a=1"),
        [200, 200],
    ),
    (
        "a compressed form",
        |client| {
            on(client.post("/echo"))
                .header("content-encoding", "gzip")
                .body(compressed("a=2"))
        },
        [200, 200],
    ),
    (
        "another method",
        |client| {
            on(client.post("/echo"))
                .header("x-http-method-override", "PUT")
                .body("x")
        },
        [200, 200],
    ),
    (
        "too much",
        |client| on(client.post("/echo")).body("x".repeat(20_000)),
        [413, 413],
    ),
    (
        "a preflight",
        |client| {
            on(client.options("/echo"))
                .header("origin", "https://shop.example")
                .header("access-control-request-method", "POST")
        },
        [204, 204],
    ),
    (
        "nothing there",
        |client| on(client.get("/missing")),
        [404, 404],
    ),
    (
        "an error",
        |client| on(client.get("/error")).header("accept", "application/json"),
        [409, 409],
    ),
    (
        "a panic",
        |client| on(client.get("/panic")).header("accept", "text/plain"),
        [500, 500],
    ),
    (
        "another host",
        |client| client.get("/").header("host", "evil.example"),
        [400, 308],
    ),
];

fn on(request: RequestBuilder) -> RequestBuilder {
    request.header("host", "example.org")
}

#[test]
fn the_documented_order_is_that_of_the_table_and_has_no_warning() {
    let rows = DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("//! | "));
    let cells = rows.filter_map(|row| row.split(" | ").nth(1));
    let documented: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .take_while(|name| *name != "Router")
        .collect();
    let names: Vec<&str> = wrappers().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, documented);

    let app = stack(wrappers());
    let described = app.describe().to_string();
    let lines = described
        .lines()
        .map(|line| line.trim_start_matches([' ', '└', '─']));
    let described: Vec<&str> = lines
        .map(|line| line.split([' ', '(']).next().unwrap())
        .take(names.len())
        .collect();
    assert_eq!(described, names);
    let warnings: Vec<String> = doctor(&app).iter().map(ToString::to_string).collect();
    assert_eq!(warnings, [""; 0]);
}

fn stack(wrappers: Vec<(&'static str, Wrap)>) -> Application {
    let inside_out = wrappers.iter().rev();
    inside_out.fold(garden(), |app, (_, wrap)| wrap(app))
}

#[test]
fn the_doctor_names_parts_that_exist() {
    let wrappers = wrappers();
    let named = |(_, wrap): &(_, Wrap)| wrap(garden()).describe().name().to_owned();
    let exist: Vec<_> = wrappers.iter().map(named).collect();
    let doctor = Doctor::new();
    let unknown = doctor
        .names()
        .filter(|name| !exist.iter().any(|known| known == name));
    assert_eq!(unknown.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn in_the_documented_order_each_does_its_part() {
    let app = stack(wrappers());
    for (name, request, [status, _]) in CASES {
        let response = ask(&app, request);
        assert_eq!(
            response.status().as_u16(),
            status,
            "{name}: {}",
            response.text()
        );
        for (header, value) in [
            ("x-house", "enfilade"),
            ("x-content-type-options", "nosniff"),
            (
                "strict-transport-security",
                "max-age=31536000; includeSubDomains",
            ),
        ] {
            assert_eq!(response.header(header), Some(value), "{name}");
        }
        for header in ["x-request-id", "server-timing", "x-runtime"] {
            assert!(response.header(header).is_some(), "{name}: {header}");
        }
    }
    let response = |wanted: &str| {
        let (_, request, _) = CASES
            .into_iter()
            .find(|(name, ..)| *name == wanted)
            .unwrap();
        ask(&app, request)
    };
    let page = response("a page");
    assert_eq!(page.header("content-encoding"), Some("gzip"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(page.header("x-client"), Some("test"));
    assert_eq!(response("a compressed form").text(), "POST a=2");
    assert_eq!(response("another method").text(), "PUT x");
    assert_eq!(response("nothing there").text(), "Nothing here");
    assert_eq!(
        response("a preflight").header("access-control-allow-origin"),
        Some("https://shop.example")
    );
}

#[test]
fn the_other_way_round_every_response_keeps_the_laws() {
    let mut reversed = wrappers();
    reversed.reverse();
    let app = stack(reversed);
    for (name, request, [_, status]) in CASES {
        let response = ask(&app, request);
        assert_eq!(
            response.status().as_u16(),
            status,
            "{name}: {}",
            response.text()
        );
    }
}

#[test]
fn an_upgrade_passes_through_each_in_any_order() {
    let alone = wrappers()
        .into_iter()
        .map(|(name, wrap)| (name, wrap(garden())));
    let mut reversed = wrappers();
    reversed.reverse();
    let stacks = [
        ("all", stack(wrappers())),
        ("all reversed", stack(reversed)),
    ];
    for (name, app) in alone.chain(stacks) {
        let connection = Connection::new(Scheme::Https).with_peer("10.0.0.1:4711".parse().unwrap());
        let request = on(Client::new(lint_all(&app)).get("/shout")).connection(connection);
        pollster::block_on(async {
            let (response, connection) = request.upgrade("shout").await;
            assert_eq!(response.status(), 101, "{name}");
            assert_eq!(response.headers()["upgrade"], "shout", "{name}");
            let mut connection = connection.unwrap();
            connection.write_all(b"hello").await.unwrap();
            let mut buffer = [0; 16];
            let count = connection.read(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..count], b"HELLO", "{name}");
        });
    }
}
