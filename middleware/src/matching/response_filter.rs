//! Filters of responses.

use std::fmt;

use http::{Response, StatusCode, header::CONTENT_TYPE};

use crate::error::Error;
use crate::error::ErrorKind;
use crate::matching::media_range::MediaRange;
use crate::shared::valid_status::ValidStatus;

/// Chooses responses by status and media type.
///
/// If a filter has several statuses or classes, one of them has to match; the same goes for media types. Without any,
/// all match.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::{Response, StatusCode};
/// use enfilade::middleware::ResponseFilter;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let pages_of_errors = ResponseFilter::new().status_class(4)?.status_class(5)?.media_type("text/html")?;
/// let mut response = Response::new("<p>");
/// response.headers_mut().insert("content-type", "text/html; charset=utf-8".parse().unwrap());
/// assert!(!pages_of_errors.matches(&response));
/// *response.status_mut() = StatusCode::NOT_FOUND;
/// assert!(pages_of_errors.matches(&response));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it chooses nothing until something asks it"]
pub struct ResponseFilter {
    statuses: Vec<StatusMatcher>,
    media_types: Vec<MediaRange>,
}

impl ResponseFilter {
    /// Matches all responses.
    pub fn new() -> Self {
        ResponseFilter::default()
    }

    /// Matches responses with this status.
    ///
    /// # Errors
    ///
    /// If the status is neither 101 nor between 200 and 599: applications return no others.
    pub fn status(mut self, status: StatusCode) -> Result<Self, Error> {
        self.statuses.push(StatusMatcher::one(status)?);
        Ok(self)
    }

    /// Matches responses of this class of statuses, such as 4 for 400 to 499.
    ///
    /// # Errors
    ///
    /// If the class is not between 1 and 5.
    pub fn status_class(mut self, class: u16) -> Result<Self, Error> {
        self.statuses.push(StatusMatcher::class(class)?);
        Ok(self)
    }

    /// Matches responses of this media type: `text/html`, `image/*`. Parameters such as `charset` are ignored.
    ///
    /// A response without a `Content-Type`, which is common for a 304, matches only `*/*`, like every response.
    ///
    /// # Errors
    ///
    /// If it is neither a media type nor a type with `/*`.
    pub fn media_type(mut self, range: &str) -> Result<Self, Error> {
        self.media_types.push(MediaRange::new(range)?);
        Ok(self)
    }

    /// Returns whether the filter matches a response.
    #[must_use]
    pub fn matches<B>(&self, response: &Response<B>) -> bool {
        let status = response.status();
        let matches_status = || {
            self.statuses
                .iter()
                .any(|statuses| statuses.matches(status))
        };
        let media_type = response.headers().get(CONTENT_TYPE);
        let matches_type = || {
            self.media_types
                .iter()
                .any(|range| range.matches(media_type))
        };
        (self.statuses.is_empty() || matches_status())
            && (self.media_types.is_empty() || matches_type())
    }
}

impl fmt::Display for ResponseFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses: Vec<_> = self.statuses.iter().map(ToString::to_string).collect();
        let media_types: Vec<_> = self.media_types.iter().map(ToString::to_string).collect();
        match (&*statuses, &*media_types) {
            ([], []) => f.write_str("all responses"),
            (some, []) | ([], some) => f.write_str(&some.join(" or ")),
            (statuses, types) => {
                write!(f, "{}, {}", statuses.join(" or "), types.join(" or "))
            }
        }
    }
}

/// One status, or several.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StatusMatcher {
    One(StatusCode),
    /// 1 to 5.
    Class(u16),
    Any,
}

impl StatusMatcher {
    pub(crate) fn one(status: StatusCode) -> Result<StatusMatcher, Error> {
        ValidStatus::Response.check(status).map(StatusMatcher::One)
    }

    pub(crate) fn class(class: u16) -> Result<StatusMatcher, Error> {
        if !(1..=5).contains(&class) {
            let message = format!("{class} is not a valid class of statuses: use 1 to 5");
            return Err(Error::new(ErrorKind::Status, message));
        }
        Ok(StatusMatcher::Class(class))
    }

    pub(crate) fn matches(self, status: StatusCode) -> bool {
        match self {
            StatusMatcher::One(one) => one == status,
            StatusMatcher::Class(class) => status.as_u16() / 100 == class,
            StatusMatcher::Any => true,
        }
    }
}

impl fmt::Display for StatusMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StatusMatcher::One(status) => f.write_str(status.as_str()),
            StatusMatcher::Class(class) => write!(f, "{class}xx"),
            StatusMatcher::Any => f.write_str("any status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A status, a `Content-Type`, and whether such a response matches.
    type Answer = (u16, Option<&'static str>, bool);

    #[test]
    fn one_of_each_kind_has_to_fit() {
        let new = ResponseFilter::new;
        let cases: [(ResponseFilter, &str, &[Answer]); 5] = [
            (
                new(),
                "all responses",
                &[(200, None, true), (500, Some("a/b"), true)],
            ),
            (
                new()
                    .status(StatusCode::NOT_FOUND)
                    .and_then(|filter| filter.status_class(5))
                    .unwrap(),
                "404 or 5xx",
                &[
                    (404, None, true),
                    (599, None, true),
                    (403, None, false),
                    (200, None, false),
                ],
            ),
            (
                new()
                    .media_type("Text/HTML")
                    .unwrap()
                    .media_type("image/*")
                    .unwrap(),
                "text/html or image/*",
                &[
                    (200, Some("text/html;charset=utf-8"), true),
                    (404, Some("TEXT/Html ; a"), true),
                    (200, Some("image/png"), true),
                    (200, Some("images/png"), false),
                    (200, Some("text/htmlx"), false),
                    (200, Some("text"), false),
                    (200, Some(""), false),
                    (200, Some("\u{e9}/x"), false),
                    (304, None, false),
                ],
            ),
            (
                new().media_type("*/*").unwrap(),
                "*/*",
                &[
                    (200, None, true),
                    (200, Some("x"), true),
                    (200, Some("a/b"), true),
                ],
            ),
            (
                new().status_class(2).unwrap().media_type("a/b").unwrap(),
                "2xx, a/b",
                &[
                    (200, Some("a/b"), true),
                    (300, Some("a/b"), false),
                    (200, Some("a/c"), false),
                ],
            ),
        ];
        for (responses, name, table) in cases {
            assert_eq!(responses.to_string(), name);
            for &(status, media_type, expected) in table {
                let mut response = Response::new(());
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                if let Some(media_type) = media_type {
                    let value = http::HeaderValue::from_bytes(media_type.as_bytes()).unwrap();
                    response.headers_mut().insert(CONTENT_TYPE, value);
                }
                assert_eq!(
                    responses.matches(&response),
                    expected,
                    "{name}: {status} {media_type:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_class_and_no_media_type_is_refused() {
        let error = ResponseFilter::new().status_class(0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "0 is not a valid class of statuses: use 1 to 5"
        );
        for text in [
            "",
            "text",
            "text/",
            "/html",
            "*/html",
            "a b/c",
            "text/html; charset=utf-8",
        ] {
            let error = ResponseFilter::new().media_type(text).unwrap_err();
            let expected = format!("{text:?} is not a media type or a range of them");
            assert_eq!(
                (error.kind(), error.to_string()),
                (ErrorKind::Rule, expected)
            );
        }
    }
}
