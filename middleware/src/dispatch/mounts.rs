//! Mounts applications at prefixes of the path, and at hosts.

use std::cmp::Reverse;
use std::fmt;

use enfilade_core::host::Host;
use enfilade_core::{
    Application, Description, Handler, IntoHandler, Reply, Request, Response, RouteWanted, path,
};
use http::StatusCode;

use crate::dispatch::route_label::add_prefix;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::matching::host_pattern::{HostPattern, host_and_port};
use crate::matching::prefix::mount_prefix;

/// Mounts applications at path prefixes: a plain table, like Rack's URL map and Werkzeug's dispatcher.
///
/// It is a [`Handler`]: `Application::new` makes an [`Application`] of it. The longest prefix that matches is used, in
/// whatever order they were added. A prefix matches only if it ends at a segment boundary (see [`Request::mount`]). The
/// application sees the rest of the path in `path`, and the prefix in `script_name`. If the application responds with
/// 404, no other application is tried.
///
/// An entry for a host matches only requests for that host. It comes before all entries without a host, even those with
/// a longer prefix. Hosts are written as for [`TrustedHosts`](crate::TrustedHosts); if two match, the more specific one
/// comes first.
///
/// A prefix is decoded text that begins with a slash, such as `/café`. It has no query, no fragment and no captures.
/// `/` matches every path. If no entry matches, [`otherwise`](Mounts::otherwise) gets the request unchanged; without it
/// the response is a 404 without content. `OPTIONS *` matches no prefix.
///
/// # Order
///
/// Wrappers outside see every request with its whole path. Wrappers around one application see only the requests below
/// its prefix.
///
/// # Security
///
/// A wrapper around one application protects only that one. If the same application is also at a second prefix or
/// behind `otherwise`, requests reach it there without the wrapper.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::Mounts;
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
/// let blog = |request: Request| format!("{} in {}", request.path(), request.script_name());
/// let mounts = Mounts::new()
///     .at("/blog", blog)?
///     .at_host("admin.example.org", "/", |_: Request| "for admins")?
///     .otherwise(|_: Request| "home");
/// let client = Client::new(Application::new(mounts));
/// assert_eq!(client.get("/blog/2024").send().text(), "/2024 in /blog");
/// assert_eq!(client.get("/blogs").send().text(), "home");
/// assert_eq!(client.get("/blog").header("host", "admin.example.org").send().text(), "for admins");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "mounts do nothing until an application is made of them"]
pub struct Mounts {
    /// In the order in which they are tried.
    entries: Vec<Mount>,
    otherwise: Option<Application>,
}

#[derive(Clone)]
struct Mount {
    host: Option<HostPattern>,
    prefix: String,
    app: Application,
}

impl Mounts {
    /// Creates an empty table: every request is a 404.
    pub fn new() -> Mounts {
        Mounts::default()
    }

    /// Mounts `app` at `prefix` on every host.
    ///
    /// # Errors
    ///
    /// If the prefix does not begin with a slash, ends with a slash, has captures in the syntax of a router, or is
    /// already used.
    pub fn at<M>(self, prefix: &str, app: impl IntoHandler<M>) -> Result<Mounts, Error> {
        self.add(None, prefix, app.into_application())
    }

    /// Mounts `app` at `prefix` on `host`.
    ///
    /// # Errors
    ///
    /// As for [`at`](Mounts::at), and if the host is malformed.
    pub fn at_host<M>(
        self,
        host: &str,
        prefix: &str,
        app: impl IntoHandler<M>,
    ) -> Result<Mounts, Error> {
        self.add(
            Some(HostPattern::parse(host)?),
            prefix,
            app.into_application(),
        )
    }

    /// Sends requests that no entry matches to `app`; a 404 without content by default.
    pub fn otherwise<M>(mut self, app: impl IntoHandler<M>) -> Mounts {
        self.otherwise = Some(app.into_application());
        self
    }

    fn add(
        mut self,
        host: Option<HostPattern>,
        prefix: &str,
        app: Application,
    ) -> Result<Mounts, Error> {
        let refused = |why| Err(Error::new(ErrorKind::Route, format!("{prefix:?} {why}")));
        let trimmed = mount_prefix(prefix)?;
        let entry = Mount {
            host,
            prefix: trimmed.to_owned(),
            app,
        };
        if self.entries.iter().any(|known| known.is_at(&entry)) {
            return refused("already has an application");
        }
        self.entries.push(entry);
        self.entries.sort_by_key(Mount::rank);
        Ok(self)
    }

    /// Returns the application for a request, and the prefix if a log wants the route; mounts the request there.
    fn choose(&self, request: &mut Request) -> Option<(&Application, Option<&str>)> {
        let Some((entry, length)) = self.find(request) else {
            return self.otherwise.as_ref().map(|app| (app, None));
        };
        // A prefix that matches ends at a segment boundary.
        let _ = request.advance(length);
        let is_wanted = request.extensions().get::<RouteWanted>().is_some();
        let prefix = is_wanted.then_some(&*entry.prefix);
        Some((&entry.app, prefix.filter(|prefix| !prefix.is_empty())))
    }

    /// Returns the entry for a request, and the length of the prefix in its path.
    fn find(&self, request: &Request) -> Option<(&Mount, usize)> {
        // Entries with a host come first: if the first entry has no host, none has, and the host is not parsed.
        let has_hosts = self.entries.first()?.host.is_some();
        let host = has_hosts.then(|| host_and_port(request)).flatten();
        let mut entries = self.entries.iter().filter(|entry| entry.is_for(&host));
        entries.find_map(|entry| {
            let length = path::match_prefix(request.path(), &entry.prefix)?;
            Some((entry, length))
        })
    }
}

impl Mount {
    fn is_at(&self, other: &Mount) -> bool {
        self.host == other.host && self.prefix == other.prefix
    }

    /// Sorts entries with a host first. All prefixes of one path begin with each other, so their length orders them.
    fn rank(&self) -> impl Ord + use<> {
        let host = self.host.as_ref().map(HostPattern::rank);
        (host.is_none(), host, Reverse(self.prefix.len()))
    }

    fn is_for(&self, host: &Option<(Host<'_>, u16)>) -> bool {
        self.host.as_ref().is_none_or(|pattern| {
            host.as_ref()
                .is_some_and(|(host, port)| pattern.matches(host, *port))
        })
    }

    fn label(&self) -> String {
        let host = self.host.as_ref().map(HostPattern::to_string);
        let slash = if self.prefix.is_empty() { "/" } else { "" };
        format!("{}{}{slash}", host.unwrap_or_default(), self.prefix)
    }
}

impl Handler for Mounts {
    fn call(&self, mut request: Request) -> Reply {
        match self.choose(&mut request) {
            Some((app, None)) => app.call(request),
            Some((app, Some(prefix))) => {
                let prefix = prefix.to_owned();
                let add = move |response: &mut Response| add_prefix(&prefix, response);
                app.call(request).update(add)
            }
            None => Reply::new(StatusCode::NOT_FOUND),
        }
    }

    fn describe(&self) -> Description {
        let entries = self.entries.iter();
        let tree = entries.fold(Description::new("Mounts"), |tree, entry| {
            tree.child(entry.label(), entry.app.describe())
        });
        let otherwise = self.otherwise.iter();
        otherwise.fold(tree, |tree, app| tree.child("otherwise", app.describe()))
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let mut mounts = self.clone();
        let apps = mounts.entries.iter_mut().map(|entry| &mut entry.app);
        for app in apps.chain(&mut mounts.otherwise) {
            *app = change(app.clone());
        }
        Some(Application::from_handler(mounts))
    }
}

impl fmt::Debug for Mounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.describe(), f)
    }
}

#[cfg(test)]
mod tests {
    use enfilade_testing::laws::Check;
    use enfilade_testing::{Client, Lint};
    use http::Method;

    use super::*;

    /// Responds with its name and its location.
    fn app(name: &'static str) -> Application {
        let app = Application::new(move |request: Request| {
            format!("{name} {:?} {:?}", request.script_name(), request.path())
        });
        app.wrap(Lint::new())
    }

    const SOME: [(Option<&str>, &str, &str); 8] = [
        (None, "/a", "a"),
        (None, "/a/b", "ab"),
        (None, "/caf\u{e9}", "cafe"),
        (Some("foo.org"), "/", "foo"),
        (Some("bar.org"), "/x", "barx"),
        (Some("*.org"), "/x/y", "orgxy"),
        (Some("bar.org:81"), "/y", "bary"),
        (None, "/x/y/z", "xyz"),
    ];

    fn mounts(list: &[(Option<&'static str>, &'static str, &'static str)]) -> Mounts {
        let made = list.iter().try_fold(Mounts::new(), |mounts, entry| {
            let (host, prefix, name) = *entry;
            match host {
                Some(host) => mounts.at_host(host, prefix, app(name)),
                None => mounts.at(prefix, app(name)),
            }
        });
        made.unwrap()
    }

    fn linted(mounts: Mounts) -> Client {
        Client::new(Application::new(mounts).wrap(Lint::new())).without_gateway()
    }

    #[test]
    fn the_pattern_for_a_log_has_the_prefix() {
        use crate::Router;
        use enfilade_core::{MatchedPattern, RouteWanted};

        let shelves = || {
            Router::new()
                .get("/shelves/{shelf}", |_: Request| "shelf")
                .build()
                .unwrap()
        };
        let inner = Mounts::new().at("/deep", shelves()).unwrap();
        let plain = |_: Request| "plain";
        let mounts = Mounts::new()
            .at("/library", shelves())
            .and_then(|mounts| mounts.at("/plain", plain))
            .and_then(|mounts| mounts.at("/both", inner))
            .and_then(|mounts| mounts.at("/", shelves()))
            .unwrap();
        for (target, pattern) in [
            ("/library/shelves/7", Some("/library/shelves/{shelf}")),
            ("/plain/x", Some("/plain/...")),
            ("/both/deep/shelves/7", Some("/both/deep/shelves/{shelf}")),
            ("/shelves/7", Some("/shelves/{shelf}")),
            ("/nothing", None),
        ] {
            let mut request = Request::get(target);
            request.extensions_mut().insert(RouteWanted);
            let response = pollster::block_on(mounts.call(request).into_future());
            let found = response.extensions().get::<MatchedPattern>();
            assert_eq!(found.map(MatchedPattern::as_str), pattern, "{target}");
        }
    }

    #[test]
    fn the_longest_prefix_matches_and_hosts_go_first() {
        let cases = [
            ("h", "/a", "a \"/a\" \"\""),
            ("h", "/a/", "a \"/a\" \"/\""),
            ("h", "/a/b/c", "ab \"/a/b\" \"/c\""),
            ("h", "/%61//b", "a \"/a\" \"//b\""),
            ("h", "/ab", "otherwise \"\" \"/ab\""),
            ("h", "/a%2Fb", "otherwise \"\" \"/a%2Fb\""),
            ("h", "/caf%C3%A9/x", "cafe \"/caf%C3%A9\" \"/x\""),
            ("h", "/", "otherwise \"\" \"/\""),
            ("h", "*", "otherwise \"\" \"*\""),
            ("foo.org", "/a/b", "foo \"\" \"/a/b\""),
            ("FOO.org:99", "/", "foo \"\" \"/\""),
            ("www.foo.org", "/a", "a \"/a\" \"\""),
            ("bar.org", "/x/y/z", "barx \"/x\" \"/y/z\""),
            ("bar.org", "/a", "a \"/a\" \"\""),
            ("bar.org", "/y", "otherwise \"\" \"/y\""),
            ("bar.org:81", "/y", "bary \"/y\" \"\""),
            ("qux.org", "/x/y/z", "orgxy \"/x/y\" \"/z\""),
            ("h", "/x/y/z", "xyz \"/x/y/z\" \"\""),
            ("a b", "/a", "a \"/a\" \"\""),
        ];
        let reversed: Vec<_> = SOME.into_iter().rev().collect();
        for list in [&SOME[..], &reversed] {
            let client = linted(mounts(list).otherwise(app("otherwise")));
            for (host, target, expected) in cases {
                let request = client.request(Method::OPTIONS, target);
                let response = request.header("host", host).send();
                assert_eq!(response.text(), expected, "{host} {target}");
            }
        }
    }

    #[test]
    fn nobody_is_found_without_an_entry() {
        let client = linted(mounts(&SOME));
        let response = client.get("/ab").send();
        assert_eq!(response.status(), 404);
        assert_eq!(response.text(), "");
    }

    #[test]
    fn the_host_is_the_one_of_the_request() {
        let client = linted(mounts(&SOME));
        let absolute = client.get("http://foo.org/q").header("host", "h");
        assert_eq!(absolute.send().text(), "foo \"\" \"/q\"");
        let forwarded = client.get("/q").header("x-forwarded-host", "foo.org");
        assert_eq!(forwarded.send().status(), 404);
    }

    #[test]
    fn mounts_stand_in_mounts() {
        let inner = mounts(&[(None, "/b", "b"), (None, "/", "root")]);
        let client = linted(Mounts::new().at("/a", inner).unwrap());
        for (target, expected) in [
            ("/a/b/c", "b \"/a/b\" \"/c\""),
            ("/a", "root \"/a\" \"\""),
            ("/a/c", "root \"/a\" \"/c\""),
        ] {
            assert_eq!(client.get(target).send().text(), expected);
        }
    }

    #[test]
    fn a_bad_prefix_is_named() {
        let encoded = "is percent-encoded: write the characters themselves";
        let cases = [
            ("/a?b", "has a query or a fragment: a prefix is a path"),
            ("/a#b", "has a query or a fragment: a prefix is a path"),
            ("/caf%C3%A9", encoded),
            ("/a%2Fb", encoded),
            ("", "does not begin with a slash"),
            ("a", "does not begin with a slash"),
            ("/a/", "ends with a slash: remove it"),
            ("//", "ends with a slash: remove it"),
            ("/a", "already has an application"),
            ("/a/../b", "has a dot segment, which no path has"),
            ("/a/{id}", "has a capture: use a Router for captures"),
            ("/a/:id", "has a capture: use a Router for captures"),
            ("/*", "has a capture: use a Router for captures"),
        ];
        for (prefix, why) in cases {
            let error = mounts(&SOME).at(prefix, app("x")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Route);
            assert_eq!(error.to_string(), format!("{prefix:?} {why}"));
        }
        let error = Mounts::new().at_host("a b", "/", app("x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Host);
    }

    #[test]
    fn is_described_as_a_table() {
        fn one(_: Request) {}
        fn two(_: Request) {}
        fn three(_: Request) {}
        let mounts = Mounts::new().at("/one", one).unwrap();
        let mounts = mounts.at_host("Example.org", "/", two).unwrap();
        let app = Application::new(mounts.otherwise(three));
        let tree = "Mounts\n├─ example.org/: two\n├─ /one: one\n└─ otherwise: three\n";
        assert_eq!(app.describe().to_string(), tree);
        assert_eq!(app.map_inner(&mut |app| app).describe().to_string(), tree);
    }

    #[test]
    fn keeps_the_laws() {
        let wrapper = |app: Application| {
            let mounts = Mounts::new().at("/a", app.clone()).unwrap();
            let mounts = mounts.at_host("other.example", "/x", app.clone());
            Application::new(mounts.unwrap().otherwise(app))
        };
        Check::new(wrapper).run();
    }
}
