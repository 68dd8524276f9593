//! Conversions of bytes and text into a body.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Body, Content};

macro_rules! body_from {
    ($($kind:ty),+) => {$(
        impl From<$kind> for Body {
            fn from(content: $kind) -> Body {
                let bytes: Bytes = content.into();
                if bytes.is_empty() { Body::empty() } else { Body::of(Content::Full(bytes)) }
            }
        }
    )+};
}

body_from!(&'static str, String, &'static [u8], Vec<u8>, Bytes);

impl From<Cow<'static, str>> for Body {
    fn from(content: Cow<'static, str>) -> Body {
        match content {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}
