//! Ranges of media types (RFC 9110, section 12.5.1).

use std::fmt;

use enfilade_core::headers::is_token;
use http::HeaderValue;

use crate::error::{Error, ErrorKind};

/// `text/html`, `image/*` or `*/*`, in lower case.
#[derive(Clone, Debug)]
pub(crate) struct MediaRange {
    kind: String,
    subtype: String,
}

impl MediaRange {
    pub(crate) fn new(text: &str) -> Result<MediaRange, Error> {
        let refused = || {
            let message = format!("{text:?} is not a media type or a range of them");
            Error::new(ErrorKind::Rule, message)
        };
        let (kind, subtype) = text.split_once('/').ok_or_else(refused)?;
        if !(is_token(kind) && is_token(subtype) && (kind != "*" || subtype == "*")) {
            return Err(refused());
        }
        Ok(MediaRange {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
        })
    }

    /// Whether it matches a `Content-Type`; without one, only `*/*` matches.
    pub(crate) fn matches(&self, value: Option<&HeaderValue>) -> bool {
        let text = value.and_then(|value| value.to_str().ok());
        let essence = text.unwrap_or_default().split(';').next();
        let is = |wanted: &str, part: &str| wanted == "*" || part.eq_ignore_ascii_case(wanted);
        match essence.unwrap_or_default().trim().split_once('/') {
            Some((kind, subtype)) => is(&self.kind, kind) && is(&self.subtype, subtype),
            None => self.kind == "*",
        }
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.subtype)
    }
}
