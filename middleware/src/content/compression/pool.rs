//! A pool of encoders: making and clearing one costs as much as compressing some kilobytes.

use std::io;
use std::sync::Arc;

use concurrent_queue::ConcurrentQueue;

use super::encoder::{self, Encoder, Then, WholeEncoder};
use crate::content::coding::Coding;

/// The maximum number of idle encoders of a coding; each is 0.3 to 1.1 MB.
const IDLE: usize = 8;

/// The encoders of one coding at one level.
pub(super) struct EncoderPool {
    coding: Coding,
    level: u32,
    idle: ConcurrentQueue<Box<dyn Encoder>>,
    idle_whole: ConcurrentQueue<Box<dyn WholeEncoder>>,
}

impl EncoderPool {
    pub(super) fn new(coding: Coding, level: u32) -> EncoderPool {
        EncoderPool {
            coding,
            level,
            idle: ConcurrentQueue::bounded(IDLE),
            idle_whole: ConcurrentQueue::bounded(IDLE),
        }
    }

    pub(super) fn coding(&self) -> Coding {
        self.coding
    }

    pub(super) fn level(&self) -> u32 {
        self.level
    }

    /// Returns an encoder that is ready; `length` is the length of the content, if it is known.
    pub(super) fn take(self: &Arc<EncoderPool>, length: Option<u64>) -> io::Result<PooledEncoder> {
        let mut encoder = match self.idle.pop() {
            Ok(encoder) => encoder,
            Err(_) => encoder::new(self.coding, self.level)?,
        };
        encoder.begin(length)?;
        Ok(PooledEncoder {
            encoder: Some(encoder),
            is_finished: false,
            pool: self.clone(),
        })
    }

    /// Compresses content that is completely in memory.
    pub(super) fn encode(self: &Arc<EncoderPool>, content: &[u8]) -> io::Result<Vec<u8>> {
        let whole = self.idle_whole.pop().ok();
        if let Some(mut encoder) = whole.or_else(|| encoder::new_whole(self.coding, self.level)) {
            let compressed = encoder.encode_whole(content);
            // A full pool drops it.
            let _ = self.idle_whole.push(encoder);
            return compressed;
        }
        let mut output = Vec::with_capacity(content.len() / 2);
        let mut encoder = self.take(Some(content.len() as u64))?;
        encoder.encode(content, Then::Finish, &mut output)?;
        Ok(output)
    }
}

/// An encoder that returns to its pool after the end of its content.
///
/// An encoder that stopped before the end is dropped: zlib-rs, reset in the middle at level 1, starts the next content
/// with the end of a block that it never opened.
pub(super) struct PooledEncoder {
    /// `None` only while it is being dropped.
    encoder: Option<Box<dyn Encoder>>,
    is_finished: bool,
    pool: Arc<EncoderPool>,
}

impl PooledEncoder {
    /// As [`Encoder::encode`].
    pub(super) fn encode(
        &mut self,
        content: &[u8],
        then: Then,
        output: &mut Vec<u8>,
    ) -> io::Result<()> {
        if let Some(encoder) = &mut self.encoder {
            encoder.encode(content, then, output)?;
            self.is_finished = then == Then::Finish;
        }
        Ok(())
    }
}

impl Drop for PooledEncoder {
    fn drop(&mut self) {
        if let Some(encoder) = self.encoder.take().filter(|_| self.is_finished) {
            // A full pool drops it.
            let _ = self.pool.idle.push(encoder);
        }
    }
}
