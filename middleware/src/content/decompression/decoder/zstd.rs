//! Zstandard.

use std::io;

use zstd::stream::raw::{DParameter, Decoder as Raw, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::get_frame_content_size;

use super::{Decoder, Step};

/// 8 MiB: more than that must not be sent (RFC 9659, section 3).
const WINDOW_BITS: u32 = 23;

/// How long the head of a frame may be (RFC 8878, section 3.1.1): a magic number of 4 bytes, and up to 14.
const HEAD: usize = 18;

pub(super) struct ZstdDecoder {
    decoder: Raw<'static>,
    /// The first bytes of the frame.
    head: Vec<u8>,
    /// How much came out of the frame.
    produced: u64,
}

impl ZstdDecoder {
    pub(super) fn new() -> io::Result<ZstdDecoder> {
        let mut decoder = Raw::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_BITS))?;
        Ok(ZstdDecoder {
            decoder,
            head: Vec::with_capacity(HEAD),
            produced: 0,
        })
    }

    /// Whether the frame has as much content as its head says, where that says it (RFC 8878, section 3.1.1.1.4).
    ///
    /// libzstd compares the two as well, but not where the last block is empty and the frame comes in parts.
    fn check_size(&self) -> io::Result<()> {
        match get_frame_content_size(&self.head) {
            Ok(said) if said.is_none_or(|said| said == self.produced) => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the frame's content is not as long as it says",
            )),
        }
    }
}

impl Decoder for ZstdDecoder {
    fn decode(&mut self, compressed: &[u8], room: &mut [u8]) -> io::Result<Step> {
        // libzstd is stricter with a frame that is all there when its head ends: never so, it is always the same.
        let missing = HEAD - self.head.len();
        let compressed = match (missing, compressed) {
            (1.., [first, ..]) => std::slice::from_ref(first),
            _ => compressed,
        };
        let mut input = InBuffer::around(compressed);
        let mut output = OutBuffer::around(room);
        let wanted = self.decoder.run(&mut input, &mut output)?;
        let (consumed, produced) = (input.pos(), output.pos());
        self.head
            .extend(compressed.iter().take(consumed.min(missing)));
        self.produced += produced as u64;
        let ended = wanted == 0;
        if ended {
            self.check_size()?;
        }
        Ok(Step {
            consumed,
            produced,
            ended,
        })
    }

    /// Content is one or more frames (RFC 8878, section 3).
    fn restart(&mut self) -> io::Result<()> {
        self.head.clear();
        self.produced = 0;
        self.decoder.reinit()
    }
}
