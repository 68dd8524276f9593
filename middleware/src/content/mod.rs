//! What bodies are: their coding and their type.

pub(crate) mod coding;
#[cfg(feature = "compression")]
pub(crate) mod compression;
pub(crate) mod content_type;
#[cfg(feature = "compression")]
pub(crate) mod decompression;
pub(crate) mod digests;
