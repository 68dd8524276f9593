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

/// Takes content in and gives coded bytes out, through memory.
pub(super) trait Encoder: Send {
    /// Starts afresh, whatever came before; `length` is that of all content, where it is known.
    fn begin(&mut self, length: Option<u64>) -> io::Result<()>;

    /// Codes some content and adds what comes out to `output`.
    fn encode(&mut self, content: &[u8], then: Then, output: &mut Vec<u8>) -> io::Result<()>;
}

/// Codes content that is all there.
pub(super) trait WholeEncoder: Send {
    /// Gives the coded content.
    fn encode_whole(&mut self, content: &[u8]) -> io::Result<Vec<u8>>;
}

/// What follows the content that is coded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// More of it: what comes out may lag behind.
    More,
    /// A pause: all of it comes out, at some cost in size.
    Flush,
    /// Nothing: the coded content ends.
    Finish,
}

/// An encoder that is ready to begin; gzip has no time, so that the same content always gives the same bytes.
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

/// A faster encoder for content that is all there, where one was built in.
#[cfg(feature = "libdeflate")]
pub(super) fn new_whole(coding: Coding, level: u32) -> Option<Box<dyn WholeEncoder>> {
    Some(Box::new(libdeflate::LibdeflateEncoder::new(coding, level)?))
}

/// A faster encoder for content that is all there, where one was built in.
#[cfg(not(feature = "libdeflate"))]
pub(super) fn new_whole(_coding: Coding, _level: u32) -> Option<Box<dyn WholeEncoder>> {
    None
}

/// The levels that a coding has.
pub(super) fn levels(coding: Coding) -> RangeInclusive<u32> {
    match coding {
        Coding::Gzip | Coding::Deflate => 1..=9,
        #[cfg(feature = "brotli")]
        Coding::Brotli => 0..=11,
        // From 20 on the window is larger than the 8 MiB that clients have to take (RFC 9659, section 3).
        #[cfg(feature = "zstd")]
        Coding::Zstd => 1..=19,
    }
}

/// The level where nobody says otherwise; gzip's is the first that is within a tenth of zlib's 6 in size (see `benches`).
pub(super) fn default_level(coding: Coding) -> u32 {
    match coding {
        Coding::Gzip | Coding::Deflate => 3,
        #[cfg(feature = "brotli")]
        Coding::Brotli => 4,
        #[cfg(feature = "zstd")]
        Coding::Zstd => 3,
    }
}
