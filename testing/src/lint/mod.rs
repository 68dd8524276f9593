//! The checker of the contract.

mod body;
mod check;
mod finding;

use std::sync::Arc;

use enfilade_core::{
    Application, Body, Description, Handler, Middleware, Reply, Request, Response,
};
use http::{HeaderMap, Method};

use self::body::{Promise, Watched};
use self::check::Content;
pub(crate) use self::finding::Ledger;
use self::finding::Report;
pub use self::finding::{Finding, Law, Side};

/// A wrapper that changes nothing and watches the laws of the contract.
///
/// It stands between two components and says which of them broke a law: [`Side::Application`] is what it is wrapped
/// around, [`Side::Gateway`] what is outside it, be that a gateway or a wrapper. Put one inside and one outside the
/// wrapper under test.
///
/// Made by [`new`](Lint::new) it panics, for tests; made by [`report`](Lint::report) it calls a function, so that a
/// program can run with it.
///
/// | Law | Told |
/// |---|---|
/// | 1 | a path or script name that does not begin with a slash; a `script_name` that an outer `Lint` saw and that is gone further in |
/// | 2 | a `Content-Length` that is not one number, or not the length of the body; a body that is longer or shorter than it or its size hint said; a 1xx, 204, 205 or 304 with a body; a 1xx or 204 with a `Content-Length` |
/// | 3 | a hop-by-hop or `Proxy-*` header on a response that is no 101; but not `Proxy-Status` (RFC 9209), and not the `Proxy-Authenticate` of a 407 |
/// | 4 | anything after the trailers, or after a body said that it had ended |
///
/// `Lint` stands inside the gateway, and what [`gateway::finish`](enfilade_core::gateway::finish) is there to do is no
/// breach: an answer to HEAD may have the body of GET and any `Content-Length`, and the `Content-Length` of a 304 is
/// that of a body which is not there. Hop-by-hop headers on a *request* are let pass: a component that speaks
/// WebSocket reads `Upgrade`. A stream of unknown length is judged by what is read of it.
///
/// Not watched, because the types of the contract rule them out: an end that is reported twice, and polling a
/// [`Body`] after its end or failure.
///
/// # Order
///
/// Anywhere. It is meant for tests: streams cost a box more, and `script_name` is copied.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_testing::{Client, Law, Lint, Side};
/// use std::sync::mpsc;
///
/// let (sender, findings) = mpsc::channel();
/// let app = Application::new(|_: Request| ([("content-length", "5")], "four"))
///     .wrap(Lint::report(move |finding| sender.send(finding).unwrap()));
/// Client::new(app).get("/").send();
///
/// let finding = findings.recv().unwrap();
/// assert_eq!((finding.law(), finding.side()), (Law::Length, Side::Application));
/// assert_eq!(
///     finding.to_string(),
///     "the application (inside Lint) broke law 2 (lengths are true): Content-Length is 5 and the body has 4 bytes"
/// );
/// ```
///
/// # Panics
///
/// One made by [`new`](Lint::new) panics in the call or while a body is read. A gateway turns the former into a 500;
/// [`Client`](crate::Client) panics with it in the test.
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Lint {
    report: Report,
}

impl Lint {
    /// A checker that panics with what it finds.
    #[expect(
        clippy::new_without_default,
        reason = "that it panics is a choice, and a default would hide it"
    )]
    pub fn new() -> Self {
        Lint {
            report: Report::Panic(None),
        }
    }

    /// A checker that calls `report` with what it finds, and lets the message pass.
    pub fn report(report: impl Fn(Finding) + Send + Sync + 'static) -> Self {
        Lint {
            report: Report::Call(Arc::new(report)),
        }
    }
}

impl Middleware for Lint {
    fn wrap(self, app: Application) -> Application {
        Application::from_handler(Linted { app, lint: self })
    }
}

struct Linted {
    app: Application,
    lint: Lint,
}

impl Handler for Linted {
    fn call(&self, request: Request) -> Reply {
        let report = self.lint.report.for_request(request.extensions().get());
        let method = request.method().clone();
        let reply = self.app.call(incoming(request, &report));
        reply.map(move |response| outgoing(&method, response, &report))
    }

    fn describe(&self) -> Description {
        Description::new("Lint").around(&self.app)
    }
}

/// What the nearest `Lint` further out saw mounted.
#[derive(Clone)]
struct Mounted(String);

fn incoming(mut request: Request, report: &Report) -> Request {
    let tell = |law, message| report.tell(Finding::new(law, Side::Gateway, message));
    let script_name = request.script_name().to_owned();
    let wrong = check::path(&script_name, request.path(), request.uri().path());
    wrong.into_iter().for_each(|wrong| tell(Law::Path, wrong));
    if let Some(Mounted(outer)) = request
        .extensions_mut()
        .insert(Mounted(script_name.clone()))
    {
        let lost = check::mounts(&outer, &script_name);
        lost.into_iter().for_each(|lost| tell(Law::Path, lost));
    }
    let said = said_length(request.headers(), request.body(), Side::Gateway, report);
    let body = request.take_body();
    *request.body_mut() = Watched::around(body, Side::Gateway, report, said, false);
    request
}

fn outgoing(method: &Method, mut response: Response, report: &Report) -> Response {
    let tell = |law, message| report.tell(Finding::new(law, Side::Application, message));
    let (status, headers) = (response.status(), response.headers());
    let hop = check::hop_by_hop(status, headers);
    hop.into_iter().for_each(|hop| tell(Law::HopByHop, hop));
    let content = check::content(method, status);
    let promise = match content {
        Content::Sent => said_length(headers, response.body(), Side::Application, report),
        // The body is that of GET, and nothing is known of what it should be.
        Content::Unsent => None,
        Content::Forbidden => {
            let known = response.body().known_length();
            let wrong = check::no_content(status, headers, known);
            wrong.into_iter().for_each(|wrong| tell(Law::Length, wrong));
            let source = || format!("a {} has no body", status.as_u16());
            known.is_none().then(|| Promise {
                length: 0,
                source: source(),
            })
        }
    };
    let body = std::mem::take(response.body_mut());
    let unsent = content != Content::Sent;
    *response.body_mut() = Watched::around(body, Side::Application, report, promise, unsent);
    response
}

/// Checks what is said of the length, and gives what the bytes are to be held against.
fn said_length(headers: &HeaderMap, body: &Body, side: Side, report: &Report) -> Option<Promise> {
    let known = body.known_length();
    let hint = known.map(|length| Promise {
        length,
        source: format!("the body's size hint is {length}"),
    });
    match check::content_length(headers) {
        Err(wrong) => report.tell(Finding::new(Law::Length, side, wrong)),
        Ok(said) => match check::length(said, known) {
            Some(wrong) => report.tell(Finding::new(Law::Length, side, wrong)),
            None => {
                return hint.or(said.map(|length| Promise {
                    length,
                    source: format!("Content-Length is {length}"),
                }));
            }
        },
    }
    hint
}

#[cfg(test)]
mod tests;
