//! gzip and deflate.

use std::io;

use flate2::{Compress, Compression as Level, FlushCompress, Status};

use super::{Encoder, Then};

/// 32 KiB, the maximum: every client supports it.
const WINDOW_BITS: u8 = 15;
/// The minimum space for output; zlib works best without interruptions.
const ROOM: usize = 4 * 1024;

pub(super) struct FlateEncoder(Compress);

impl FlateEncoder {
    pub(super) fn gzip(level: u32) -> FlateEncoder {
        FlateEncoder(Compress::new_gzip(Level::new(level), WINDOW_BITS))
    }

    pub(super) fn zlib(level: u32) -> FlateEncoder {
        FlateEncoder(Compress::new(Level::new(level), true))
    }

    /// Compresses from the start of `content`, and returns how much was consumed.
    fn step(
        &mut self,
        content: &[u8],
        flush: FlushCompress,
        output: &mut Vec<u8>,
    ) -> io::Result<(usize, Status)> {
        if output.spare_capacity_mut().len() < ROOM {
            output.reserve(ROOM.max(output.len()));
        }
        let before = self.0.total_in();
        let status = self.0.compress_vec(content, output, flush)?;
        let taken = usize::try_from(self.0.total_in() - before).unwrap_or(content.len());
        Ok((taken, status))
    }
}

impl Encoder for FlateEncoder {
    fn begin(&mut self, _length: Option<u64>) -> io::Result<()> {
        self.0.reset();
        Ok(())
    }

    fn encode(&mut self, mut content: &[u8], then: Then, output: &mut Vec<u8>) -> io::Result<()> {
        let flush = match then {
            Then::More => FlushCompress::None,
            Then::Flush => FlushCompress::Sync,
            Then::Finish => FlushCompress::Finish,
        };
        loop {
            let (taken, status) = self.step(content, flush, output)?;
            content = content.get(taken..).unwrap_or_default();
            // Space left in the output means that there was no more output.
            let is_out = content.is_empty() && !output.spare_capacity_mut().is_empty();
            let is_done = match then {
                Then::More => content.is_empty(),
                Then::Flush => is_out,
                Then::Finish => status == Status::StreamEnd,
            };
            if is_done {
                return Ok(());
            }
        }
    }
}
