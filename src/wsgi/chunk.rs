//! The items of a WSGI iterable.

use std::borrow::Cow;

use bytes::Bytes;
use enfilade_core::HttpError;

/// An item of a WSGI iterable: a byte string, or an error instead of one.
pub trait IntoChunk {
    /// Returns the bytes.
    ///
    /// # Errors
    ///
    /// If the item is an error. The response is then replaced or aborted.
    fn into_chunk(self) -> Result<Bytes, HttpError>;
}

macro_rules! into_chunk {
    ($($kind:ty),+) => {$(
        impl IntoChunk for $kind {
            fn into_chunk(self) -> Result<Bytes, HttpError> {
                Ok(Bytes::from(self))
            }
        }
    )+};
}

into_chunk!(&'static str, String, &'static [u8], Vec<u8>, Bytes);

impl<const N: usize> IntoChunk for &'static [u8; N] {
    fn into_chunk(self) -> Result<Bytes, HttpError> {
        Ok(Bytes::from_static(self))
    }
}

impl IntoChunk for Cow<'static, str> {
    fn into_chunk(self) -> Result<Bytes, HttpError> {
        match self {
            Cow::Borrowed(text) => text.into_chunk(),
            Cow::Owned(text) => text.into_chunk(),
        }
    }
}

impl<T: IntoChunk, E: Into<HttpError>> IntoChunk for Result<T, E> {
    fn into_chunk(self) -> Result<Bytes, HttpError> {
        self.map_err(Into::into)?.into_chunk()
    }
}
