//! `Lint` between a client and applications that break the laws.

mod required;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade_core::{Application, Body, IntoResponse, Outcome, Request, Response, around};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body::{Frame, SizeHint};

use super::Lint;
use crate::client::Client;
use crate::client::RequestBuilder;
use crate::client::response::TestResponse;

/// A body that returns the frames and hints that a test sets.
#[derive(Clone)]
struct Scripted {
    /// Text is data; `None` is trailers.
    frames: Vec<Option<&'static str>>,
    length: Option<u64>,
    says_it_ended: bool,
    polled: bool,
}

impl Scripted {
    fn new(frames: &[Option<&'static str>]) -> Scripted {
        Scripted {
            frames: frames.iter().rev().copied().collect(),
            length: None,
            says_it_ended: false,
            polled: false,
        }
    }

    fn body(&self) -> Body {
        Body::new(self.clone())
    }
}

impl http_body::Body for Scripted {
    type Data = Bytes;
    type Error = enfilade_core::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.polled = true;
        Poll::Ready(self.frames.pop().map(|frame| {
            Ok(match frame {
                Some(data) => Frame::data(Bytes::from(data)),
                None => Frame::trailers(HeaderMap::new()),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.says_it_ended && self.polled
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

type Findings = Arc<Mutex<Vec<String>>>;

/// A client of `app` inside a `Lint`, and its findings.
fn linted(app: Application) -> (Client, Findings) {
    let findings = Findings::default();
    let list = findings.clone();
    let lint = Lint::report(move |finding| list.lock().unwrap().push(finding.to_string()));
    (Client::new(app.wrap(lint)), findings)
}

fn responding(
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: impl Fn() -> Body + Send + Sync + 'static,
) -> Application {
    let headers = headers.to_vec();
    Application::new(move |_: Request| {
        let mut response = Response::new(body());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in &headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(*name, value);
        }
        response
    })
}

/// An application that accepts all requests and reads their bodies.
fn reading() -> Application {
    Application::new(async |mut request: Request| {
        let body = request.take_body().collect(1000).await;
        body.map_or_else(
            |_| StatusCode::BAD_REQUEST.into_response(),
            IntoResponse::into_response,
        )
    })
}

const INNER: &str = "responding (inside Lint) broke law ";
const OUTER: &str = "the gateway (outside Lint) broke law ";

#[test]
fn an_application_that_breaks_a_law_is_reported() {
    let length = |text: &str| format!("{INNER}2 (lengths are true): {text}");
    let hop = |name: &str| {
        format!(
            "{INNER}3 (hop-by-hop headers belong to the gateway): \
             the response has the header {name}, which only the gateway may set"
        )
    };
    let end = |text: &str| format!("{INNER}4 (a body ends once): {text}");
    let abcd = || Body::from("abcd");
    let stream = || Body::from_iterator(["ab", "cd"]);
    let short = Scripted {
        length: Some(5),
        ..Scripted::new(&[Some("abcd")])
    };
    let long = Scripted {
        length: Some(3),
        ..short.clone()
    };
    let over = Scripted {
        says_it_ended: true,
        ..Scripted::new(&[Some("ab"), Some("cd")])
    };
    let late = Scripted::new(&[Some("ab"), None, Some("cd")]);
    let twice = Scripted::new(&[None, None]);
    let said = |length| [("content-length", length)];
    let cases = [
        (
            responding(200, &said("5"), abcd),
            length("Content-Length is 5 and the body has 4 bytes"),
        ),
        (
            responding(200, &said("1"), Body::empty),
            length("Content-Length is 1 and the body has 0 bytes"),
        ),
        (
            responding(200, &said("5"), stream),
            length("Content-Length is 5, and the body ended after 4 bytes"),
        ),
        (
            responding(200, &said("3"), stream),
            length("Content-Length is 3, and the body has 4 bytes or more"),
        ),
        (
            responding(200, &said("+4"), abcd),
            length("Content-Length is \"+4\", which is not one number"),
        ),
        (
            responding(200, &said("4, 4"), abcd),
            length("Content-Length is \"4, 4\", which is not one number"),
        ),
        (
            responding(200, &said(""), abcd),
            length("Content-Length is \"\", which is not one number"),
        ),
        (
            responding(200, &[said("4"), said("4")].concat(), abcd),
            length("there are 2 Content-Length headers"),
        ),
        (
            responding(200, &[], move || short.body()),
            length("the body's size hint is 5, and the body ended after 4 bytes"),
        ),
        (
            responding(200, &[], move || long.body()),
            length("the body's size hint is 3, and the body has 4 bytes or more"),
        ),
        (
            responding(204, &[], || Body::from("a")),
            length("a 204 has no body, and this one has 1 byte"),
        ),
        (
            responding(204, &said("0"), Body::empty),
            length("a 204 has no body, and so no Content-Length"),
        ),
        (
            responding(205, &[], abcd),
            length("a 205 has no body, and this one has 4 bytes"),
        ),
        (
            responding(304, &[], abcd),
            length("a 304 has no body, and this one has 4 bytes"),
        ),
        (
            responding(204, &[], stream),
            length("a 204 has no body, and the body has 2 bytes or more"),
        ),
        (
            responding(200, &[("connection", "close")], abcd),
            hop("connection"),
        ),
        (
            responding(200, &[("keep-alive", "x")], abcd),
            hop("keep-alive"),
        ),
        (
            responding(204, &[("upgrade", "x")], Body::empty),
            hop("upgrade"),
        ),
        (
            responding(200, &[("proxy-authenticate", "x")], abcd),
            hop("proxy-authenticate"),
        ),
        (
            responding(200, &[("transfer-encoding", "chunked")], abcd),
            hop("transfer-encoding"),
        ),
        (
            responding(200, &[], move || late.body()),
            end("data came after the trailers"),
        ),
        (
            responding(200, &[], move || twice.body()),
            end("trailers came after the trailers"),
        ),
        (
            responding(200, &[], move || over.body()),
            end("data came after the body reported its end"),
        ),
    ];
    for (app, expected) in cases {
        let (client, findings) = linted(app);
        // A gateway would correct much of this; the test checks the application's own response.
        client.without_gateway().get("/").send();
        assert_eq!(*findings.lock().unwrap(), [expected]);
    }
}

#[test]
fn a_gateway_that_breaks_a_law_is_reported() {
    let path =
        |text: &str| format!("{OUTER}1 (script_name and path are the path as received): {text}");
    let length = |text: &str| format!("{OUTER}2 (lengths are true): {text}");
    let late = Scripted::new(&[None, Some("cd")]);
    type Send = fn(RequestBuilder) -> RequestBuilder;
    let with: [(Send, String); 5] = [
        (
            |request| request.header("content-length", "5").body("abcd"),
            length("Content-Length is 5 and the body has 4 bytes"),
        ),
        (
            |request| {
                let stream = Body::from_iterator(["ab", "cd"]);
                request.header("content-length", "5").body(stream)
            },
            length("Content-Length is 5, and the body ended after 4 bytes"),
        ),
        (
            |request| {
                let stream = Body::from_iterator(["ab", "cd"]);
                request.header("content-length", "3").body(stream)
            },
            length("Content-Length is 3, and the body has 4 bytes or more"),
        ),
        (
            |request| request.header("content-length", "5x").body("abcd"),
            length("Content-Length is \"5x\", which is not one number"),
        ),
        (
            |request| {
                request
                    .header("content-length", "0")
                    .header("content-length", "0")
            },
            length("there are 2 Content-Length headers"),
        ),
    ];
    for (change, expected) in with {
        let (client, findings) = linted(reading());
        change(client.post("/")).send();
        assert_eq!(*findings.lock().unwrap(), [expected]);
    }
    let (client, findings) = linted(reading());
    client.post("/").body(late.body()).send();
    assert_eq!(
        *findings.lock().unwrap(),
        [format!(
            "{OUTER}4 (a body ends once): data came after the trailers"
        )]
    );
    let (client, findings) = linted(reading());
    let mut request = Request::get("/a");
    request.prepend_script_name("shop");
    client.prepared(request).send();
    assert_eq!(
        *findings.lock().unwrap(),
        [path(
            "script_name is \"shop\", which does not begin with a slash"
        )]
    );
}

#[test]
fn the_path_as_received_is_whole() {
    let cases = [
        ("", "/a/b", "/a/b", None),
        ("/a", "/b", "/a/b", None),
        ("/a/b", "", "/a/b", None),
        ("/shop/a", "/b", "/a/b", None),
        ("", "*", "*", None),
        ("", "", "", None),
        (
            "/a",
            "b",
            "/ab",
            Some("path is \"b\", which does not begin with a slash"),
        ),
        (
            "a",
            "/b",
            "/b",
            Some("script_name is \"a\", which does not begin with a slash"),
        ),
        (
            "",
            "/b",
            "/a/b",
            Some("script_name \"\" and path \"/b\" are not the canonical path, \"/a/b\""),
        ),
    ];
    for (script_name, path, received, expected) in cases {
        let found = super::check::path(script_name, path, received);
        assert_eq!(found.as_deref(), expected, "{script_name:?} {path:?}");
    }
}

#[test]
fn a_mount_that_is_undone_further_in_is_reported() {
    let strips = around("strips", |inner, mut request: Request| {
        request.set_uri(Uri::from_static("/users"));
        inner.call(request)
    });
    let mounts = around("mounts", |inner, mut request: Request| {
        request.mount("/api").unwrap();
        inner.call(request)
    });
    let app = reading().wrap(Lint::new()).wrap(strips.clone());
    let undone = app.wrap(Lint::new()).wrap(mounts.clone()).wrap(Lint::new());
    let text = panic_of(|| Client::new(undone.clone()).get("/api/users").send());
    assert_eq!(
        text,
        "the gateway (outside Lint) broke law 1 (script_name and path are the path as received): \
         script_name was \"/api\" further out and is \"\" now: mount a path with `Request::mount`, \
         do not cut it with `set_uri`"
    );
    // A rewrite before the mount loses nothing.
    let app = reading().wrap(Lint::new()).wrap(strips).wrap(Lint::new());
    assert_eq!(Client::new(app).get("/api/users").send().status(), 200);
    let app = reading().wrap(Lint::new()).wrap(mounts).wrap(Lint::new());
    assert_eq!(Client::new(app).get("/api/users").send().status(), 200);
}

fn panic_of(send: impl FnOnce() -> TestResponse) -> String {
    let panic = catch_unwind(AssertUnwindSafe(send)).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn a_finding_fails_the_test_whether_a_gateway_is_between_or_not() {
    let expected = "responding (inside Lint) broke law 2 (lengths are true): \
                    a 204 has no body, and this one has 1 byte";
    let app = responding(204, &[], || Body::from("a")).wrap(Lint::new());
    let client = Client::new(app);
    assert_eq!(panic_of(|| client.get("/").send()), expected);
    let bare = client.without_gateway();
    assert_eq!(panic_of(|| bare.get("/").send()), expected);
    // In the middle of a body, and in the application's reading of the request.
    let stream = responding(200, &[("content-length", "3")], || {
        Body::from_iterator(["ab", "cd"])
    });
    let client = Client::new(stream.wrap(Lint::new()));
    assert_eq!(
        panic_of(|| client.get("/").send()),
        "responding (inside Lint) broke law 2 (lengths are true): \
         Content-Length is 3, and the body has 4 bytes or more"
    );
    let client = Client::new(reading().wrap(Lint::new()));
    let body = Body::from_iterator(["ab", "cd"]);
    let request = client.post("/").header("content-length", "5").body(body);
    assert_eq!(
        panic_of(|| request.send()),
        "the gateway (outside Lint) broke law 2 (lengths are true): \
         Content-Length is 5, and the body ended after 4 bytes"
    );
}

#[test]
fn what_is_right_passes_unchanged() {
    let stream = || Body::from_iterator(["ab", "cd"]);
    let trailing = || Body::from("abcd").with_trailers(HeaderMap::new());
    let list = || Body::from_list(["ab", "cd"]);
    let said = [("content-length", "4")];
    let get = || Method::GET;
    let cases = [
        (get(), responding(200, &said, || Body::from("abcd")), "abcd"),
        (get(), responding(200, &said, stream), "abcd"),
        (get(), responding(200, &said, list), "abcd"),
        (get(), responding(200, &said, trailing), "abcd"),
        (get(), responding(200, &[], stream), "abcd"),
        (
            get(),
            responding(200, &[], || Scripted::new(&[]).body()),
            "",
        ),
        (get(), responding(204, &[], Body::empty), ""),
        (
            get(),
            responding(204, &[], || Body::from_iterator([""])),
            "",
        ),
        (get(), responding(304, &said, Body::empty), ""),
        (get(), responding(426, &[("upgrade", "x")], Body::empty), ""),
        (
            get(),
            responding(407, &[("proxy-authenticate", "Basic")], Body::empty),
            "",
        ),
        (
            get(),
            responding(200, &[("proxy-status", "x")], Body::empty),
            "",
        ),
        (Method::HEAD, responding(200, &said, Body::empty), ""),
        (
            Method::HEAD,
            responding(200, &[("content-length", "9")], || Body::from("abcd")),
            "abcd",
        ),
        (
            Method::HEAD,
            responding(200, &[("content-length", "9")], stream),
            "abcd",
        ),
    ];
    for (method, app, expected) in cases {
        let app = app.wrap(Lint::new()).wrap(Lint::new());
        let bare = Client::new(app.clone()).without_gateway();
        let response = bare.request(method.clone(), "/").send();
        assert_eq!(response.text(), expected, "{method} {}", response.status());
        Client::new(app).request(method, "/").send();
    }
    let (client, findings) = linted(reading());
    let body = Body::from_iterator(["ab", "cd"]);
    let request = client
        .post("/a?b")
        .header("content-length", "4")
        .header("te", "trailers");
    assert_eq!(request.body(body).send().text(), "abcd");
    assert_eq!(client.options("*").send().status(), 200);
    assert!(findings.lock().unwrap().is_empty());
}

#[test]
fn a_body_in_memory_stays_there_and_ends_are_reported_as_they_were() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let list = ends.clone();
    let app = responding(200, &[], || Body::from_iterator(["ab", "cd"])).wrap(around(
        "log",
        move |inner: &Application, request| {
            let list = list.clone();
            inner.call(request).map(move |response| {
                response.map(|body| {
                    body.on_end(move |end| list.lock().unwrap().push((end.bytes(), end.outcome())))
                })
            })
        },
    ));
    let client = Client::new(app.wrap(Lint::new()));
    client.get("/").send();
    client.head("/").send();
    drop(client.get("/").send_head());
    assert_eq!(
        *ends.lock().unwrap(),
        [
            (4, Outcome::Complete),
            (0, Outcome::Complete),
            (0, Outcome::Dropped)
        ]
    );
    let full = Client::new(responding(200, &[], || Body::from("abcd")).wrap(Lint::new()));
    assert_eq!(full.get("/").send_head().body().as_bytes().unwrap(), "abcd");
}
