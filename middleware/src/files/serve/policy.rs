//! Headers by path: how long caches may keep a file, and those that the program sets.

use std::sync::Arc;
use std::time::Duration;

use enfilade_core::Request;
use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::matching::path_glob::PathGlob;

/// For a year, and a reload does not check either (RFC 8246).
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const CHECK: HeaderValue = HeaderValue::from_static("no-cache");

#[derive(Clone, Default)]
pub(super) struct CachePolicy {
    pub(super) max_age: Option<Duration>,
    pub(super) hashed: Option<Arc<dyn Fn(&str) -> bool + Send + Sync>>,
}

impl CachePolicy {
    /// The value of `Cache-Control` for a file of this path and type.
    pub(super) fn of(&self, path: &str, media_type: &HeaderValue) -> Option<HeaderValue> {
        if let Some(hashed) = &self.hashed {
            if hashed(path) {
                return Some(IMMUTABLE);
            }
            if media_type.as_bytes().starts_with(b"text/html") {
                return Some(CHECK);
            }
        }
        let seconds = self.max_age?.as_secs();
        HeaderValue::try_from(format!("public, max-age={seconds}")).ok()
    }

    pub(super) fn apply(&self, path: &str, media_type: &HeaderValue, headers: &mut HeaderMap) {
        if let Some(value) = self.of(path, media_type) {
            headers.insert(CACHE_CONTROL, value);
        }
    }
}

/// Whether the name of a file has a hash: `[._-][0-9a-f]{8,}\.` with a letter, which a date does not have.
pub(super) fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((stem, _)) = name.rsplit_once('.') else {
        return false;
    };
    // The part before the first separator is a name.
    let parts = stem.split(['.', '_', '-']).skip(1);
    let is_hash = |part: &str| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        part.len() >= 8
            && part.bytes().all(is_digit)
            && part.bytes().any(|byte| byte.is_ascii_lowercase())
    };
    // It stands before a dot: the end of the stem is one.
    let mut ends = stem
        .split('.')
        .filter_map(|part| part.rsplit(['_', '-']).next());
    parts.into_iter().any(is_hash) && ends.any(is_hash)
}

/// A header of the responses whose path matches.
#[derive(Clone)]
pub(super) struct HeaderRule {
    pattern: Option<PathGlob>,
    name: HeaderName,
    value: HeaderValue,
}

impl HeaderRule {
    pub(super) fn new(
        pattern: Option<PathGlob>,
        name: HeaderName,
        value: HeaderValue,
    ) -> HeaderRule {
        HeaderRule {
            pattern,
            name,
            value,
        }
    }

    /// Whether it could have replaced `Vary`.
    pub(super) fn sets_vary(&self) -> bool {
        self.name == VARY
    }

    pub(super) fn apply(&self, request: &Request, headers: &mut HeaderMap) {
        let matches = |pattern: &PathGlob| pattern.matches(request);
        if self.pattern.as_ref().is_none_or(matches) {
            headers.insert(self.name.clone(), self.value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_in_a_name_is_found_and_a_date_is_not() {
        for (path, expected) in [
            ("assets/app.3f2a9c1b.js", true),
            ("app-3f2a9c1b.min.css", true),
            ("app_3f2a9c1bdeadbeef.js.map", true),
            ("logo.deadbeef.png", true),
            ("report-20240131.pdf", false),
            ("app.3f2a9c1.js", false),
            ("deadbeef.js", false),
            ("app.3F2A9C1B.js", false),
            ("app.3f2a9c1b", false),
            ("3f2a9c1b-x.js", false),
            ("a.3f2a9c1bz.js", false),
            ("a.3f2a9c1b/app.js", false),
            ("", false),
        ] {
            assert_eq!(has_hash(path), expected, "{path}");
        }
    }

    #[test]
    fn hashed_names_are_kept_and_pages_are_checked() {
        let policy = CachePolicy {
            max_age: Some(Duration::from_secs(60)),
            hashed: Some(Arc::new(has_hash)),
        };
        let (html, text) = (
            HeaderValue::from_static("text/html; charset=utf-8"),
            HeaderValue::from_static("text/css"),
        );
        assert_eq!(policy.of("a.3f2a9c1b.css", &text), Some(IMMUTABLE));
        assert_eq!(policy.of("index.html", &html), Some(CHECK));
        assert_eq!(
            policy.of("a.css", &text),
            Some(HeaderValue::from_static("public, max-age=60"))
        );
        assert_eq!(CachePolicy::default().of("a.3f2a9c1b.css", &text), None);
    }
}
