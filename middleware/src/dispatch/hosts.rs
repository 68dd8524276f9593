//! Chooses between applications by the host that is asked for.

use std::fmt;

use enfilade_core::{Application, Description, Handler, IntoHandler, Reply, Request};
use http::StatusCode;

use crate::error::Error;
use crate::error::ErrorKind;
use crate::matching::host_pattern::{HostPattern, host_and_port};

/// Chooses between applications by host. It is a [`Handler`], so an [`Application`] is made of it by `Application::new`.
///
/// The host is the authority of an absolute target, else the `Host` header. Hosts are written as for
/// [`TrustedHosts`](crate::TrustedHosts): `example.org`, `example.org:8080`, `*.example.org`, `**.example.org`,
/// `.example.org`, addresses. Of those that mean the host of a request the most specific answers, in whatever order they
/// were added: an exact one before one with a star, a longer name before a shorter, one label before any number, and of
/// two that are otherwise the same the one with a port.
///
/// A request for any other host, or for one that is missing, there more than once or malformed, goes to
/// [`otherwise`](Hosts::otherwise); without one it is a 404 without content, which a [`NotFound`](crate::NotFound)
/// outside may answer.
///
/// What a star stands for is not among the captures of the request, which are parts of its path; it is at the beginning
/// of [`Request::hostname`].
///
/// # Order
///
/// Wrappers outside see the requests of all hosts, those around an application only its own.
///
/// # Security
///
/// A client may name any host, so an application that is reached by `otherwise` must not trust the name. An application
/// is no less reachable for standing behind a host that only the inside knows.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::Hosts;
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
/// let hosts = Hosts::new()
///     .host("*.example.org", |request: Request| format!("tenant of {}", request.hostname().unwrap_or_default()))?
///     .host("www.example.org", |_: Request| "shop")?;
/// let client = Client::new(Application::new(hosts));
/// let ask = |host: &str| client.get("/").header("host", host).send();
/// assert_eq!(ask("www.example.org").text(), "shop");
/// assert_eq!(ask("a.example.org").text(), "tenant of a.example.org");
/// assert_eq!(ask("example.net").status(), 404);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "hosts do nothing until an application is made of them"]
pub struct Hosts {
    /// The most specific first.
    table: Vec<(HostPattern, Application)>,
    otherwise: Option<Application>,
}

impl Hosts {
    /// No hosts: every request is a 404.
    pub fn new() -> Hosts {
        Hosts::default()
    }

    /// Answers requests for `host` with `app`.
    ///
    /// # Errors
    ///
    /// Where the host is not well formed, or is there already.
    pub fn host<M>(mut self, host: &str, app: impl IntoHandler<M>) -> Result<Hosts, Error> {
        let pattern = HostPattern::parse(host)?;
        if self.table.iter().any(|(known, _)| *known == pattern) {
            let message = format!("there is an application for {host:?} already");
            return Err(Error::new(ErrorKind::Host, message));
        }
        self.table.push((pattern, app.into_application()));
        self.table.sort_by_key(|(pattern, _)| pattern.rank());
        Ok(self)
    }

    /// Answers requests for any other host, and for none, with `app`; a 404 without content by default.
    pub fn otherwise<M>(mut self, app: impl IntoHandler<M>) -> Hosts {
        self.otherwise = Some(app.into_application());
        self
    }

    fn choose(&self, request: &Request) -> Option<&Application> {
        let found = host_and_port(request).and_then(|(host, port)| {
            let mut table = self.table.iter();
            table.find(|(pattern, _)| pattern.matches(&host, port))
        });
        found.map(|(_, app)| app).or(self.otherwise.as_ref())
    }
}

impl Handler for Hosts {
    fn call(&self, request: Request) -> Reply {
        match self.choose(&request) {
            Some(app) => app.call(request),
            None => Reply::new(StatusCode::NOT_FOUND),
        }
    }

    fn describe(&self) -> Description {
        let table = self.table.iter();
        let tree = table.fold(Description::new("Hosts"), |tree, (pattern, app)| {
            tree.child(pattern.to_string(), app.describe())
        });
        let otherwise = self.otherwise.iter();
        otherwise.fold(tree, |tree, app| tree.child("otherwise", app.describe()))
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let mut hosts = self.clone();
        let apps = hosts.table.iter_mut().map(|(_, app)| app);
        for app in apps.chain(&mut hosts.otherwise) {
            *app = change(app.clone());
        }
        Some(Application::from_handler(hosts))
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.describe(), f)
    }
}

#[cfg(test)]
mod tests {
    use enfilade_core::{Connection, Scheme};
    use enfilade_testing::laws::Check;
    use enfilade_testing::{Client, Lint};

    use super::*;
    use crate::dispatch::not_found::NotFound;

    const SOME: [&str; 6] = [
        ".example.org",
        "**.example.org",
        "*.example.org",
        "a.example.org",
        "a.example.org:8080",
        "[::1]",
    ];

    /// Each application answers with its host.
    fn hosts(list: impl IntoIterator<Item = &'static str>) -> Hosts {
        list.into_iter().fold(Hosts::new(), |hosts, host| {
            let app = Application::new(move |_: Request| host);
            hosts.host(host, app.wrap(Lint::new())).unwrap()
        })
    }

    fn linted(hosts: Hosts) -> Client {
        Client::new(Application::new(hosts).wrap(Lint::new())).without_gateway()
    }

    #[test]
    fn the_most_specific_host_answers_in_any_order() {
        let cases = [
            ("a.example.org:8080", "a.example.org:8080"),
            ("A.example.org.:81", "a.example.org"),
            ("a.example.org", "a.example.org"),
            ("b.example.org", "*.example.org"),
            ("c.b.example.org", "**.example.org"),
            ("example.org", ".example.org"),
            ("[0::1]:81", "[::1]"),
            ("evilexample.org", "otherwise"),
            ("evil.test%2f.example.org", "otherwise"),
            ("example.org.evil.net", "otherwise"),
            ("a b", "otherwise"),
            ("", "otherwise"),
        ];
        for list in [SOME.to_vec(), SOME.into_iter().rev().collect()] {
            let client = linted(hosts(list).otherwise(|_: Request| "otherwise"));
            for (host, expected) in cases {
                let response = client.get("/").header("host", host).send();
                assert_eq!(response.text(), expected, "{host}");
            }
        }
    }

    #[test]
    fn the_host_is_the_one_of_the_request() {
        let client = linted(hosts(["a", "b"]));
        let absolute = client.get("http://a/").header("host", "b");
        assert_eq!(absolute.send().text(), "a");
        let forwarded = client.get("/").header("host", "a");
        assert_eq!(forwarded.header("x-forwarded-host", "b").send().text(), "a");
        let two = client.get("/").header("host", "a").header("host", "b");
        assert_eq!(two.send().status(), 404);
        assert_eq!(client.get("/").without_host().send().status(), 404);
    }

    #[test]
    fn a_port_may_be_the_schemes() {
        let client = linted(hosts(["a:443", "a"]));
        let secure = client.get("/").connection(Connection::new(Scheme::Https));
        assert_eq!(secure.header("host", "a").send().text(), "a:443");
        assert_eq!(client.get("/").header("host", "a").send().text(), "a");
    }

    #[test]
    fn a_not_found_outside_answers_for_unknown_hosts() {
        let page = Application::new(|_: Request| (StatusCode::NOT_FOUND, "page"));
        let app = Application::new(hosts(["a"])).wrap(NotFound::new(page));
        let response = Client::new(app).get("/").header("host", "b").send();
        assert_eq!(response.status(), 404);
        assert_eq!(response.text(), "page");
    }

    #[test]
    fn a_host_is_there_once() {
        let error = hosts(["Example.org"]).host("example.ORG.", |_: Request| "x");
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Host);
        let message = "there is an application for \"example.ORG.\" already";
        assert_eq!(error.to_string(), message);
        assert!(Hosts::new().host("a b", |_: Request| "x").is_err());
    }

    #[test]
    fn is_described_as_a_table() {
        fn shop(_: Request) {}
        fn tenant(_: Request) {}
        fn nobody(_: Request) {}
        let hosts = Hosts::new().host("*.example.org", tenant);
        let hosts = hosts.and_then(|hosts| hosts.host("www.example.org:81", shop));
        let app = Application::new(hosts.unwrap().otherwise(nobody));
        let tree =
            "Hosts\n├─ www.example.org:81: shop\n├─ *.example.org: tenant\n└─ otherwise: nobody\n";
        assert_eq!(app.describe().to_string(), tree);
        assert_eq!(app.map_inner(&mut |app| app).describe().to_string(), tree);
    }

    #[test]
    fn keeps_the_laws() {
        let wrapper = |app: Application| {
            let hosts = Hosts::new().host("other.example", app.clone()).unwrap();
            Application::new(hosts.otherwise(app))
        };
        Check::new(wrapper).run();
    }
}
