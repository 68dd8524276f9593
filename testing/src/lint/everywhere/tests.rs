use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade_core::{
    Application, Around, Body, BodyError, Description, Handler, Reply, Request, Response, around,
};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body as HttpBody, Frame};

use super::*;
use crate::client::Client;
use crate::lint::Law;
use crate::lint::Side;

type ReportFunction = fn(&Application, Request) -> Reply;

/// Responds with the content of the request.
fn echo() -> Application {
    Application::new(async |mut request: Request| {
        let content = request.take_body().collect(1_000).await;
        content.unwrap_or_default()
    })
}

/// Five wrappers: the third calls `broken`, the outermost mounts.
fn house(broken: ReportFunction) -> Application {
    let nothing = |name| around(name, Application::call as ReportFunction);
    let mount = around("Mount", |inner: &Application, mut request: Request| {
        let _ = request.mount("/house");
        inner.call(request)
    });
    echo()
        .wrap(nothing("Garden"))
        .wrap(nothing("Terrace"))
        .wrap(around("Broken", broken))
        .wrap(nothing("Salon"))
        .wrap(mount)
}

fn with_header(reply: Reply, name: &'static str, value: &'static str) -> Reply {
    reply.update(move |response| {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    })
}

fn with_body(reply: Reply, change: fn(Body) -> Body) -> Reply {
    reply.map(move |response| response.map(change))
}

/// A body that has trailers twice.
struct Twice(Body, u8);

impl HttpBody for Twice {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.0).poll_frame(context) {
            Poll::Ready(None) if self.1 < 2 => {
                self.1 += 1;
                Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new()))))
            }
            next => next,
        }
    }
}

fn twice(body: Body) -> Body {
    Body::new(Twice(body, 0))
}

/// Each law, on each side where it can be broken.
const BREACHES: [(Law, Side, ReportFunction); 12] = [
    (Law::Path, Side::Gateway, |inner, mut request| {
        request.set_uri("/room".parse().unwrap());
        inner.call(request)
    }),
    (Law::Path, Side::Gateway, |inner, mut request| {
        request.prepend_script_name("street");
        inner.call(request)
    }),
    (Law::Length, Side::Gateway, |inner, mut request| {
        let length = HeaderValue::from_static("3");
        request.headers_mut().insert(CONTENT_LENGTH, length);
        inner.call(request)
    }),
    (Law::Length, Side::Gateway, |inner, mut request| {
        request.headers_mut().insert(CONTENT_LENGTH, 99.into());
        *request.body_mut() = Body::from_iterator(["longer"]);
        inner.call(request)
    }),
    (Law::Length, Side::Application, |inner, request| {
        with_header(inner.call(request), "content-length", "3")
    }),
    (Law::Length, Side::Application, |inner, request| {
        let reply = with_header(inner.call(request), "content-length", "3");
        with_body(reply, |_| Body::from_iterator(["ab", "cd"]))
    }),
    (Law::Length, Side::Application, |inner, request| {
        inner.call(request).map(|mut response| {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        })
    }),
    (Law::HopByHop, Side::Application, |inner, request| {
        with_header(inner.call(request), "keep-alive", "5")
    }),
    (Law::BodyEnd, Side::Gateway, |inner, mut request| {
        let body = twice(request.take_body());
        *request.body_mut() = body;
        inner.call(request)
    }),
    (Law::BodyEnd, Side::Application, |inner, request| {
        with_body(inner.call(request), twice)
    }),
    (Law::Values, Side::Application, |inner, request| {
        with_header(inner.call(request), "last-modified", "yesterday")
    }),
    (Law::Values, Side::Application, |inner, request| {
        with_header(inner.call(request), "location", "/login")
    }),
];

#[test]
fn the_guilty_one_is_named_and_no_other() {
    for (law, side, broken) in BREACHES {
        let findings = Arc::new(Mutex::new(Vec::new()));
        let list = findings.clone();
        let app = lint_all_with(house(broken), move |finding| {
            list.lock().unwrap().push(finding);
        });
        let client = Client::new(app).without_gateway();
        client.post("/house/room").body("content").send();
        let findings = findings.lock().unwrap();
        let reported: Vec<_> = findings
            .iter()
            .map(|found| (found.law(), found.side(), found.component()))
            .collect();
        assert_eq!(reported, [(law, side, "Broken")], "{findings:?}");
    }
}

#[test]
fn the_panic_names_the_guilty_one() {
    for (law, side, broken) in BREACHES {
        for client in [
            Client::new(lint_all(house(broken))),
            Client::new(lint_all(house(broken))).without_gateway(),
        ] {
            let request = client.post("/house/room").body("content");
            let panic = catch_unwind(AssertUnwindSafe(|| request.send())).unwrap_err();
            let text = panic.downcast_ref::<String>().unwrap();
            let begin = format!("Broken ({side}) broke law {} ({law}): ", law.number());
            assert!(text.starts_with(&begin), "{text}");
        }
    }
}

#[test]
fn a_stack_without_fault_is_as_it_was() {
    let app = lint_all(house(Application::call));
    let client = Client::new(app.clone());
    for target in ["/house/room?a=b", "/house", "/street"] {
        let body = Body::from_iterator(["con", "tent"]);
        let response = client.post(target).header("content-length", "7").body(body);
        assert_eq!(response.send().text(), "content");
        assert_eq!(client.head(target).send().status(), 200);
    }
    assert_eq!(
        lint_all(&app)
            .describe()
            .to_string()
            .matches("Lint")
            .count(),
        12,
        "one around each of six components, and again"
    );
}

#[test]
fn codings_without_vary_are_reported_for_the_wrapper_that_compresses() {
    let findings = Arc::new(Mutex::new(Vec::new()));
    let list = findings.clone();
    let app = house(|inner, request| {
        let is_asked_for = request.headers().contains_key(ACCEPT_ENCODING);
        inner.call(request).map(move |mut response: Response| {
            if is_asked_for {
                let gzip = HeaderValue::from_static("gzip");
                response.headers_mut().insert(CONTENT_ENCODING, gzip);
            }
            response
        })
    });
    let app = lint_all_with(&app, move |finding| list.lock().unwrap().push(finding));
    let client = Client::new(app);
    for _ in 0..3 {
        client
            .get("/house/a")
            .header("accept-encoding", "gzip")
            .send();
        client.get("/house/a").send();
    }
    let findings = findings.lock().unwrap();
    let names: Vec<_> = findings.iter().map(Finding::component).collect();
    assert_eq!(names, ["Broken"], "{findings:?}");
}

/// Shows two applications, and passes to `map_inner` what its function chooses.
struct Attic(Application, HandOut);

type HandOut = fn(&Attic, &mut dyn FnMut(Application) -> Application) -> Option<Application>;

impl Handler for Attic {
    fn call(&self, request: Request) -> Reply {
        self.0.call(request)
    }

    fn describe(&self) -> Description {
        let trunk = Description::new("Trunk");
        Description::new("Attic")
            .around(&self.0)
            .child("other", trunk)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        (self.1)(self, change)
    }
}

/// Passed to `map_inner` and not shown.
struct Cellar(Application);

impl Handler for Cellar {
    fn call(&self, request: Request) -> Reply {
        self.0.call(request)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        Some(Cellar(change(self.0.clone())).into())
    }
}

#[test]
fn it_says_where_it_cannot_look() {
    let none: HandOut = |_, _| None;
    let first: HandOut = |attic, change| Some(Attic(change(attic.0.clone()), attic.1).into());
    let cases: [(Application, &str, &str, &str); 3] = [
        (
            Attic(echo(), none).into(),
            "Attic",
            "closure in echo, Trunk",
            "none",
        ),
        (
            Attic(echo(), first).into(),
            "Attic",
            "closure in echo, Trunk",
            "closure in echo",
        ),
        (Cellar(echo()).into(), "Cellar", "none", "closure in echo"),
    ];
    for (app, name, shown, handed_out) in cases {
        let findings = Arc::new(Mutex::new(Vec::new()));
        let list = findings.clone();
        let app = app.wrap(around("Hall", Application::call));
        let linted = lint_all_with(&app, move |finding| list.lock().unwrap().push(finding));
        let message = format!(
            "of the applications inside, its description shows {shown} and its `map_inner` passes {handed_out}: \
             the others cannot be watched"
        );
        let expected = Finding::new(Law::Tested, Side::Application, name.into(), message);
        assert_eq!(*findings.lock().unwrap(), std::slice::from_ref(&expected));
        Client::new(linted).post("/").body("x").send();
        assert_eq!(
            findings.lock().unwrap().len(),
            1,
            "it is reported once, and not by requests"
        );
        let panic = catch_unwind(AssertUnwindSafe(|| lint_all(&app))).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert_eq!(*text, expected.to_string());
    }
}

#[test]
fn a_lint_that_is_there_already_is_never_at_fault() {
    let nothing: fn(&str) -> Around<ReportFunction> =
        |name| around(name, Application::call as ReportFunction);
    let findings = Arc::new(Mutex::new(Vec::new()));
    let list = findings.clone();
    let app = echo().wrap(Lint::report(drop)).wrap(nothing("Salon"));
    let app = app.wrap(around("Broken", |inner, mut request: Request| {
        request.prepend_script_name("street");
        with_header(inner.call(request), "etag", "x")
    }));
    let app = app.wrap(Lint::report(drop)).wrap(nothing("Hall"));
    let app = lint_all_with(&app, move |finding| list.lock().unwrap().push(finding));
    Client::new(app).get("/").send();
    let findings = findings.lock().unwrap();
    let reported: Vec<_> = findings
        .iter()
        .map(|found| (found.side(), found.component()))
        .collect();
    assert_eq!(
        reported,
        [(Side::Gateway, "Broken"), (Side::Application, "Broken")]
    );
}
