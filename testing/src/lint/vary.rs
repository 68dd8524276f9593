//! Law 9 over two responses: a 206 or 304 has the `Vary` that the 200 to the same request has.

use enfilade_core::headers::tokens;
use http::header::{
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The maximum length of a `Vary` that is remembered.
const LONGEST: usize = 256;

/// Whether a header is a condition: requests that differ only in conditions count as the same.
pub(crate) fn is_condition(name: &HeaderName) -> bool {
    [
        IF_MATCH,
        IF_MODIFIED_SINCE,
        IF_NONE_MATCH,
        IF_RANGE,
        IF_UNMODIFIED_SINCE,
        RANGE,
    ]
    .contains(name)
}

/// The `Vary` of a 200.
pub(super) struct SeenVary {
    /// The headers of the request, without conditions.
    request: u64,
    names: Box<[Box<str>]>,
}

impl SeenVary {
    pub(super) fn new(request: u64, headers: &HeaderMap) -> Option<SeenVary> {
        let length: usize = headers.get_all(VARY).iter().map(HeaderValue::len).sum();
        (length <= LONGEST).then(|| SeenVary {
            request,
            names: names(headers).map(Box::from).collect(),
        })
    }

    /// The fault of the 206 or 304 to the same request (RFC 9110, sections 15.3.7 and 15.4.5).
    pub(super) fn missing(
        &self,
        request: u64,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<String> {
        let section = match status {
            StatusCode::PARTIAL_CONTENT => "15.3.7",
            StatusCode::NOT_MODIFIED => "15.4.5",
            _ => return None,
        };
        let is_named = |name: &str| {
            names(headers).any(|found| found == "*" || found.eq_ignore_ascii_case(name))
        };
        let seen = self.names.iter().map(|name| &**name);
        let missing: Vec<_> = seen.filter(|name| !is_named(name)).collect();
        (self.request == request && !missing.is_empty()).then(|| {
            format!(
                "the Vary of a {} lacks {}, which the 200 to the same request has (RFC 9110, section {section})",
                status.as_u16(),
                missing.join(", ")
            )
        })
    }
}

fn names(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    tokens(headers, &VARY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let lines = lines.iter().map(|line| HeaderValue::from_static(line));
        lines.map(|line| (VARY, line)).collect()
    }

    #[test]
    fn every_name_of_the_200_is_there() {
        let cases: [(&[&str], u16, &[&str], &str); 9] = [
            (&["accept-encoding"], 304, &["Accept-Encoding"], ""),
            (&["a, b"], 206, &["B", "c, a"], ""),
            (&["a"], 304, &["*"], ""),
            (&[], 304, &["a"], ""),
            (&["a"], 404, &[], ""),
            (&["a"], 304, &[], "a 304 lacks a, |15.4.5"),
            (&["a", "b, c"], 206, &["b"], "a 206 lacks a, c, |15.3.7"),
            (&["*"], 304, &["a"], "a 304 lacks *, |15.4.5"),
            (&["origin"], 304, &["orig"], "a 304 lacks origin, |15.4.5"),
        ];
        for (full, status, found, expected) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            let seen = SeenVary::new(1, &headers(full)).unwrap();
            let expected = expected.split_once('|').map(|(lacks, section)| {
                format!(
                    "the Vary of {lacks}which the 200 to the same request has (RFC 9110, section {section})"
                )
            });
            assert_eq!(
                seen.missing(1, status, &headers(found)),
                expected,
                "{full:?}"
            );
            assert_eq!(seen.missing(2, status, &headers(found)), None);
        }
    }

    #[test]
    fn a_long_vary_is_not_remembered() {
        let long = HeaderValue::try_from("a".repeat(LONGEST + 1)).unwrap();
        let long = HeaderMap::from_iter([(VARY, long)]);
        assert!(SeenVary::new(1, &long).is_none());
    }
}
