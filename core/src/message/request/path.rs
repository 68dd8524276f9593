//! The path of a request: the mounted part, and the rest.

use std::borrow::Cow;

use http::Uri;

use super::{Request, TargetError};
use crate::rules::path;

impl Request {
    /// The part of the [canonical path](path::canonical) that mounts have consumed; WSGI's `SCRIPT_NAME` before decoding.
    #[must_use]
    pub fn script_name(&self) -> &str {
        self.split_path().0
    }

    /// The rest of the [canonical path](path::canonical) for this application; WSGI's `PATH_INFO` before decoding.
    ///
    /// It is empty if a mount consumed all of it. `script_name` and `path` together are the canonical path of the
    /// request; [`uri`](Request::uri) has it as received. Every component reads this one string, so
    /// `request.path().starts_with("/admin/")` is reliable: no other spelling of the same path exists.
    #[must_use]
    #[inline]
    pub fn path(&self) -> &str {
        self.split_path().1
    }

    /// The rest of the path, percent-decoded; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn path_info(&self) -> std::borrow::Cow<'_, str> {
        path::decode(self.path())
    }

    /// Replaces the rest of the path; mounts and the query stay. For components that rewrite.
    ///
    /// The new path is made [canonical](path::canonical).
    ///
    /// # Errors
    ///
    /// If it does not begin with a slash, or contains a character that is not valid in a target. Then nothing changes.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Request;
    ///
    /// let mut request = Request::get("/app//old?q=1");
    /// request.mount("/app").unwrap();
    /// request.set_path("/new").unwrap();
    /// assert_eq!((request.script_name(), request.path()), ("/app", "/new"));
    /// assert_eq!(request.uri(), "/app/new?q=1");
    /// ```
    pub fn set_path(&mut self, path: &str) -> Result<(), TargetError> {
        let query = self.query_string().map(str::to_owned);
        self.set_path_and_query(path, query.as_deref())
    }

    /// Replaces the rest of the path and the query, raw; mounts stay. See [`set_path`](Request::set_path).
    ///
    /// # Errors
    ///
    /// As [`set_path`](Request::set_path), and if the query contains a character that is not valid in a target.
    pub fn set_path_and_query(
        &mut self,
        path: &str,
        query: Option<&str>,
    ) -> Result<(), TargetError> {
        if !path.starts_with('/') {
            return Err(TargetError("the path does not begin with a slash"));
        }
        if path.contains(['?', '#']) {
            return Err(TargetError(
                "the path contains a `?` or `#`: percent-encode it",
            ));
        }
        // Mounts stay, even if dots in the new path point above them.
        let path = path::canonical(path);
        let mounted = self.script_name().get(self.0.outside..).unwrap_or_default();
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let target = http::uri::PathAndQuery::try_from(format!("{mounted}{path}{query}"));
        let mut parts = self.uri().clone().into_parts();
        parts.path_and_query = target.ok();
        let Some(uri) = Uri::from_parts(parts)
            .ok()
            .filter(|uri| !uri.path().is_empty())
        else {
            return Err(TargetError(
                "the path or query has an invalid character: percent-encode it",
            ));
        };
        let outside = self.full_path().get(..self.0.outside);
        let outside = outside.filter(|outside| !outside.is_empty());
        let full_path = outside.map(|outside| format!("{outside}{}", uri.path()).into_boxed_str());
        self.detach_captures();
        self.0.full_path = full_path;
        self.shared_mut().uri = uri;
        Ok(())
    }

    pub(super) fn detach_captures(&mut self) {
        let inner = &mut *self.0;
        let full_path = inner
            .full_path
            .as_deref()
            .unwrap_or_else(|| inner.head.uri().path());
        inner.captures.detach(full_path);
    }

    #[inline]
    pub(super) fn full_path(&self) -> &str {
        self.0
            .full_path
            .as_deref()
            .unwrap_or_else(|| self.0.head.uri().path())
    }

    #[inline]
    fn split_path(&self) -> (&str, &str) {
        self.full_path()
            .split_at_checked(self.0.offset)
            .unwrap_or(("", ""))
    }

    /// Moves `prefix` from the front of `path` to the end of `script_name`.
    ///
    /// The prefix is text (see [`path::match_prefix`]). No allocation, no reparsing.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Reply, Request};
    /// use enfilade::http::StatusCode;
    ///
    /// fn api(mut request: Request) -> Reply {
    ///     match request.mount("/api") {
    ///         Ok(()) => Reply::new(format!("{} below {}", request.path(), request.script_name())),
    ///         Err(_) => Reply::new(StatusCode::NOT_FOUND),
    ///     }
    /// }
    /// # let response = pollster::block_on(api(Request::get("/api/users")));
    /// # assert_eq!(response.body().as_bytes().unwrap(), "/users below /api");
    /// # assert_eq!(pollster::block_on(api(Request::get("/apis"))).status(), 404);
    /// ```
    ///
    /// # Errors
    ///
    /// If the path does not begin with the prefix, or the prefix ends inside a segment. Then nothing changes.
    pub fn mount(&mut self, prefix: &str) -> Result<(), TargetError> {
        let length = path::match_prefix(self.path(), prefix);
        self.advance(length.ok_or(TargetError("the path does not begin with the prefix"))?)
    }

    /// Moves `length` bytes from the front of `path` to the end of `script_name`, as routers do.
    ///
    /// # Errors
    ///
    /// If no segment ends there. Then nothing changes.
    #[inline]
    pub fn advance(&mut self, length: usize) -> Result<(), TargetError> {
        match self.path().as_bytes().get(length..) {
            Some([] | [b'/', ..]) => {}
            _ if length == 0 => {}
            _ => return Err(TargetError("no segment of the path ends there")),
        }
        self.0.offset += length;
        Ok(())
    }

    /// Moves one segment from `path` to `script_name` and returns it, decoded.
    ///
    /// `None` if no segment is left.
    ///
    /// It does the same as `wsgiref.util.shift_path_info`, except that `.`, `..` and empty segments are ordinary
    /// segments here.
    pub fn shift_segment(&mut self) -> Option<String> {
        let rest = self.path().strip_prefix('/')?;
        let segment = rest.split('/').next().unwrap_or(rest);
        let (name, length) = (path::decode(segment).into_owned(), 1 + segment.len());
        self.advance(length).ok().map(|()| name)
    }

    /// Puts `prefix` before `script_name`: a part of the public path that never reached this program.
    ///
    /// Examples are CGI's `SCRIPT_NAME` and a proxy's prefix. A slash at its end is dropped. The prefix is raw, so
    /// percent-encode it if needed.
    pub fn prepend_script_name(&mut self, prefix: &str) {
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() {
            self.detach_captures();
            self.0.full_path = Some(format!("{prefix}{}", self.full_path()).into_boxed_str());
            self.0.outside += prefix.len();
            self.0.offset += prefix.len();
        }
    }
}

/// The canonical path of a target, if it differs from the path as written.
pub(super) fn canonical_path(uri: &Uri) -> Option<Box<str>> {
    match path::canonical(uri.path()) {
        Cow::Borrowed(_) => None,
        Cow::Owned(path) => Some(path.into_boxed_str()),
    }
}
