//! gzip and deflate.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Decoder, Step, trailing};

/// 32 KiB, the largest there is.
const WINDOW_BITS: u8 = 15;

pub(super) struct Flate {
    inflate: Decompress,
    /// A gzip file is a series of members (RFC 1952, section 2.2); zlib content is one.
    has_members: bool,
}

impl Flate {
    pub(super) fn gzip() -> Flate {
        Flate {
            inflate: Decompress::new_gzip(WINDOW_BITS),
            has_members: true,
        }
    }

    /// The coding `deflate` is the zlib format. Some clients send bare deflate data in its name (RFC 9110, section
    /// 8.4.1.2), which is not guessed at: what two programs on the way read differently is a hole.
    pub(super) fn zlib() -> Flate {
        Flate {
            inflate: Decompress::new(true),
            has_members: false,
        }
    }
}

impl Decoder for Flate {
    fn decode(&mut self, coded: &[u8], room: &mut [u8]) -> io::Result<Step> {
        let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(coded, room, FlushDecompress::None)?;
        let since = |before: u64, now: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
        Ok(Step {
            taken: since(taken, self.inflate.total_in()),
            given: since(given, self.inflate.total_out()),
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
