//! `Content-Range` (RFC 9110, section 14.4).

use std::fmt;
use std::ops::Range;

use http::HeaderValue;

use super::ranges::number;
use crate::rules::headers::is_token;

/// The value of `Content-Range`: which part of a representation a response has.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::conditional::ContentRange;
/// use enfilade::http::HeaderValue;
///
/// let part = ContentRange::bytes(0..5, 10).unwrap();
/// assert_eq!(part.to_string(), "bytes 0-4/10");
/// assert_eq!(ContentRange::unsatisfied(10).to_header_value(), "bytes */10");
///
/// let value = HeaderValue::from_static("bytes 5-9/*");
/// let part = ContentRange::from_header_value(&value).unwrap();
/// assert_eq!((part.range(), part.complete_length()), (Some(5..10), None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRange {
    unit: String,
    range: Option<Range<u64>>,
    complete_length: Option<u64>,
}

impl ContentRange {
    /// These bytes of `complete_length`; `None` if the range is empty or not within that length.
    #[must_use]
    pub fn bytes(range: Range<u64>, complete_length: u64) -> Option<ContentRange> {
        let is_valid = range.start < range.end && range.end <= complete_length;
        is_valid.then(|| ContentRange {
            unit: "bytes".to_owned(),
            range: Some(range),
            complete_length: Some(complete_length),
        })
    }

    /// The value in a 416, with only the length.
    #[must_use]
    pub fn unsatisfied(complete_length: u64) -> ContentRange {
        ContentRange {
            unit: "bytes".to_owned(),
            range: None,
            complete_length: Some(complete_length),
        }
    }

    /// Reads a field value; `None` if it is not valid.
    #[must_use]
    pub fn from_header_value(value: &HeaderValue) -> Option<ContentRange> {
        let (unit, rest) = value.to_str().ok()?.split_once(' ')?;
        let (range, length) = rest.split_once('/')?;
        let complete_length = match length {
            "*" => None,
            digits => Some(number(digits.as_bytes())?),
        };
        let range = match range {
            "*" => None,
            range => {
                let (first, last) = range.split_once('-')?;
                let (first, last) = (number(first.as_bytes())?, number(last.as_bytes())?);
                let end = last.checked_add(1)?;
                let is_valid =
                    first <= last && complete_length.is_none_or(|complete| last < complete);
                Some(is_valid.then_some(first..end)?)
            }
        };
        // `*/*` says nothing.
        let says_something = range.is_some() || complete_length.is_some();
        (is_token(unit) && says_something).then(|| ContentRange {
            unit: unit.to_owned(),
            range,
            complete_length,
        })
    }

    /// The unit: `bytes`, or another one that is not known here.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The part; `None` in a 416.
    #[must_use]
    pub fn range(&self) -> Option<Range<u64>> {
        self.range.clone()
    }

    /// The length of the whole representation; `None` if it is not known.
    #[must_use]
    pub fn complete_length(&self) -> Option<u64> {
        self.complete_length
    }

    /// The field value.
    ///
    /// # Panics
    ///
    /// Never: the text has only visible characters.
    #[must_use]
    pub fn to_header_value(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("a token, digits and marks")
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.unit)?;
        match &self.range {
            Some(range) => write!(f, "{}-{}/", range.start, range.end.saturating_sub(1))?,
            None => f.write_str("*/")?,
        }
        match self.complete_length {
            Some(length) => write!(f, "{length}"),
            None => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_valid_values_only() {
        for (text, is_valid) in [
            ("bytes 0-98/*", true),
            ("bytes 0-98/99", true),
            ("bytes */99", true),
            ("items 1-2/3", true),
            ("bytes 0-98/*asdfsa", false),
            ("bytes 1_23-125/*", false),
            ("bytes 0-100/100", false),
            ("bytes 5-4/100", false),
            ("bytes */*", false),
            ("bytes 0-18446744073709551615/*", false),
            ("bytes 0-4", false),
            ("bytes=0-4/5", false),
            ("0-4/5", false),
            (" 0-4/5", false),
            ("bytes +0-4/5", false),
            ("", false),
        ] {
            let found = ContentRange::from_header_value(&HeaderValue::from_static(text));
            assert_eq!(found.is_some(), is_valid, "{text}");
            if let Some(found) = found {
                assert_eq!(found.to_header_value(), text);
            }
        }
    }

    #[test]
    fn a_range_is_within_the_length() {
        assert_eq!(ContentRange::bytes(0..0, 10), None);
        assert_eq!(ContentRange::bytes(0..11, 10), None);
        assert!(ContentRange::bytes(9..10, 10).is_some());
    }
}
