//! Codings and types of bodies: compression, decompression, `Content-Type`.

pub(crate) mod coding;
#[cfg(feature = "compression")]
pub(crate) mod compression;
pub(crate) mod content_type;
#[cfg(feature = "compression")]
pub(crate) mod decompression;
pub(crate) mod digests;
