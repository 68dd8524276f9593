//! Zstandard.

use std::io;

use zstd::stream::raw::{DParameter, Decoder as Raw, InBuffer, Operation, OutBuffer};

use super::{Decoder, Step};

/// 8 MiB: more than that must not be sent (RFC 9659, section 3).
const WINDOW_BITS: u32 = 23;

pub(super) struct Zstd(Raw<'static>);

impl Zstd {
    pub(super) fn new() -> io::Result<Zstd> {
        let mut decoder = Raw::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_BITS))?;
        Ok(Zstd(decoder))
    }
}

impl Decoder for Zstd {
    fn decode(&mut self, coded: &[u8], room: &mut [u8]) -> io::Result<Step> {
        let mut coded = InBuffer::around(coded);
        let mut room = OutBuffer::around(room);
        let wanted = self.0.run(&mut coded, &mut room)?;
        Ok(Step {
            taken: coded.pos(),
            given: room.pos(),
            ended: wanted == 0,
        })
    }

    /// Content is one or more frames (RFC 8878, section 3).
    fn restart(&mut self) -> io::Result<()> {
        self.0.reinit()
    }
}
