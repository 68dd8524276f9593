//! gzip and deflate of content in memory, through libdeflate.

use std::io;

use libdeflater::{CompressionError, CompressionLvl, Compressor};

use super::WholeEncoder;
use crate::Coding;

pub(super) struct Libdeflate {
    compressor: Compressor,
    format: Format,
}

struct Format {
    bound: fn(&mut Compressor, usize) -> usize,
    compress: fn(&mut Compressor, &[u8], &mut [u8]) -> Result<usize, CompressionError>,
}

impl Libdeflate {
    /// An encoder for this coding, where libdeflate knows it. Its levels are those of zlib, about.
    pub(super) fn new(coding: Coding, level: u32) -> Option<Libdeflate> {
        let format = match coding {
            Coding::Gzip => Format {
                bound: Compressor::gzip_compress_bound,
                compress: Compressor::gzip_compress,
            },
            Coding::Deflate => Format {
                bound: Compressor::zlib_compress_bound,
                compress: Compressor::zlib_compress,
            },
            #[cfg(any(feature = "brotli", feature = "zstd"))]
            _ => return None,
        };
        let level = CompressionLvl::new(level.try_into().ok()?).ok()?;
        Some(Libdeflate {
            compressor: Compressor::new(level),
            format,
        })
    }
}

impl WholeEncoder for Libdeflate {
    fn code_whole(&mut self, content: &[u8]) -> io::Result<Vec<u8>> {
        let mut output = vec![0; (self.format.bound)(&mut self.compressor, content.len())];
        let length = (self.format.compress)(&mut self.compressor, content, &mut output);
        output.truncate(length.map_err(io::Error::other)?);
        Ok(output)
    }
}
