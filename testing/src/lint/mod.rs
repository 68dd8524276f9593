//! The checker of the contract.

mod body;
mod check;
mod codings;
pub(crate) mod everywhere;
mod finding;
mod location;
mod report;
mod values;
mod vary;

use std::io::Write;
use std::sync::Arc;

use enfilade_core::{
    Application, Body, Description, Handler, IntoHandler, Middleware, Reply, Request, Response,
    path,
};
use http::header::LOCATION;
use http::{HeaderMap, Method};

use self::body::{CheckedBody, ExpectedLength};
use self::check::Content;
use self::codings::{CodingMemory, RequestCodings};
pub use self::finding::{Finding, Law, Side};
use self::location::LocationScope;
pub(crate) use self::report::Ledger;
use self::report::{Destination, Names, Report};
pub(crate) use self::vary::is_condition;

/// What `Lint` says it is in a description.
pub(crate) const NAME: &str = "Lint";

/// A wrapper that changes nothing and watches the laws of the contract.
///
/// It stands between two components and says which of them broke a law: [`Side::Application`] is what it is wrapped
/// around, [`Side::Gateway`] what is outside it, be that a gateway or a wrapper. Put one inside and one outside the
/// wrapper under test; [`lint_all`](crate::lint_all) puts one at every boundary of a stack.
///
/// Made by [`new`](Lint::new) it panics, for tests; made by [`report`](Lint::report) it calls a function and by
/// [`write_to`](Lint::write_to) it writes a line, so that a program can run with it.
///
/// | Law | Told |
/// |---|---|
/// | 1 | a path or script name that does not begin with a slash; a `script_name` that an outer `Lint` saw and that is gone further in |
/// | 2 | a `Content-Length` that is not one number, or not the length of the body; a body that is longer or shorter than it or its size hint said; a 1xx, 204, 205 or 304 with a body; a 1xx or 204 with a `Content-Length` |
/// | 3 | a hop-by-hop or `Proxy-*` header on a response; but not `Proxy-Status` (RFC 9209), not the `Proxy-Authenticate` of a 407 and not the `Upgrade` of a 426 |
/// | 3 | a 101 without an upgrade as its body ([`Upgrade::respond`](enfilade_core::Upgrade::respond)) |
/// | 4 | anything after the trailers, or after a body said that it had ended |
/// | 7 | white space at the edge of a value in the head or the trailers of a response |
/// | 7 | a trailer that frames, describes or routes (RFC 9110, section 6.5.1) |
/// | 7 | more than one line of `Content-Range`, `Content-Type`, `Date`, `ETag`, `Last-Modified`, `Location` or `Retry-After` |
/// | 7 | a `Content-Type` that is no media type, an `ETag` that is no entity tag, a `Date` or `Last-Modified` that is not the one form in which dates are written, a `Retry-After` that is neither such a date nor a number |
/// | 7 | a `Location` that is no URI reference, has a backslash, begins with `//`, or is a path from the root that leads out of the mount ([`allow_external_locations`](Lint::allow_external_locations)) |
/// | 7 | one strong `ETag` on two content codings of one target |
/// | 7 | two content codings of one target, chosen by `Accept-Encoding`, of which neither response says so in `Vary` |
/// | 9 | a 401 without `WWW-Authenticate`, a 405 without `Allow`, a 407 without `Proxy-Authenticate`, a 426 without `Upgrade` |
/// | 9 | a 206 or 304 that lacks a name in `Vary` which the 200 to the same request had |
///
/// `Lint` stands inside the gateway, and what [`gateway::finish`](enfilade_core::gateway::finish) is there to do is no
/// breach: an answer to HEAD may have the body of GET and any number as `Content-Length`, and the `Content-Length` of a 304 is
/// that of a body which is not there. Hop-by-hop headers on a *request* are let pass: a component that speaks
/// WebSocket reads `Upgrade`. A request's other headers are its sender's, and not judged. A stream of unknown length
/// is judged by what is read of it.
///
/// Not watched, because the types of the contract rule them out: an end that is reported twice, polling a [`Body`]
/// after its end or failure, and the bytes that RFC 9110, section 5.5, keeps out of header values (CR, LF, NUL and all
/// other control characters but the tab: `http` makes no such value). `Expires` is not judged, as RFC 9111, section
/// 5.3, gives every value a meaning.
///
/// # What is remembered
///
/// The last two rows about law 7 and the last one about law 9 need more than one response. Each place where a `Lint`
/// stands remembers up to four codings, and the `Vary` of the last 200, of up to 1,024 pairs of GET or HEAD and target
/// (with scheme and host), the oldest of which makes room for a new one. Only 200s are compared as codings, and a request with another method makes the target
/// forgotten. A 206 or 304 is compared with a 200 if the requests differ in nothing but `Range` and the `If-` headers of
/// RFC 9110, section 13. Codings count as chosen by
/// `Accept-Encoding` where each request took what it was given and one would not have taken the other's; where an answer
/// says that it varies by other headers, all of the two requests' other headers must be the same. So a target that merely
/// changes is no breach. One that is a breach is told once.
///
/// # Order
///
/// Anywhere.
///
/// # Cost
///
/// For each request: a copy of `script_name`, an entry or two in the request's extensions, a hash of each header line,
/// and a look at each header of the answer; a box more for a stream. The memory above takes a megabyte and a half at
/// most, and is behind a lock for which no request waits: an answer that finds it taken is not compared.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, IntoResponse, Request};
/// use enfilade_testing::{Client, Law, Lint, Side};
/// use std::sync::mpsc;
///
/// fn count(_: Request) -> impl IntoResponse {
///     ([("content-length", "5")], "four")
/// }
///
/// let (sender, findings) = mpsc::channel();
/// let app = Application::new(count)
///     .wrap(Lint::report(move |finding| sender.send(finding).unwrap()));
/// Client::new(app).get("/").send();
///
/// let finding = findings.recv().unwrap();
/// assert_eq!((finding.law(), finding.side()), (Law::Length, Side::Application));
/// assert_eq!(
///     finding.to_string(),
///     "count (inside Lint) broke law 2 (lengths are true): Content-Length is 5 and the body has 4 bytes"
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
    destination: Destination,
    inside: Option<Arc<str>>,
    outside: Option<Arc<str>>,
    location_scope: LocationScope,
}

impl Lint {
    /// A checker that panics with what it finds.
    #[expect(
        clippy::new_without_default,
        reason = "that it panics is a choice, and a default would hide it"
    )]
    pub fn new() -> Self {
        Lint::to(Destination::Panic)
    }

    /// A checker that calls `report` with what it finds, and lets the message pass.
    ///
    /// `report` is called while the request is worked on, so it should neither block nor panic.
    pub fn report(report: impl Fn(Finding) + Send + Sync + 'static) -> Self {
        Lint::to(Destination::Call(Arc::new(report)))
    }

    /// A checker that writes a line for each finding to `writer`, and lets the message pass.
    ///
    /// What a peer sent stands in the line escaped, and shortened where it is long. The line is given to `writer` in
    /// one piece while the request is worked on and other findings wait; what it says of a failure is passed over.
    /// A peer can bring about findings of some components, so what is behind it should have a bound.
    ///
    /// ```
    /// use enfilade_core::{Application, Request};
    /// use enfilade_testing::{Client, Lint};
    ///
    /// let app = Application::new(|_: Request| ([("location", "//elsewhere")], "Moved"));
    /// let app = app.wrap(Lint::write_to(std::io::stderr()));
    /// assert_eq!(Client::new(app).get("/").send().text(), "Moved");
    /// ```
    pub fn write_to(writer: impl Write + Send + 'static) -> Self {
        Lint::to(Destination::lines(writer))
    }

    fn to(destination: Destination) -> Self {
        Lint {
            destination,
            inside: None,
            outside: None,
            location_scope: LocationScope::Mount,
        }
    }

    /// Names what it is wrapped around, for findings; by default the name that is in its description.
    pub fn inside(mut self, component: impl Into<Arc<str>>) -> Self {
        self.inside = Some(component.into());
        self
    }

    /// Names what is directly outside it, for findings; `the gateway` by default.
    pub fn outside(mut self, component: impl Into<Arc<str>>) -> Self {
        self.outside = Some(component.into());
        self
    }

    /// Lets a `Location` be a path outside the mount; by default that is told where there is a mount.
    ///
    /// For an application that knows the paths of its neighbours. One that begins with `//` is told all the same, and
    /// so is one with a backslash: browsers take both for another host.
    pub fn allow_external_locations(mut self) -> Self {
        self.location_scope = LocationScope::Host;
        self
    }

    /// Puts copies of this at every boundary of a stack, each with the names of the components on both sides.
    ///
    /// It is what [`lint_all`](crate::lint_all) does; see there.
    #[must_use]
    pub fn everywhere<M>(mut self, app: impl IntoHandler<M>) -> Application {
        self.destination = self.destination.once();
        self.around(&app.into_application())
    }

    fn around(&self, app: &Application) -> Application {
        let description = app.describe();
        if description.name() == NAME {
            // Two in one place say the same, and neither is what a finding is about.
            return app.map_inner(&mut |inner| self.around(&inner));
        }
        let name: Arc<str> = description.name().into();
        let outside = self.clone().outside(name.clone());
        let mut handed_out = Vec::new();
        let app = app.map_inner(&mut |inner| {
            handed_out.push(inner.describe());
            outside.around(&inner)
        });
        if let Some(message) = unwatched(&description, &handed_out) {
            let side = Side::Application;
            self.destination
                .tell(Finding::new(Law::Tested, side, name.clone(), message));
        }
        app.wrap(self.clone().inside(name))
    }
}

impl Middleware for Lint {
    fn wrap(self, app: Application) -> Application {
        let inside = self.inside.clone();
        let outside = self.outside.clone();
        Application::from_handler(WithLint {
            names: Names {
                inside: inside.unwrap_or_else(|| name_of(&app.describe()).into()),
                outside: outside.unwrap_or_else(|| "the gateway".into()),
            },
            app,
            lint: self,
            memory: Arc::default(),
        })
    }
}

/// What is wrong if a component shows other applications than `map_inner` hands out: tools take the two as pairs, in order.
fn unwatched(description: &Description, handed_out: &[Description]) -> Option<String> {
    let shown: Vec<_> = description.children().map(|(_, child)| child).collect();
    let names = |all: &[&Description]| match all {
        [] => "none".to_owned(),
        _ => all
            .iter()
            .map(|one| one.name())
            .collect::<Vec<_>>()
            .join(", "),
    };
    let handed_out: Vec<_> = handed_out.iter().collect();
    (shown != handed_out).then(|| {
        format!(
            "of the applications inside, its description shows {} and its `map_inner` hands out {}: nothing watches what \
             passes between it and the others",
            names(&shown),
            names(&handed_out)
        )
    })
}

/// The name of a component, looking through what only watches it.
fn name_of(description: &Description) -> &str {
    let mut found = description;
    while found.name() == NAME
        && let Some((_, inner)) = found.children().next()
    {
        found = inner;
    }
    found.name()
}

/// It is no `Wrapper`: its names and its memory belong to one application, and another application needs new ones.
struct WithLint {
    app: Application,
    lint: Lint,
    names: Names,
    memory: Arc<CodingMemory>,
}

impl Handler for WithLint {
    fn call(&self, mut request: Request) -> Reply {
        let report = Report::new(&self.lint.destination, &self.names, &mut request);
        let facts = RequestFacts {
            method: request.method().clone(),
            script_name: request.script_name().into(),
            codings: self.memory.read_request(&request),
            location_scope: self.lint.location_scope,
        };
        let memory = self.memory.clone();
        let reply = self
            .app
            .call(incoming(request, &facts.script_name, &report));
        reply.map(move |response| {
            let response = outgoing(&facts.method, response, &report);
            for (law, wrong) in wrong_headers(facts, &response, &memory) {
                report.record(law, Side::Application, wrong);
            }
            response
        })
    }

    fn describe(&self) -> Description {
        Description::new(NAME).around(&self.app)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        Some(change(self.app.clone()).wrap(self.lint.clone()))
    }
}

/// What has to be kept of a request to judge its answer.
struct RequestFacts {
    method: Method,
    script_name: Arc<str>,
    codings: RequestCodings,
    location_scope: LocationScope,
}

/// What the nearest `Lint` further out saw mounted.
#[derive(Clone)]
struct Mounted(Arc<str>);

fn incoming(mut request: Request, script_name: &Arc<str>, report: &Report) -> Request {
    let record = |wrong: Option<String>| {
        wrong
            .into_iter()
            .for_each(|wrong| report.record(Law::Path, Side::Gateway, wrong));
    };
    record(check::path(
        script_name,
        request.path(),
        &path::canonical(request.uri().path()),
    ));
    let outer = request
        .extensions_mut()
        .insert(Mounted(script_name.clone()));
    if let Some(Mounted(outer)) = outer {
        record(check::mounts(&outer, script_name));
    }
    let said = said_length(request.headers(), request.body(), Side::Gateway, report);
    let body = request.take_body();
    *request.body_mut() = CheckedBody::around(body, Side::Gateway, report, said, false);
    request
}

fn outgoing(method: &Method, mut response: Response, report: &Report) -> Response {
    let record = |law, wrong| report.record(law, Side::Application, wrong);
    let (status, headers) = (response.status(), response.headers());
    let hop = check::hop_by_hop(status, headers, response.body().is_upgrade());
    hop.into_iter().for_each(|hop| record(Law::HopByHop, hop));
    let missing = check::required(status, headers);
    missing
        .into_iter()
        .for_each(|missing| record(Law::Required, missing));
    let content = check::content(method, status);
    let expected = match content {
        Content::Sent => said_length(headers, response.body(), Side::Application, report),
        // The body is that of GET, and nothing is known of what it should be.
        Content::Unsent => {
            let wrong = check::content_length(headers).err();
            wrong
                .into_iter()
                .for_each(|wrong| record(Law::Length, wrong));
            None
        }
        Content::Forbidden => {
            let known = response.body().known_length();
            let wrong = check::no_content(status, headers, known);
            wrong
                .into_iter()
                .for_each(|wrong| record(Law::Length, wrong));
            let source = || format!("a {} has no body", status.as_u16());
            known.is_none().then(|| ExpectedLength {
                length: 0,
                source: source(),
            })
        }
    };
    let body = std::mem::take(response.body_mut());
    let unsent = content != Content::Sent;
    *response.body_mut() = CheckedBody::around(body, Side::Application, report, expected, unsent);
    response
}

/// Law 7, for one response and for what came before it, and law 9 for what came before it.
fn wrong_headers(
    facts: RequestFacts,
    response: &Response,
    memory: &CodingMemory,
) -> Vec<(Law, String)> {
    let (status, headers) = (response.status(), response.headers());
    let location = headers.get(LOCATION);
    let location = location
        .and_then(|value| location::location(value, &facts.script_name, facts.location_scope));
    let mut wrong = values::values(headers);
    wrong.extend(location);
    let wrong = wrong.into_iter().map(|wrong| (Law::Values, wrong));
    let remembered = memory.record_response(facts.codings, status, headers);
    wrong.chain(remembered).collect()
}

/// Checks what is said of the length, and gives what the bytes are to be held against.
fn said_length(
    headers: &HeaderMap,
    body: &Body,
    side: Side,
    report: &Report,
) -> Option<ExpectedLength> {
    let known = body.known_length();
    let hint = known.map(|length| ExpectedLength {
        length,
        source: format!("the body's size hint is {length}"),
    });
    match check::content_length(headers) {
        Err(wrong) => report.record(Law::Length, side, wrong),
        Ok(said) => match check::length(said, known) {
            Some(wrong) => report.record(Law::Length, side, wrong),
            None => {
                return hint.or(said.map(|length| ExpectedLength {
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
