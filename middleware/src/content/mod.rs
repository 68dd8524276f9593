//! Codings, types, versions and parts of bodies: compression, `Content-Type`, entity tags, conditions, ranges.

pub(crate) mod coding;
#[cfg(feature = "compression")]
pub(crate) mod compression;
#[cfg(feature = "time")]
pub(crate) mod conditional;
pub(crate) mod content_type;
#[cfg(feature = "compression")]
pub(crate) mod decompression;
pub(crate) mod digests;
#[cfg(feature = "time")]
pub(crate) mod etag;
#[cfg(feature = "time")]
pub(crate) mod ranges;
#[cfg(feature = "time")]
mod refusal;
