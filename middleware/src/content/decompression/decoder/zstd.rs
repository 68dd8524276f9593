//! Zstandard.

use std::io;

use zstd::stream::raw::{DParameter, Decoder as Raw, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::get_frame_content_size;

use super::{Decoder, Step};

/// 8 MiB: more must not be sent (RFC 9659, section 3).
const WINDOW_BITS: u32 = 23;

/// The maximum length of a frame header (RFC 8878, section 3.1.1): a magic number of 4 bytes, and up to 14.
const HEAD: usize = 18;

pub(super) struct ZstdDecoder {
    decoder: Raw<'static>,
    /// The first bytes of the frame.
    head: Vec<u8>,
    /// The output of the frame so far, in bytes.
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

    /// Checks that the frame has the content size of its header, if there is one (RFC 8878, section 3.1.1.1.4).
    ///
    /// libzstd checks it too, but not if the last block is empty and the frame arrives in parts.
    fn check_size(&self) -> io::Result<()> {
        match get_frame_content_size(&self.head) {
            Ok(said) if said.is_none_or(|said| said == self.produced) => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the frame's content does not have the length in its header",
            )),
        }
    }
}

impl Decoder for ZstdDecoder {
    fn decode(&mut self, compressed: &[u8], room: &mut [u8]) -> io::Result<Step> {
        // libzstd is stricter if the whole frame is available when its header ends; passing parts makes it always the
        // same.
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
