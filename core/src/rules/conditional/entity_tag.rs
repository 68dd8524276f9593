//! Entity tags (RFC 9110, section 8.8.3).

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;

/// An entity tag: an opaque name of one version of a representation.
///
/// A strong tag promises that the bytes are the same, a weak tag (`W/"…"`) only that the content means the same.
///
/// A handler can put one into the extensions of its response: the wrapper `Etag` sends it as `ETag`.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::conditional::EntityTag;
///
/// let strong = EntityTag::strong("v7").unwrap();
/// let weak = EntityTag::weak("v7").unwrap();
/// assert_eq!(strong.to_string(), "\"v7\"");
/// assert_eq!(weak.as_header_value(), "W/\"v7\"");
/// assert!(strong.weak_eq(&weak));
/// assert!(!strong.strong_eq(&weak) && !weak.strong_eq(&weak));
/// assert!(EntityTag::strong("two words").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag {
    /// As it is sent, so that sending it makes no copy.
    value: HeaderValue,
}

/// The mark of a weak tag; its case matters.
const WEAK: &[u8] = b"W/";

impl EntityTag {
    /// A strong tag with this text between the quotes.
    ///
    /// # Errors
    ///
    /// If the text has a quote, a space or a control character.
    pub fn strong(opaque: impl AsRef<[u8]>) -> Result<EntityTag, EntityTagError> {
        EntityTag::quoted(b"", opaque.as_ref())
    }

    /// A weak tag with this text between the quotes.
    ///
    /// # Errors
    ///
    /// If the text has a quote, a space or a control character.
    pub fn weak(opaque: impl AsRef<[u8]>) -> Result<EntityTag, EntityTagError> {
        EntityTag::quoted(WEAK, opaque.as_ref())
    }

    fn quoted(mark: &[u8], opaque: &[u8]) -> Result<EntityTag, EntityTagError> {
        if !opaque.iter().all(|byte| is_tag_byte(*byte)) {
            return Err(EntityTagError(String::from_utf8_lossy(opaque).into_owned()));
        }
        let value = HeaderValue::from_bytes(&[mark, b"\"", opaque, b"\""].concat());
        let value = value.expect("no control characters");
        Ok(EntityTag { value })
    }

    /// The tag that is a whole field value; `None` if the value is no valid tag, such as one without quotes.
    #[must_use]
    pub fn from_header_value(value: &HeaderValue) -> Option<EntityTag> {
        let (_, rest) = RawTag::split(value.as_bytes())?;
        rest.is_empty().then(|| EntityTag {
            value: value.clone(),
        })
    }

    /// The tag as a field value, for `ETag`.
    #[must_use]
    pub fn as_header_value(&self) -> &HeaderValue {
        &self.value
    }

    /// Whether the tag is weak.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.value.as_bytes().starts_with(WEAK)
    }

    /// The text between the quotes.
    #[must_use]
    pub fn opaque(&self) -> &[u8] {
        self.raw().opaque
    }

    /// Whether both are strong and the same: the bytes of the content are the same (RFC 9110, section 8.8.3.2).
    #[must_use]
    pub fn strong_eq(&self, other: &EntityTag) -> bool {
        self.raw().strong_eq(other.raw())
    }

    /// Whether both have the same text, weak or not (RFC 9110, section 8.8.3.2).
    #[must_use]
    pub fn weak_eq(&self, other: &EntityTag) -> bool {
        self.raw().weak_eq(other.raw())
    }

    /// The same text as a weak tag.
    #[must_use]
    pub fn into_weak(self) -> EntityTag {
        match self.is_weak() {
            true => self,
            // The text is that of a tag, so this is never an error.
            false => EntityTag::weak(self.opaque()).unwrap_or(self),
        }
    }

    pub(super) fn raw(&self) -> RawTag<'_> {
        let bytes = self.value.as_bytes();
        let (is_weak, quoted) = match bytes.strip_prefix(WEAK) {
            Some(quoted) => (true, quoted),
            None => (false, bytes),
        };
        let opaque = quoted.get(1..quoted.len().saturating_sub(1));
        RawTag {
            is_weak,
            opaque: opaque.unwrap_or_default(),
        }
    }
}

impl FromStr for EntityTag {
    type Err = EntityTagError;

    /// Reads a tag as headers have it, with its quotes.
    fn from_str(text: &str) -> Result<EntityTag, EntityTagError> {
        let value = HeaderValue::from_str(text).ok();
        let tag = value.and_then(|value| EntityTag::from_header_value(&value));
        tag.ok_or_else(|| EntityTagError(text.to_owned()))
    }
}

impl From<EntityTag> for HeaderValue {
    fn from(tag: EntityTag) -> HeaderValue {
        tag.value
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.value.as_bytes()))
    }
}

/// The error of a text that cannot be an entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTagError(String);

impl fmt::Display for EntityTagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EntityTagError(text) = self;
        write!(
            f,
            "{text:?} is not an entity tag: use visible characters without quotes and spaces"
        )
    }
}

impl std::error::Error for EntityTagError {}

/// A tag within a field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawTag<'a> {
    is_weak: bool,
    opaque: &'a [u8],
}

impl<'a> RawTag<'a> {
    /// The tag that `bytes` begin with, and the rest after it.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(RawTag<'a>, &'a [u8])> {
        let (is_weak, quoted) = match bytes.strip_prefix(WEAK) {
            Some(quoted) => (true, quoted),
            None => (false, bytes),
        };
        let text = quoted.strip_prefix(b"\"")?;
        let end = text.iter().position(|byte| !is_tag_byte(*byte))?;
        let (opaque, rest) = text.split_at_checked(end)?;
        Some((RawTag { is_weak, opaque }, rest.strip_prefix(b"\"")?))
    }

    pub(super) fn strong_eq(self, other: RawTag<'_>) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }

    pub(super) fn weak_eq(self, other: RawTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// `etagc` of RFC 9110, section 8.8.3; a backslash is an ordinary byte.
fn is_tag_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_tag_or_not() {
        let cases: [(&[u8], Option<(bool, &[u8])>); 16] = [
            (b"\"a\"", Some((false, b"a"))),
            (b"W/\"a\"", Some((true, b"a"))),
            (b"\"\"", Some((false, b""))),
            (b"\"a,b\"", Some((false, b"a,b"))),
            (b"\"a\\\"", Some((false, b"a\\"))),
            (b"\"\xff\xfe\"", Some((false, b"\xff\xfe"))),
            (b"W/\"W/\"", Some((true, b"W/"))),
            (b"w/\"a\"", None),
            (b"W/ \"a\"", None),
            (b"a", None),
            (b"\"a", None),
            (b"\"", None),
            (b"\"a b\"", None),
            (b"\"a\"b\"", None),
            (b"\"a\", \"b\"", None),
            (b"", None),
        ];
        for (value, expected) in cases {
            let tag = EntityTag::from_header_value(&HeaderValue::from_bytes(value).unwrap());
            let found = tag.as_ref().map(|tag| (tag.is_weak(), tag.opaque()));
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn tags_compare_as_the_table_of_the_rfc_says() {
        // RFC 9110, section 8.8.3.2.
        for (one, other, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ] {
            let (one, other): (EntityTag, EntityTag) =
                (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(one.strong_eq(&other), strong, "{one} {other}");
            assert_eq!(other.weak_eq(&one), weak, "{one} {other}");
        }
    }

    #[test]
    fn a_tag_that_cannot_be_sent_is_an_error() {
        for text in ["a\"b", "a b", "a\nb", "\u{7f}"] {
            assert!(EntityTag::strong(text).is_err(), "{text:?}");
            assert!(EntityTag::weak(text).is_err(), "{text:?}");
        }
        assert_eq!(
            EntityTag::strong("a b").unwrap_err().to_string(),
            "\"a b\" is not an entity tag: use visible characters without quotes and spaces"
        );
        assert_eq!("1".parse::<EntityTag>(), Err(EntityTagError("1".into())));
    }

    #[test]
    fn a_strong_tag_can_become_weak() {
        let weak = EntityTag::weak("a").unwrap();
        assert_eq!(EntityTag::strong("a").unwrap().into_weak(), weak);
        assert_eq!(weak.clone().into_weak(), weak);
        assert_eq!(HeaderValue::from(weak), "W/\"a\"");
    }
}
