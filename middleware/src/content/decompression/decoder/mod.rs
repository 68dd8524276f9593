//! The decoders, behind one trait.

#[cfg(feature = "brotli")]
mod brotli;
mod flate;
#[cfg(feature = "zstd")]
mod zstd;

use std::io;

use crate::content::coding::Coding;

/// Decodes compressed bytes, and never writes more than the buffer holds.
pub(super) trait Decoder: Send {
    /// Decodes from the start of `compressed` into `room`, which is not empty.
    fn decode(&mut self, compressed: &[u8], room: &mut [u8]) -> io::Result<Step>;

    /// Prepares for data after the end of compressed content; an error if the format allows none.
    fn restart(&mut self) -> io::Result<()>;
}

/// The result of a decoding step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// The number of compressed bytes consumed.
    pub(super) consumed: usize,
    /// The number of bytes written to the buffer.
    pub(super) produced: usize,
    /// Whether the compressed content has ended, including its checksum.
    pub(super) ended: bool,
}

pub(super) fn new(coding: Coding) -> io::Result<Box<dyn Decoder>> {
    Ok(match coding {
        Coding::Gzip => Box::new(flate::FlateDecoder::gzip()),
        Coding::Deflate => Box::new(flate::FlateDecoder::zlib()),
        #[cfg(feature = "brotli")]
        Coding::Brotli => Box::new(brotli::BrotliDecoder::new()),
        #[cfg(feature = "zstd")]
        Coding::Zstd => Box::new(zstd::ZstdDecoder::new()?),
    })
}

/// Bytes follow content of a coding that has a single end.
fn trailing() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "bytes follow the compressed content",
    )
}
