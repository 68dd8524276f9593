//! What a resource says of its current representation.

use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};
use time::{Duration, OffsetDateTime};

use super::entity_tag::EntityTag;
use super::tag_list::only;
use crate::rules::headers::{format_http_date, parse_http_date};

/// The validators of a representation: its entity tag and the time of its last change, as far as they are known.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::conditional::{EntityTag, Validators};
/// use enfilade::http::HeaderMap;
/// use time::OffsetDateTime;
///
/// let changed = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap();
/// let validators = Validators::new().entity_tag(EntityTag::strong("v7").unwrap()).last_modified(changed);
/// let mut headers = HeaderMap::new();
/// validators.set_on(&mut headers);
/// assert_eq!(headers["etag"], "\"v7\"");
/// assert_eq!(headers["last-modified"], "Sun, 06 Nov 1994 08:49:37 GMT");
/// assert_eq!(Validators::from_headers(&headers), validators);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    exists: bool,
    entity_tag: Option<EntityTag>,
    last_modified: Option<OffsetDateTime>,
}

impl Validators {
    /// A representation that exists, with no validators yet.
    #[must_use]
    pub fn new() -> Validators {
        Validators {
            exists: true,
            entity_tag: None,
            last_modified: None,
        }
    }

    /// There is no representation yet: `If-Match` fails, also with `*`, and `If-None-Match` holds.
    ///
    /// For a PUT that creates the resource.
    #[must_use]
    pub fn missing() -> Validators {
        Validators {
            exists: false,
            ..Validators::new()
        }
    }

    /// The validators in the headers of a response: `ETag` and `Last-Modified`.
    ///
    /// A value that is not valid, or that is repeated, does not count.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Validators {
        Validators {
            exists: true,
            entity_tag: only(headers, &ETAG).and_then(EntityTag::from_header_value),
            last_modified: only(headers, &LAST_MODIFIED).and_then(date),
        }
    }

    /// Sets the entity tag.
    #[must_use]
    pub fn entity_tag(mut self, tag: EntityTag) -> Validators {
        self.entity_tag = Some(tag);
        self
    }

    /// Sets the time of the last change; fractions of a second are dropped, as HTTP dates have none.
    #[must_use]
    pub fn last_modified(mut self, time: OffsetDateTime) -> Validators {
        let fraction = Duration::nanoseconds(i64::from(time.nanosecond()));
        self.last_modified = Some(time.checked_sub(fraction).unwrap_or(time));
        self
    }

    /// Whether there is a representation.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// The entity tag, if known.
    #[must_use]
    pub fn tag(&self) -> Option<&EntityTag> {
        self.entity_tag.as_ref()
    }

    /// The time of the last change, if known.
    #[must_use]
    pub fn modified(&self) -> Option<OffsetDateTime> {
        self.last_modified
    }

    /// Sets `ETag` and `Last-Modified`, as far as they are known; other headers are left alone.
    pub fn set_on(&self, headers: &mut HeaderMap) {
        if let Some(tag) = &self.entity_tag {
            headers.insert(ETAG, tag.as_header_value().clone());
        }
        let date = self.last_modified.map(format_http_date);
        if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
            headers.insert(LAST_MODIFIED, date);
        }
    }
}

impl Default for Validators {
    fn default() -> Validators {
        Validators::new()
    }
}

/// The date in a field value.
pub(super) fn date(value: &HeaderValue) -> Option<OffsetDateTime> {
    parse_http_date(value.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_values_count() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let cases: [(&[&str], &[&str], bool, bool); 5] = [
            (&["\"a\""], &[date], true, true),
            (&["a"], &["1994-11-06"], false, false),
            (&["\"a\"", "\"a\""], &[date, date], false, false),
            (&["W/\"\""], &[], true, false),
            (&[], &["Sun Nov  6 08:49:37 1994"], false, true),
        ];
        for (tags, dates, has_tag, has_date) in cases {
            let mut headers = HeaderMap::new();
            for tag in tags {
                headers.append(ETAG, HeaderValue::from_str(tag).unwrap());
            }
            for date in dates {
                headers.append(LAST_MODIFIED, HeaderValue::from_str(date).unwrap());
            }
            let found = Validators::from_headers(&headers);
            assert_eq!(found.tag().is_some(), has_tag, "{tags:?}");
            assert_eq!(found.modified().is_some(), has_date, "{dates:?}");
        }
    }

    #[test]
    fn fractions_of_a_second_are_dropped() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(784_111_777_999_000_000).unwrap();
        let validators = Validators::new().last_modified(time);
        let seconds = validators.modified().map(OffsetDateTime::unix_timestamp);
        assert_eq!(seconds, Some(784_111_777));
        assert_eq!(validators.modified().unwrap().nanosecond(), 0);
    }
}
