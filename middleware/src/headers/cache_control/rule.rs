//! A rule: a value of `Cache-Control`, and the responses that get it.

use std::fmt;

use enfilade_core::Request;
use http::{HeaderValue, StatusCode};

use super::directives;
use crate::error::Error;
use crate::matching::media_range::MediaRange;
use crate::matching::path_glob::PathGlob;
use crate::matching::response_filter::StatusMatcher;

/// A value of `Cache-Control`, and the responses that get it.
///
/// If a rule has several paths, one of them has to match; the same goes for media types and statuses. Without paths or
/// media types, all match. Without statuses, only successful responses match (2xx, and a 304, which stands for one),
/// because an error or a redirect should rarely be cached for a year.
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing until it is given to a `CacheControl`"]
pub struct CacheRule {
    value: HeaderValue,
    paths: Vec<PathGlob>,
    media_types: Vec<MediaRange>,
    /// Successful responses if empty.
    statuses: Vec<StatusMatcher>,
}

/// Whether a rule matches a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleMatch {
    Yes,
    No,
    /// The response stands for another one and lacks the necessary header.
    Unknown,
}

impl CacheRule {
    /// Makes a rule for every successful response, with directives such as `public, max-age=3600`.
    ///
    /// # Errors
    ///
    /// If it is not a list of directives (RFC 9111, section 5.2), if a directive is repeated, or if a directive of RFC
    /// 9111, 5861 or 8246 lacks its seconds or has an argument that it does not allow. Other directives are accepted as
    /// they are.
    pub fn new(directives: &str) -> Result<Self, Error> {
        Ok(CacheRule {
            value: directives::parse(directives)?,
            paths: Vec::new(),
            media_types: Vec::new(),
            statuses: Vec::new(),
        })
    }

    /// Matches responses at such paths: `/assets/**`, `/*.txt`, `**/*.{css,js}`.
    ///
    /// Patterns have the syntax of [`Guard::path`](crate::Guard::path).
    ///
    /// # Errors
    ///
    /// If the pattern is malformed, or begins with neither a slash nor `**/` and so matches nothing.
    pub fn path(mut self, pattern: &str) -> Result<Self, Error> {
        self.paths.push(PathGlob::new(pattern)?);
        Ok(self)
    }

    /// Matches responses of this media type: `text/html`, `image/*`. Parameters such as `charset` are ignored.
    ///
    /// # Errors
    ///
    /// If it is neither a media type nor a type with `/*`.
    pub fn media_type(mut self, range: &str) -> Result<Self, Error> {
        self.media_types.push(MediaRange::new(range)?);
        Ok(self)
    }

    /// Matches responses with this status, and no longer all successful ones.
    ///
    /// # Errors
    ///
    /// If the status is neither 101 nor between 200 and 599: applications return no others.
    pub fn status(mut self, status: StatusCode) -> Result<Self, Error> {
        self.statuses.push(StatusMatcher::one(status)?);
        Ok(self)
    }

    /// Matches responses of this class of statuses, such as 4 for 400 to 499, and no longer all successful ones.
    ///
    /// # Errors
    ///
    /// If the class is not between 1 and 5.
    pub fn status_class(mut self, class: u16) -> Result<Self, Error> {
        self.statuses.push(StatusMatcher::class(class)?);
        Ok(self)
    }

    /// Matches responses of every status.
    pub fn any_status(mut self) -> Self {
        self.statuses.push(StatusMatcher::Any);
        self
    }

    pub(super) fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// Whether it matches the path of this request.
    pub(super) fn matches_path(&self, request: &Request) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|glob| glob.matches(request))
    }

    pub(super) fn match_response(
        &self,
        status: StatusCode,
        media_type: Option<&HeaderValue>,
    ) -> RuleMatch {
        let match_type = || match media_type {
            _ if self.media_types.is_empty() => RuleMatch::Yes,
            None if status == StatusCode::NOT_MODIFIED => RuleMatch::Unknown,
            None => RuleMatch::No,
            Some(_) => match self
                .media_types
                .iter()
                .any(|range| range.matches(media_type))
            {
                true => RuleMatch::Yes,
                false => RuleMatch::No,
            },
        };
        match self.matches_status(status) {
            true => match_type(),
            false => RuleMatch::No,
        }
    }

    fn matches_status(&self, status: StatusCode) -> bool {
        // They must have the `Cache-Control` of the 200 (RFC 9110, sections 15.3.7 and 15.4.5).
        let status = match status {
            StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => StatusCode::OK,
            other => other,
        };
        match &*self.statuses {
            [] => status.is_success(),
            statuses => statuses.iter().any(|one| one.matches(status)),
        }
    }
}

/// The responses that it matches, as [`describe`](enfilade_core::Application::describe) shows them.
impl fmt::Display for CacheRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.paths.iter().map(ToString::to_string);
        let media_types = self.media_types.iter().map(ToString::to_string);
        let statuses = self.statuses.iter().map(ToString::to_string);
        let successful = self.statuses.is_empty().then(|| "2xx".to_owned());
        let parts: [Vec<String>; 3] = [
            paths.collect(),
            media_types.collect(),
            statuses.chain(successful).collect(),
        ];
        let parts = parts.iter().filter(|part| !part.is_empty());
        let parts: Vec<String> = parts.map(|part| part.join(" or ")).collect();
        f.write_str(&parts.join(", "))
    }
}
