//! Brotli.

use std::io;

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::{Decoder, Step, trailing};

type StandardState = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

pub(super) struct BrotliDecoder {
    state: Box<StandardState>,
    total: usize,
}

impl BrotliDecoder {
    pub(super) fn new() -> BrotliDecoder {
        let alloc = StandardAlloc::default;
        BrotliDecoder {
            // Strict: large windows are not in RFC 7932 and take up to a gigabyte.
            state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())),
            total: 0,
        }
    }
}

impl Decoder for BrotliDecoder {
    fn decode(&mut self, compressed: &[u8], room: &mut [u8]) -> io::Result<Step> {
        let (mut consumed, mut produced) = (0, 0);
        let result = BrotliDecompressStream(
            &mut compressed.len(),
            &mut consumed,
            compressed,
            &mut room.len(),
            &mut produced,
            room,
            &mut self.total,
            &mut self.state,
        );
        let ended = match result {
            BrotliResult::ResultSuccess => true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => false,
            BrotliResult::ResultFailure => {
                let kind = io::ErrorKind::InvalidData;
                return Err(io::Error::new(kind, "not valid brotli content"));
            }
        };
        Ok(Step {
            consumed,
            produced,
            ended,
        })
    }

    fn restart(&mut self) -> io::Result<()> {
        Err(trailing())
    }
}
