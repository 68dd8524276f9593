//! The decoders, behind one trait.

#[cfg(feature = "brotli")]
mod brotli;
mod flate;
#[cfg(feature = "zstd")]
mod zstd;

use std::io;

use crate::content::coding::Coding;

/// Takes coded bytes in and gives content out, never more than there is room for.
pub(super) trait Decoder: Send {
    /// Decodes from the start of `compressed` into `room`, which is not empty.
    fn decode(&mut self, compressed: &[u8], room: &mut [u8]) -> io::Result<Step>;

    /// Gets ready for what follows coded content that has ended; an error where the format has nothing there.
    fn restart(&mut self) -> io::Result<()>;
}

/// What came of decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// How many coded bytes were taken.
    pub(super) consumed: usize,
    /// How many bytes of the room were filled.
    pub(super) produced: usize,
    /// Whether the coded content has ended, its checksum included.
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

/// Something follows content of a coding that has one end.
fn trailing() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "bytes follow the coded content")
}
