//! Brotli.

use std::io;

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::{Decoder, Step, trailing};

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

pub(super) struct Brotli {
    state: Box<State>,
    total: usize,
}

impl Brotli {
    pub(super) fn new() -> Brotli {
        let alloc = StandardAlloc::default;
        Brotli {
            // Strict: no large windows, which RFC 7932 does not have and which are up to a gigabyte.
            state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())),
            total: 0,
        }
    }
}

impl Decoder for Brotli {
    fn decode(&mut self, coded: &[u8], room: &mut [u8]) -> io::Result<Step> {
        let (mut taken, mut given) = (0, 0);
        let result = BrotliDecompressStream(
            &mut coded.len(),
            &mut taken,
            coded,
            &mut room.len(),
            &mut given,
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
            taken,
            given,
            ended,
        })
    }

    fn restart(&mut self) -> io::Result<()> {
        Err(trailing())
    }
}
