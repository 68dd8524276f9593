//! gzip and deflate.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Decoder, Step, trailing};

/// 32 KiB, the maximum.
const WINDOW_BITS: u8 = 15;

pub(super) struct FlateDecoder {
    inflate: Decompress,
    /// A gzip file is a series of members (RFC 1952, section 2.2); zlib content is one.
    has_members: bool,
}

impl FlateDecoder {
    pub(super) fn gzip() -> FlateDecoder {
        FlateDecoder {
            inflate: Decompress::new_gzip(WINDOW_BITS),
            has_members: true,
        }
    }

    /// The coding `deflate` is the zlib format. Some clients send raw deflate data by this name (RFC 9110, section
    /// 8.4.1.2). That is not detected: if two programs interpret the same bytes differently, it is a security hole.
    pub(super) fn zlib() -> FlateDecoder {
        FlateDecoder {
            inflate: Decompress::new(true),
            has_members: false,
        }
    }
}

impl Decoder for FlateDecoder {
    fn decode(&mut self, compressed: &[u8], room: &mut [u8]) -> io::Result<Step> {
        let (consumed, produced) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(compressed, room, FlushDecompress::None)?;
        let since = |before: u64, now: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
        Ok(Step {
            consumed: since(consumed, self.inflate.total_in()),
            produced: since(produced, self.inflate.total_out()),
            ended: status == Status::StreamEnd,
        })
    }

    fn restart(&mut self) -> io::Result<()> {
        if !self.has_members {
            return Err(trailing());
        }
        self.inflate.reset(true);
        Ok(())
    }
}
