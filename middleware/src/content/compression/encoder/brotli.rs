//! Brotli.

use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;

use super::{Encoder, Then};

/// The window of a stream, as a power of two: 256 KiB, because a stream may stay open for long and the encoder keeps
/// its window.
const STREAM_WINDOW: u32 = 18;
/// The smallest and largest window if the length of the content is known.
const WINDOWS: (u32, u32) = (16, 22);
/// The size of the output buffer.
const ROOM: usize = 8 * 1024;

pub(super) struct BrotliEncoder {
    level: u32,
    /// Brotli's encoder cannot be reset: each content needs a new one.
    writer: Option<CompressorWriter<Vec<u8>>>,
}

impl BrotliEncoder {
    pub(super) fn new(level: u32) -> BrotliEncoder {
        BrotliEncoder {
            level,
            writer: None,
        }
    }
}

impl Encoder for BrotliEncoder {
    fn begin(&mut self, length: Option<u64>) -> io::Result<()> {
        let window = length.map_or(STREAM_WINDOW, window_for);
        let size_hint = length.and_then(|length| length.try_into().ok());
        let params = BrotliEncoderParams {
            quality: i32::try_from(self.level).unwrap_or_default(),
            lgwin: i32::try_from(window).unwrap_or_default(),
            size_hint: size_hint.unwrap_or_default(),
            ..BrotliEncoderParams::default()
        };
        self.writer = Some(CompressorWriter::with_params(Vec::new(), ROOM, &params));
        Ok(())
    }

    fn encode(&mut self, content: &[u8], then: Then, output: &mut Vec<u8>) -> io::Result<()> {
        let Some(writer) = &mut self.writer else {
            return Err(io::Error::other("content before its beginning"));
        };
        writer.write_all(content)?;
        match then {
            Then::More => {}
            Then::Flush => writer.flush()?,
            Then::Finish => {
                let last = self.writer.take().map(CompressorWriter::into_inner);
                output.extend(last.unwrap_or_default());
                return Ok(());
            }
        }
        output.append(writer.get_mut());
        Ok(())
    }
}

/// The smallest window that holds content of this length.
fn window_for(length: u64) -> u32 {
    let needed = u64::BITS - length.leading_zeros();
    needed.clamp(WINDOWS.0, WINDOWS.1)
}
