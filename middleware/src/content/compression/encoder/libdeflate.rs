//! gzip and deflate of content in memory, through libdeflate.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::WholeEncoder;
use crate::content::coding::Coding;

pub(super) struct Libdeflate {
    compressor: Compressor,
    format: Format,
}

#[derive(Clone, Copy)]
enum Format {
    Gzip,
    Zlib,
}

impl Libdeflate {
    /// An encoder for this coding, where libdeflate knows it. Its levels are those of zlib, about.
    pub(super) fn new(coding: Coding, level: u32) -> Option<Libdeflate> {
        let format = match coding {
            Coding::Gzip => Format::Gzip,
            Coding::Deflate => Format::Zlib,
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
        let compressor = &mut self.compressor;
        let bound = match self.format {
            Format::Gzip => compressor.gzip_compress_bound(content.len()),
            Format::Zlib => compressor.zlib_compress_bound(content.len()),
        };
        let mut output = vec![0; bound];
        let length = match self.format {
            Format::Gzip => compressor.gzip_compress(content, &mut output),
            Format::Zlib => compressor.zlib_compress(content, &mut output),
        };
        output.truncate(length.map_err(io::Error::other)?);
        Ok(output)
    }
}
