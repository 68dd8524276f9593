//! Helpers that several families of wrappers share.

pub(crate) mod authorization;
pub(crate) mod escape;
pub(crate) mod header_values;
pub(crate) mod html;
pub(crate) mod json;
#[cfg(feature = "auth")]
pub(crate) mod keyed_hash;
pub(crate) mod monotonic;
pub(crate) mod redaction;
#[cfg(any(feature = "multipart", feature = "spool"))]
pub(crate) mod spooled;
pub(crate) mod valid_status;
#[cfg(feature = "time")]
pub(crate) mod xxh64;
