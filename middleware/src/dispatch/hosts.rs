//! Chooses between applications by the requested host.

use std::fmt;

use enfilade_core::{Application, Description, Handler, IntoHandler, Reply, Request};
use http::StatusCode;

use crate::error::Error;
use crate::error::ErrorKind;
use crate::matching::host_pattern::{HostPattern, host_and_port};

/// Chooses between applications by host. It is a [`Handler`]: `Application::new` makes an [`Application`] of it.
///
/// The host is the authority of an absolute target, otherwise the `Host` header. Hosts are written as for
/// [`TrustedHosts`](crate::TrustedHosts): `example.org`, `example.org:8080`, `*.example.org`, `**.example.org`,
/// `.example.org`, addresses. If several match, the most specific one is used, in whatever order they were added: an
/// exact host before one with a star, a longer name before a shorter one, one label before any number of labels, and of
/// two equal hosts the one with a port.
///
/// If the host of a request is unknown, missing, repeated or malformed, [`otherwise`](Hosts::otherwise) handles the
/// request. Without `otherwise`, the response is a 404 without content, which a [`NotFound`](crate::NotFound) outside
/// can replace.
///
/// The part of the host that a star matches is not a capture of the request, because captures are parts of the path. It
/// is the beginning of [`Request::hostname`].
///
/// # Order
///
/// Wrappers outside see the requests of all hosts. Wrappers around one application see only the requests of its host.
///
/// # Security
///
/// A client may send any host, so an application behind `otherwise` must not trust the name. A host name that only your
/// own network knows does not protect an application: any client can send it.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Hosts;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
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
    /// Sorted, the most specific first.
    table: Vec<(HostPattern, Application)>,
    otherwise: Option<Application>,
}

impl Hosts {
    /// Creates an empty table: every request is a 404.
    pub fn new() -> Hosts {
        Hosts::default()
    }

    /// Sends requests for `host` to `app`.
    ///
    /// # Errors
    ///
    /// If the host is malformed or already has an application.
    pub fn host<M>(mut self, host: &str, app: impl IntoHandler<M>) -> Result<Hosts, Error> {
        let pattern = HostPattern::parse(host)?;
        if self.table.iter().any(|(known, _)| *known == pattern) {
            let message = format!("{host:?} already has an application");
            return Err(Error::new(ErrorKind::Host, message));
        }
        self.table.push((pattern, app.into_application()));
        self.table.sort_by_key(|(pattern, _)| pattern.rank());
        Ok(self)
    }

    /// Sends all other requests to `app`, also those without a host; a 404 without content by default.
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

    /// Each application responds with its host.
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
    fn the_most_specific_host_matches_in_any_order() {
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
    fn a_not_found_outside_responds_for_unknown_hosts() {
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
        let message = "\"example.ORG.\" already has an application";
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
