//! The checker of the contract.

mod body;
mod check;
mod codings;
pub(crate) mod everywhere;
mod exchange;
mod finding;
mod location;
mod report;
mod values;
mod vary;

use std::io::Write;
use std::sync::Arc;

use enfilade_core::{Application, Description, Handler, IntoHandler, Middleware, Reply, Request};

use self::codings::CodingMemory;
use self::exchange::{RequestFacts, incoming, outgoing, wrong_headers};
pub use self::finding::{Finding, Law, Side};
use self::location::LocationScope;
pub(crate) use self::report::Ledger;
use self::report::{Destination, Names, Report};
pub(crate) use self::vary::is_condition;

/// The name of `Lint` in a description.
pub(crate) const NAME: &str = "Lint";

/// A wrapper that changes nothing and checks the laws of the contract.
///
/// It stands between two components and reports which of them broke a law: [`Side::Application`] is the application it
/// wraps, [`Side::Gateway`] is the gateway or wrapper outside it. Put one inside and one outside the wrapper under
/// test; [`lint_all`](crate::lint_all) puts one at every boundary of a stack.
///
/// One from [`new`](Lint::new) panics, for tests. For a running program, one from [`report`](Lint::report) calls a
/// function, and one from [`write_to`](Lint::write_to) writes a line.
///
/// | Law | Reported |
/// |---|---|
/// | 1 | a path or script name that does not begin with a slash; a `script_name` that an outer `Lint` saw and that is lost further in |
/// | 2 | a `Content-Length` that is not one number, or not the length of the body; a body that is longer or shorter than it or its size hint declares; a 1xx, 204, 205 or 304 with a body; a 1xx or 204 with a `Content-Length` |
/// | 3 | a hop-by-hop or `Proxy-*` header on a response, except `Proxy-Status` (RFC 9209), the `Proxy-Authenticate` of a 407 and the `Upgrade` of a 426 |
/// | 3 | a 101 without an upgrade as its body ([`Upgrade::respond`](enfilade_core::Upgrade::respond)) |
/// | 4 | frames after the trailers, or after a body reported its end |
/// | 7 | white space at the edge of a value in the head or the trailers of a response |
/// | 7 | a trailer that frames, describes or routes (RFC 9110, section 6.5.1) |
/// | 7 | more than one `Content-Range`, `Content-Type`, `Date`, `ETag`, `Last-Modified`, `Location` or `Retry-After` |
/// | 7 | a `Content-Type` that is not a media type, an `ETag` that is not an entity tag, a `Date` or `Last-Modified` that is not an `IMF-fixdate`, a `Retry-After` that is neither such a date nor a number |
/// | 7 | a `Location` that is not a URI reference, has a backslash, begins with `//`, or is a path from the root that leads out of the mount ([`allow_external_locations`](Lint::allow_external_locations)) |
/// | 7 | one strong `ETag` on two content codings of one target |
/// | 7 | two content codings of one target, chosen by `Accept-Encoding`, if neither response names that header in `Vary` |
/// | 9 | a 401 without `WWW-Authenticate`, a 405 without `Allow`, a 407 without `Proxy-Authenticate`, a 426 without `Upgrade` |
/// | 9 | a 206 or 304 that lacks a name in `Vary` which the 200 to the same request had |
///
/// `Lint` stands inside the gateway, so faults that [`gateway::finish`](enfilade_core::gateway::finish) corrects are
/// not findings. A response to HEAD may have the body of GET and any number as `Content-Length`. The `Content-Length`
/// of a 304 is that of the body that is not sent. Hop-by-hop headers on a *request* are allowed: a component that
/// speaks WebSocket reads `Upgrade`. A request's other headers are the client's, and are not checked. For a stream of
/// unknown length, the part that is read is checked.
///
/// Not checked, because the types of the contract rule them out: an end that is reported twice, polling a [`Body`](enfilade_core::Body)
/// after its end or failure, and the bytes that RFC 9110, section 5.5, forbids in header values (CR, LF, NUL and all
/// other control characters except the tab: `http` makes no such value). `Expires` is not checked, because every value
/// has a meaning (RFC 9111, section 5.3).
///
/// # What is remembered
///
/// The last two rows about law 7 and the last one about law 9 need more than one response. So `Lint` remembers at each
/// of its places, for each pair of method (GET or HEAD) and target (with scheme and host), up to four codings and the
/// `Vary` of the last 200. It remembers up to 1,024 pairs; a new one replaces the oldest.
///
/// Only 200s are compared as codings. A request with another method makes `Lint` forget the target. A 206 or 304 is
/// compared with a 200 if the requests differ only in `Range` and the `If-` headers of RFC 9110, section 13. Codings
/// count as chosen by `Accept-Encoding` if each request accepted the coding that it got, and one would not have
/// accepted the other's. If a response declares that it varies by other headers, all other headers of the two requests
/// must be the same. So a target that merely changes is not a finding. The fault of a target is reported once.
///
/// # Order
///
/// Works at any place in a stack.
///
/// # Cost
///
/// For each request: a copy of `script_name`, an entry or two in the request's extensions, a hash of each header value,
/// and a check of each header of the response. A stream costs one box more. The memory above takes at most one and a
/// half megabytes. It is behind a lock for which no request waits: if the lock is taken, the response is not compared.
///
/// # Example
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, IntoResponse, Request};
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
/// A `Lint` from [`new`](Lint::new) panics in the call or while a body is read. A gateway turns a panic in the call
/// into a 500; [`Client`](crate::Client) panics with the finding in the test.
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Lint {
    destination: Destination,
    inside: Option<Arc<str>>,
    outside: Option<Arc<str>>,
    location_scope: LocationScope,
}

impl Lint {
    /// A checker that panics with its findings.
    #[expect(
        clippy::new_without_default,
        reason = "panicking is a choice, and a default would hide it"
    )]
    pub fn new() -> Self {
        Lint::to(Destination::Panic)
    }

    /// A checker that calls `report` with each finding, and lets the message pass.
    ///
    /// `report` is called while the request is handled, so it should neither block nor panic.
    pub fn report(report: impl Fn(Finding) + Send + Sync + 'static) -> Self {
        Lint::to(Destination::Call(Arc::new(report)))
    }

    /// A checker that writes a line for each finding to `writer`, and lets the message pass.
    ///
    /// Text from a peer is escaped in the line, and shortened if it is long. The line is written in one piece while the
    /// request is handled, and other findings wait. Write errors are ignored. A peer can cause findings in some
    /// components, so the destination should have a size limit.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, Request};
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

    /// Sets the name of the wrapped application, for findings. By default the name in its description.
    pub fn inside(mut self, component: impl Into<Arc<str>>) -> Self {
        self.inside = Some(component.into());
        self
    }

    /// Sets the name of the component directly outside, for findings. By default `the gateway`.
    pub fn outside(mut self, component: impl Into<Arc<str>>) -> Self {
        self.outside = Some(component.into());
        self
    }

    /// Allows a `Location` to be a path outside the mount. By default that is a finding.
    ///
    /// For an application that knows the paths of its neighbours. A `Location` that begins with `//` or has a backslash
    /// is still a finding: browsers take both for another host.
    pub fn allow_external_locations(mut self) -> Self {
        self.location_scope = LocationScope::Host;
        self
    }

    /// Puts copies of this at every boundary of a stack.
    ///
    /// Each has the names of the components on both sides.
    ///
    /// See [`lint_all`](crate::lint_all), which does the same.
    #[must_use]
    pub fn everywhere<M>(mut self, app: impl IntoHandler<M>) -> Application {
        self.destination = self.destination.once();
        self.around(&app.into_application())
    }

    fn around(&self, app: &Application) -> Application {
        let description = app.describe();
        if description.name() == NAME {
            // Two in one place report the same, and a finding is never about one of them.
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

/// Checks that a component shows the applications that `map_inner` passes: tools take the two as pairs, in order.
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
            "of the applications inside, its description shows {} and its `map_inner` passes {}: the others cannot be \
             watched",
            names(&shown),
            names(&handed_out)
        )
    })
}

/// The name of a component, looking through components that only watch it.
fn name_of(description: &Description) -> &str {
    let mut found = description;
    while found.name() == NAME
        && let Some((_, inner)) = found.children().next()
    {
        found = inner;
    }
    found.name()
}

/// Not a `Wrapper`: its names and its memory belong to one application, and another application needs new ones.
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

#[cfg(test)]
mod tests;
