//! Zstandard.

use std::io;

use zstd::stream::raw::{Encoder as Raw, InBuffer, Operation, OutBuffer};

use super::{Encoder, Then};

/// The minimum space for output.
const ROOM: usize = 4 * 1024;

pub(super) struct ZstdEncoder(Raw<'static>);

impl ZstdEncoder {
    pub(super) fn new(level: u32) -> io::Result<ZstdEncoder> {
        Raw::new(i32::try_from(level).unwrap_or_default()).map(ZstdEncoder)
    }

    /// Runs `step` with space for output until it has no more output.
    fn drain(
        &mut self,
        output: &mut Vec<u8>,
        mut step: impl FnMut(&mut Raw<'static>, &mut OutBuffer<'_, Vec<u8>>) -> io::Result<bool>,
    ) -> io::Result<()> {
        loop {
            if output.spare_capacity_mut().len() < ROOM {
                output.reserve(ROOM.max(output.len()));
            }
            let filled = output.len();
            let mut room = OutBuffer::around_pos(output, filled);
            if step(&mut self.0, &mut room)? {
                return Ok(());
            }
        }
    }
}

impl Encoder for ZstdEncoder {
    fn begin(&mut self, length: Option<u64>) -> io::Result<()> {
        self.0.reinit()?;
        // A known length allows smaller tables and is written in the frame header.
        self.0.set_pledged_src_size(length)
    }

    fn encode(&mut self, content: &[u8], then: Then, output: &mut Vec<u8>) -> io::Result<()> {
        let mut content = InBuffer::around(content);
        self.drain(output, |encoder, room| {
            while content.pos() < content.src.len() {
                encoder.run(&mut content, room)?;
                if room.pos() == room.capacity() {
                    return Ok(false);
                }
            }
            Ok(match then {
                Then::More => true,
                Then::Flush => encoder.flush(room)? == 0,
                Then::Finish => encoder.finish(room, true)? == 0,
            })
        })
    }
}
