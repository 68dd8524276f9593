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
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Mounts;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
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
mod tests;
