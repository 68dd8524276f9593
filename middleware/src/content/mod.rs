//! What bodies are: their coding and their type.

pub(crate) mod coding;
pub(crate) mod compression;
pub(crate) mod content_type;
pub(crate) mod decompression;
pub(crate) mod digests;
