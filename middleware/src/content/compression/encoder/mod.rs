//! The encoders, behind one trait.

#[cfg(feature = "brotli")]
mod brotli;
mod flate;
#[cfg(feature = "libdeflate")]
mod libdeflate;
#[cfg(feature = "zstd")]
mod zstd;

use std::io;
use std::ops::RangeInclusive;

use crate::content::coding::Coding;

/// Compresses content, with buffers in memory.
pub(super) trait Encoder: Send {
    /// Resets the encoder; `length` is the length of all content, if it is known.
    fn begin(&mut self, length: Option<u64>) -> io::Result<()>;

    /// Compresses some content, and appends the output to `output`.
    fn encode(&mut self, content: &[u8], then: Then, output: &mut Vec<u8>) -> io::Result<()>;
}

/// Compresses content that is completely in memory.
pub(super) trait WholeEncoder: Send {
    /// Returns the compressed content.
    fn encode_whole(&mut self, content: &[u8]) -> io::Result<Vec<u8>>;
}

/// What follows the content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// More content: the output may lag behind.
    More,
    /// A pause: all output is produced, at some cost in size.
    Flush,
    /// Nothing: the compressed content ends.
    Finish,
}

/// Makes an encoder; gzip output has no timestamp, so equal content always results in equal bytes.
pub(super) fn new(coding: Coding, level: u32) -> io::Result<Box<dyn Encoder>> {
    Ok(match coding {
        Coding::Gzip => Box::new(flate::FlateEncoder::gzip(level)),
        Coding::Deflate => Box::new(flate::FlateEncoder::zlib(level)),
        #[cfg(feature = "brotli")]
        Coding::Brotli => Box::new(brotli::BrotliEncoder::new(level)),
        #[cfg(feature = "zstd")]
        Coding::Zstd => Box::new(zstd::ZstdEncoder::new(level)?),
    })
}

/// Makes a faster encoder for content that is completely in memory, if this build has one.
#[cfg(feature = "libdeflate")]
pub(super) fn new_whole(coding: Coding, level: u32) -> Option<Box<dyn WholeEncoder>> {
    Some(Box::new(libdeflate::LibdeflateEncoder::new(coding, level)?))
}

/// Makes a faster encoder for content that is completely in memory, if this build has one.
#[cfg(not(feature = "libdeflate"))]
pub(super) fn new_whole(_coding: Coding, _level: u32) -> Option<Box<dyn WholeEncoder>> {
    None
}

/// The valid levels of a coding.
pub(super) fn levels(coding: Coding) -> RangeInclusive<u32> {
    match coding {
        Coding::Gzip | Coding::Deflate => 1..=9,
        #[cfg(feature = "brotli")]
        Coding::Brotli => 0..=11,
        // From level 20 on the window is larger than the 8 MiB that clients must support (RFC 9659, section 3).
        #[cfg(feature = "zstd")]
        Coding::Zstd => 1..=19,
    }
}

/// The default level; gzip's is the first whose size is within a tenth of zlib's 6 (see `benches`).
pub(super) fn default_level(coding: Coding) -> u32 {
    match coding {
        Coding::Gzip | Coding::Deflate => 3,
        #[cfg(feature = "brotli")]
        Coding::Brotli => 4,
        #[cfg(feature = "zstd")]
        Coding::Zstd => 3,
    }
}
