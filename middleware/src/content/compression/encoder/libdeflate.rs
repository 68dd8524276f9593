//! gzip and deflate of content in memory, with libdeflate.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::WholeEncoder;
use crate::content::coding::Coding;

pub(super) struct LibdeflateEncoder {
    compressor: Compressor,
    format: Container,
}

#[derive(Clone, Copy)]
enum Container {
    Gzip,
    Zlib,
}

impl LibdeflateEncoder {
    /// Makes an encoder if libdeflate supports the coding. Its levels are roughly those of zlib.
    pub(super) fn new(coding: Coding, level: u32) -> Option<LibdeflateEncoder> {
        let format = match coding {
            Coding::Gzip => Container::Gzip,
            Coding::Deflate => Container::Zlib,
            #[cfg(any(feature = "brotli", feature = "zstd"))]
            _ => return None,
        };
        let level = CompressionLvl::new(level.try_into().ok()?).ok()?;
        Some(LibdeflateEncoder {
            compressor: Compressor::new(level),
            format,
        })
    }
}

impl WholeEncoder for LibdeflateEncoder {
    fn encode_whole(&mut self, content: &[u8]) -> io::Result<Vec<u8>> {
        let compressor = &mut self.compressor;
        let bound = match self.format {
            Container::Gzip => compressor.gzip_compress_bound(content.len()),
            Container::Zlib => compressor.zlib_compress_bound(content.len()),
        };
        let mut output = vec![0; bound];
        let length = match self.format {
            Container::Gzip => compressor.gzip_compress(content, &mut output),
            Container::Zlib => compressor.zlib_compress(content, &mut output),
        };
        output.truncate(length.map_err(io::Error::other)?);
        Ok(output)
    }
}
