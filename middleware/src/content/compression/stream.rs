//! A body that is compressed while it is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use enfilade_core::{Body, BodyError};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};

use super::Flush;
use super::encoder::Then;
use super::pool::{EncoderPool, PooledEncoder};
use crate::content::digests::remove_digests;

/// Compressed bytes are sent in pieces of at least this size, unless they are flushed.
const PIECE: usize = 8 * 1024;
/// How much content is compressed at once.
const STEP: usize = 32 * 1024;
/// The number of steps before other tasks on the event loop may run: a few milliseconds of work.
const STEPS: usize = 8;

/// Compresses a body frame by frame; nothing is set up before the first poll.
pub(super) struct CompressedBody {
    inner: Body,
    pool: Arc<EncoderPool>,
    flush: Flush,
    encoder: Option<PooledEncoder>,
    /// Content from the body that is not compressed yet.
    waiting: Bytes,
    /// Compressed bytes that are not sent yet.
    output: Vec<u8>,
    /// Whether the encoder may hold content that was not flushed.
    unflushed: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
}

type Next = Option<Result<Frame<Bytes>, BodyError>>;

impl CompressedBody {
    pub(super) fn new(inner: Body, pool: Arc<EncoderPool>, flush: Flush) -> CompressedBody {
        CompressedBody {
            inner,
            pool,
            flush,
            encoder: None,
            waiting: Bytes::new(),
            output: Vec::new(),
            unflushed: false,
            trailers: None,
            ended: false,
        }
    }

    fn run(&mut self, content: &[u8], then: Then) -> Result<(), BodyError> {
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => {
                let length = self.inner.known_length();
                let length =
                    length.map(|length| length + (content.len() + self.waiting.len()) as u64);
                none.insert(self.pool.take(length).map_err(BodyError::new)?)
            }
        };
        let compressed = encoder.encode(content, then, &mut self.output);
        compressed.map_err(BodyError::new)
    }

    /// Compresses some of the waiting content.
    fn compress(&mut self) -> Result<Option<Frame<Bytes>>, BodyError> {
        let step = self.waiting.split_to(self.waiting.remaining().min(STEP));
        self.run(&step, Then::More)?;
        self.unflushed = true;
        Ok(self.take(PIECE))
    }

    /// The inner body pauses: flushes the encoder, unless flushing is off.
    fn pause(&mut self) -> Result<Option<Frame<Bytes>>, BodyError> {
        if !self.unflushed || self.flush == Flush::Never {
            return Ok(None);
        }
        self.unflushed = false;
        self.run(&[], Then::Flush)?;
        Ok(self.take(1))
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<Option<Frame<Bytes>>, BodyError> {
        self.ended = true;
        self.trailers = trailers.and_then(without_digests);
        self.run(&[], Then::Finish)?;
        self.encoder = None;
        Ok(self.take(1))
    }

    /// Returns the output if it has at least `least` bytes.
    fn take(&mut self, least: usize) -> Option<Frame<Bytes>> {
        let output = &mut self.output;
        (output.len() >= least).then(|| Frame::data(std::mem::take(output).into()))
    }

    /// Does one step; `None` inside if there is nothing to send yet and more to do.
    fn step(&mut self, context: &mut Context<'_>) -> Poll<Option<Next>> {
        let sent = if self.ended {
            let trailers = self.trailers.take().map(Frame::trailers);
            return Poll::Ready(Some(trailers.map(Ok)));
        } else if self.waiting.has_remaining() {
            self.compress()
        } else {
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Pending => match self.pause() {
                    Ok(None) => return Poll::Pending,
                    flushed => flushed,
                },
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.waiting = data;
                        Ok(None)
                    }
                    Err(frame) => self.finish(frame.into_trailers().ok()),
                },
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(None) => self.finish(None),
            }
        };
        // An error also ends the compressed body: without its end mark it is not valid content.
        self.ended |= sent.is_err();
        Poll::Ready(sent.transpose().map(Some))
    }
}

/// Removes digests from trailers; `None` if none are left.
fn without_digests(mut trailers: HeaderMap) -> Option<HeaderMap> {
    remove_digests(&mut trailers);
    Some(trailers).filter(|trailers| !trailers.is_empty())
}

impl HttpBody for CompressedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Next> {
        for _ in 0..STEPS {
            match self.step(context) {
                Poll::Ready(Some(next)) => return Poll::Ready(next),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.trailers.is_none()
    }
}
