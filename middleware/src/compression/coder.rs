//! The encoders, behind one trait.

use std::io::{self, Write};

use flate2::Compression as Level;
use flate2::write::{GzEncoder, ZlibEncoder};

/// A content coding that answers can be given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coding {
    /// `gzip` (RFC 1952).
    Gzip,
    /// `deflate`, which is the zlib format (RFC 9110, section 8.4.1.2).
    Deflate,
}

impl Coding {
    /// The name in `Accept-Encoding` and `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        }
    }

    /// An encoder; gzip without a time, so that the same content always gives the same bytes.
    pub(super) fn encoder(self, level: u32) -> Box<dyn Encoder> {
        let level = Level::new(level);
        match self {
            Coding::Gzip => Box::new(GzEncoder::new(Vec::new(), level)),
            Coding::Deflate => Box::new(ZlibEncoder::new(Vec::new(), level)),
        }
    }
}

/// Takes content in and gives coded bytes out, through memory.
pub(super) trait Encoder: Send {
    /// Codes some content; what comes out may lag behind.
    fn write(&mut self, content: &[u8]) -> io::Result<()>;

    /// Brings out all that lags behind, at some cost in size.
    fn flush(&mut self) -> io::Result<()>;

    /// Brings out the end; nothing can be written after it.
    fn finish(&mut self) -> io::Result<()>;

    /// What has come out since it was last taken.
    fn output(&mut self) -> &mut Vec<u8>;
}

macro_rules! encoder {
    ($($kind:ty),+) => {$(
        impl Encoder for $kind {
            fn write(&mut self, content: &[u8]) -> io::Result<()> {
                self.write_all(content)
            }

            fn flush(&mut self) -> io::Result<()> {
                Write::flush(self)
            }

            fn finish(&mut self) -> io::Result<()> {
                self.try_finish()
            }

            fn output(&mut self) -> &mut Vec<u8> {
                self.get_mut()
            }
        }
    )+};
}

encoder!(GzEncoder<Vec<u8>>, ZlibEncoder<Vec<u8>>);

/// Codes content that is all there already.
pub(super) fn encode_all(coding: Coding, level: u32, content: &[u8]) -> Vec<u8> {
    let mut encoder = coding.encoder(level);
    encoder.output().reserve(content.len() / 4);
    let coded = encoder.write(content).and_then(|()| encoder.finish());
    coded.expect("writing to memory does not fail");
    std::mem::take(encoder.output())
}
