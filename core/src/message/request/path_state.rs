//! The position of a request in the tree, on its way through code that only knows `http::Request`.

use http::Uri;

use super::Request;
use super::params::Captures;

/// State that the target of [`Request::into_http`] cannot hold: it travels in the extensions.
#[derive(Clone)]
pub(super) struct PathState {
    uri: Uri,
    /// The outgoing target, to compare with the target that comes back.
    remaining: Uri,
    full_path: Option<Box<str>>,
    outside: usize,
    offset: usize,
    captures: Captures,
}

impl Request {
    /// The state that has to travel, if there is any.
    pub(super) fn take_path_state(&mut self, remaining: &Uri) -> Option<PathState> {
        let is_as_received = self.0.full_path.is_none();
        if self.0.offset == 0 && self.0.captures.is_empty() && is_as_received {
            return None;
        }
        Some(PathState {
            uri: self.0.head.uri().clone(),
            remaining: remaining.clone(),
            full_path: self.0.full_path.take(),
            outside: self.0.outside,
            offset: self.0.offset,
            captures: std::mem::take(&mut self.0.captures),
        })
    }

    /// Restores the position of the request; further inside, if a prefix was stripped from its path in the meantime.
    ///
    /// If the path was replaced, the new one is the rest of the path, below the mounts.
    pub(super) fn restore(&mut self, mounted: PathState) {
        let now = std::mem::replace(&mut self.shared_mut().uri, mounted.uri);
        self.0.full_path = mounted.full_path;
        self.0.outside = mounted.outside;
        self.0.offset = mounted.offset;
        self.0.captures = mounted.captures;
        if now == mounted.remaining {
            return;
        }
        self.take_authority(&now);
        let taken = stripped(self.path(), now.path());
        let is_inside = taken.is_some_and(|length| self.advance(length).is_ok());
        if now.query() != self.query_string() || !is_inside {
            let path = if is_inside { self.path() } else { now.path() };
            let path = path.to_owned();
            let is_set = self.set_path_and_query(&path, now.query()).is_ok();
            if !is_set && !is_inside {
                // `*` and the like, on which nothing can be mounted.
                self.set_uri(now);
            }
        }
    }

    /// Takes the scheme and the authority of another target.
    fn take_authority(&mut self, uri: &Uri) {
        let mut parts = self.0.head.uri().clone().into_parts();
        parts.scheme = uri.scheme().cloned();
        parts.authority = uri.authority().cloned();
        if let Ok(uri) = Uri::from_parts(parts) {
            self.shared_mut().uri = uri;
        }
    }
}

/// How many bytes of `path` were stripped to leave `rest`; code that strips all of it leaves a slash.
fn stripped(path: &str, rest: &str) -> Option<usize> {
    if rest == "/" && !path.ends_with('/') {
        return Some(path.len());
    }
    path.ends_with(rest).then(|| path.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::request::Captured;

    /// A request for `target`, `/app/{name}/…`, with `/app` mounted, after foreign code has replaced its target by
    /// `now`.
    fn through(target: &'static str, now: &str) -> Request {
        let mut request = Request::get(target);
        request.mount("/app").unwrap();
        let names = Arc::from(["name".into()]);
        request.capture(&names, [Captured::Raw(1..3)]).unwrap();
        let mut outside = request.into_http();
        *outside.uri_mut() = now.parse().unwrap();
        Request::from(outside)
    }

    #[test]
    fn a_request_comes_back_where_it_was() {
        // The new target; then the mounted part, the rest, and the whole target afterwards.
        let cases = [
            ("/ab/c?q=1", "/app", "/ab/c", "/app/ab/c?q=1"),
            ("/c?q=1", "/app/ab", "/c", "/app/ab/c?q=1"),
            ("/?q=1", "/app/ab/c", "", "/app/ab/c?q=1"),
            ("/c", "/app/ab", "/c", "/app/ab/c"),
            ("/ab/c?q=2", "/app", "/ab/c", "/app/ab/c?q=2"),
            ("/other?q=1", "/app", "/other", "/app/other?q=1"),
            ("http://h/c?q=1", "/app/ab", "/c", "http://h/app/ab/c?q=1"),
            ("*", "", "*", "*"),
        ];
        for (now, script_name, path, uri) in cases {
            let request = through("/app/ab/c?q=1", now);
            assert_eq!(request.script_name(), script_name, "{now}");
            assert_eq!(request.path(), path, "{now}");
            assert_eq!(request.uri(), uri, "{now}");
            assert_eq!(request.params().get("name"), Some("ab"), "{now}");
        }
    }

    #[test]
    fn a_prefix_that_never_reached_this_program_comes_back() {
        let mut request = Request::get("/a/b");
        request.prepend_script_name("/public");
        request.mount("/a").unwrap();
        let request = Request::from(request.into_http());
        assert_eq!((request.script_name(), request.path()), ("/public/a", "/b"));
        assert_eq!(request.uri(), "/a/b");
    }
}
