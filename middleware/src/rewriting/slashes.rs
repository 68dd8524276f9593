//! Normalizes slashes in paths.

use std::sync::Arc;

use enfilade_core::{Application, Description, Middleware, Reply, Request, Wrapper, path, wrapped};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

/// Normalizes slashes in paths, by rewriting the request or by a redirect.
///
/// It changes the path below mounts, so the prefix of a mount stays. Repeated slashes at the beginning are always
/// merged, because a path that begins with two could be read as a host. Percent-encoded slashes do not count, and
/// nothing is decoded or encoded; the query stays unchanged. A target without a path (`*`) is not changed.
///
/// # Order
///
/// Outside a router, for which `/a` and `/a/` are different paths.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Slashes;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| request.path().to_owned());
/// let client = Client::new(app.clone().wrap(Slashes::trim().merge()));
/// assert_eq!(client.get("//a//b/").send().text(), "/a/b");
///
/// let client = Client::new(app.wrap(Slashes::append().redirect()));
/// let response = client.get("/a?b=/").send();
/// assert_eq!((response.status().as_u16(), response.header("location")), (308, Some("/a/?b=/")));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Slashes {
    end: FinalSlash,
    merge: bool,
    redirect: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FinalSlash {
    Kept,
    Trimmed,
    Appended,
}

impl Slashes {
    /// Removes slashes at the end; `/` stays.
    pub fn trim() -> Self {
        Slashes {
            end: FinalSlash::Trimmed,
            merge: false,
            redirect: false,
        }
    }

    /// Adds a slash to the end of every path, also to one that looks like a file, and to the empty path of a mount.
    pub fn append() -> Self {
        Slashes {
            end: FinalSlash::Appended,
            merge: false,
            redirect: false,
        }
    }

    /// Merges repeated slashes, and otherwise keeps the end.
    pub fn merged() -> Self {
        Slashes {
            end: FinalSlash::Kept,
            merge: true,
            redirect: false,
        }
    }

    /// Also merges repeated slashes; off by default.
    pub fn merge(mut self) -> Self {
        self.merge = true;
        self
    }

    /// Redirects to the right path with a 308, which keeps the method, instead of rewriting; off by default.
    pub fn redirect(mut self) -> Self {
        self.redirect = true;
        self
    }

    /// Returns the right path for a request, if its own path is wrong.
    fn corrected_path(self, request: &Request) -> Option<String> {
        match request.path() {
            // The path below a mount is empty. A target without a path, as CONNECT has it, is never mounted.
            "" if request.script_name().is_empty() => None,
            "" => (self.end == FinalSlash::Appended).then(|| "/".to_owned()),
            path => self.corrected(path),
        }
    }

    /// Returns the right path, if this one is wrong.
    fn corrected(self, path: &str) -> Option<String> {
        let inside = path.strip_prefix('/')?.trim_start_matches('/');
        let trimmed = inside.trim_end_matches('/');
        let mut corrected = String::with_capacity(path.len() + 1);
        match self.merge {
            true => trimmed
                .split('/')
                .filter(|segment| !segment.is_empty())
                .for_each(|segment| {
                    corrected.push('/');
                    corrected.push_str(segment);
                }),
            false if trimmed.is_empty() => {}
            false => corrected.extend(["/", trimmed]),
        }
        let ends = match self.end {
            FinalSlash::Kept => inside.len() > trimmed.len(),
            FinalSlash::Trimmed => false,
            FinalSlash::Appended => true,
        };
        if ends || corrected.is_empty() {
            corrected.push('/');
        }
        (corrected != path).then_some(corrected)
    }
}

impl Middleware for Slashes {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Slashes {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let Some(corrected) = self.corrected_path(&request) else {
            return inner.call(request);
        };
        if !self.redirect {
            // A valid path stays valid if slashes are removed.
            let _ = request.set_path(&corrected);
            return inner.call(request);
        }
        let query = request
            .query_string()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        // A mount of only slashes must not turn the following text into a host.
        let script_name = request.script_name().trim_start_matches('/');
        let slash = if script_name.is_empty() { "" } else { "/" };
        let location = format!("{slash}{script_name}{corrected}{query}");
        match HeaderValue::try_from(&*path::encode_invalid(&location)) {
            Ok(location) => {
                Reply::new((StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)], ()))
            }
            Err(_) => Reply::new(StatusCode::BAD_REQUEST),
        }
    }

    fn describe(&self) -> Description {
        let end = match self.end {
            FinalSlash::Kept => "kept",
            FinalSlash::Trimmed => "trimmed",
            FinalSlash::Appended => "appended",
        };
        Description::new("Slashes")
            .option("end", end)
            .option("merge", self.merge)
            .option("redirect", self.redirect)
    }
}

#[cfg(test)]
mod tests {
    use enfilade_testing::{Client, Lint, laws};

    use super::*;

    #[test]
    fn wrong_paths_are_made_right() {
        let cases = [
            (Slashes::trim(), "/foo", None),
            (Slashes::trim(), "/foo////", Some("/foo")),
            (Slashes::trim(), "////", Some("/")),
            (Slashes::trim(), "///foo//", Some("/foo")),
            (Slashes::trim(), "/a//b/", Some("/a//b")),
            (Slashes::trim(), "/caf%C3%A9%2F/", Some("/caf%C3%A9%2F")),
            (Slashes::append(), "/foo", Some("/foo/")),
            (Slashes::append(), "/foo/", None),
            (Slashes::append(), "/foo////", Some("/foo/")),
            (Slashes::append(), "/", None),
            (Slashes::append(), "////", Some("/")),
            (
                Slashes::trim().merge(),
                "//v2//something//",
                Some("/v2/something"),
            ),
            (
                Slashes::append().merge(),
                "//v1//something//",
                Some("/v1/something/"),
            ),
            (Slashes::merged(), "///v1", Some("/v1")),
            (Slashes::merged(), "/v2/something//", Some("/v2/something/")),
            (Slashes::merged(), "/v2/something", None),
            (Slashes::trim(), "*", None),
            (Slashes::append(), "", None),
        ];
        for (slashes, path, expected) in cases {
            assert_eq!(
                slashes.corrected(path).as_deref(),
                expected,
                "{path} with {slashes:?}"
            );
        }
    }

    #[test]
    fn a_redirect_stays_here() {
        let app = Application::new(|_: Request| "called")
            .wrap(Slashes::append().redirect())
            .wrap(Lint::new());
        let client = Client::new(app);
        for (target, location) in [
            ("/hello", "/hello/"),
            ("/bar?foo=bar&x=%2F", "/bar/?foo=bar&x=%2F"),
            ("//evil.example", "/evil.example/"),
            ("/%5Cevil.example", "/%5Cevil.example/"),
        ] {
            let response = client.get(target).send();
            assert_eq!(
                (response.status().as_u16(), response.header("location")),
                (308, Some(location)),
                "{target}"
            );
        }
        assert_eq!(client.get("/hello/").send().text(), "called");
        // Our gateways respond to it themselves.
        let client = client.without_gateway();
        assert_eq!(client.options("*").send().text(), "called");
    }

    /// Shows the mounted prefix and the rest of the path, with a mount at `/app`.
    fn mounted(slashes: Slashes) -> Client {
        let inner = Application::new(|request: Request| {
            format!("{}|{}", request.script_name(), request.path())
        });
        let inner = inner.wrap(slashes);
        Client::new(Application::new(move |mut request: Request| {
            let _ = request.mount("/app");
            inner.call(request)
        }))
    }

    #[test]
    fn what_is_mounted_is_kept() {
        for (slashes, target, expected) in [
            (Slashes::trim(), "/app/x/", "/app|/x"),
            (Slashes::trim(), "/app", "/app|"),
            (Slashes::trim(), "/app/", "/app|/"),
            (Slashes::merged(), "/app", "/app|"),
            (Slashes::append(), "/app", "/app|/"),
            (Slashes::append().merge(), "/app?q", "/app|/"),
            (Slashes::append(), "/app//", "/app|/"),
        ] {
            let response = mounted(slashes).get(target).send();
            assert_eq!(response.text(), expected, "{target} with {slashes:?}");
        }
    }

    #[test]
    fn the_path_of_a_mount_is_sent_to_its_slash() {
        for (slashes, target, location) in [
            (Slashes::append(), "/app/x", "/app/x/"),
            (Slashes::append(), "/app", "/app/"),
            (Slashes::append().merge(), "/app?q=1", "/app/?q=1"),
        ] {
            let response = mounted(slashes.redirect()).get(target).send();
            assert_eq!(response.status(), 308, "{target}");
            assert_eq!(response.header("location"), Some(location), "{target}");
        }
        let response = mounted(Slashes::append().redirect()).get("/app/").send();
        assert_eq!(response.text(), "/app|/");
        // A mount of only slashes is not a host.
        let response = mounted(Slashes::append().redirect()).get("/").send();
        assert_eq!(response.text(), "|/");
    }

    #[test]
    fn a_target_without_a_path_gets_none() {
        let app = Application::new(|request: Request| request.path().to_owned());
        let app = app.wrap(Slashes::append().redirect());
        let mut request = Request::get("example.org:443");
        *request.method_mut() = http::Method::CONNECT;
        let response = pollster::block_on(app.call(request));
        assert_eq!(response.status(), 200);
    }

    #[test]
    fn keeps_the_laws() {
        laws::Check::new(Slashes::trim().merge()).rewrites().run();
        laws::Check::new(Slashes::append().redirect()).run();
    }
}
