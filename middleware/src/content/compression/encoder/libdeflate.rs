//! gzip and deflate of content in memory, through libdeflate.

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
    /// An encoder for this coding, where libdeflate knows it. Its levels are those of zlib, about.
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
