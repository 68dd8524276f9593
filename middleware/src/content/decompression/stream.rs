//! A body that is decompressed while it is read.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use enfilade_core::{Body, BodyError};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};

use super::chain::{Bounds, DecodeError, DecoderChain, PIECE};
use super::plan::Codings;
use crate::content::digests::remove_digests;
use crate::protect::body_fault::BodyFault;

/// The amount of work before other tasks on the event loop may run, in bytes: about a millisecond.
const TURN: usize = 256 * 1024;
/// The fixed cost of a frame, a decoder step or a gzip member, in bytes.
const BEGINNING: usize = 1024;

/// Decompresses a body frame by frame; nothing is set up before the first poll.
pub(super) struct DecompressedBody {
    inner: Body,
    codings: Codings,
    bounds: Bounds,
    body_fault: BodyFault,
    chain: Option<DecoderChain>,
    /// Compressed bytes from the body that are not decoded yet.
    waiting: Bytes,
    /// The output buffer; the next field is the number of bytes in it.
    room: Vec<u8>,
    filled: usize,
    /// The work since other tasks could last run.
    work: usize,
    trailers: Option<HeaderMap>,
    ended: bool,
}

type Next = Option<Result<Frame<Bytes>, BodyError>>;

impl DecompressedBody {
    pub(super) fn new(
        inner: Body,
        codings: Codings,
        bounds: Bounds,
        body_fault: BodyFault,
    ) -> DecompressedBody {
        DecompressedBody {
            inner,
            codings,
            bounds,
            body_fault,
            chain: None,
            waiting: Bytes::new(),
            room: Vec::new(),
            filled: 0,
            work: 0,
            trailers: None,
            ended: false,
        }
    }

    /// Decodes some of the waiting bytes.
    fn decode(&mut self) -> Result<(), DecodeError> {
        let chain = match &mut self.chain {
            Some(chain) => chain,
            none => {
                self.room = vec![0; PIECE];
                none.insert(DecoderChain::new(self.codings, self.bounds)?)
            }
        };
        let compressed = self.waiting.get(..PIECE).unwrap_or(&self.waiting);
        let room = self.room.get_mut(self.filled..).unwrap_or_default();
        let before = chain.moved();
        let step = chain.decode(compressed, room)?;
        self.waiting.advance(step.consumed);
        self.filled += step.produced;
        self.work += BEGINNING + usize::try_from(chain.moved() - before).unwrap_or(TURN);
        Ok(())
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<(), DecodeError> {
        self.trailers = trailers.map(|mut trailers| {
            remove_digests(&mut trailers);
            trailers
        });
        self.chain.as_ref().map_or(Ok(()), DecoderChain::finish)
    }

    /// Whether there is something to decode.
    fn has_work(&self) -> bool {
        let is_starved = self.chain.as_ref().is_none_or(DecoderChain::is_starved);
        self.waiting.has_remaining() || !is_starved
    }

    /// Returns the output. It is copied, so that a few bytes do not keep the whole buffer.
    fn take(&mut self) -> Option<Frame<Bytes>> {
        let piece = self.room.get(..self.filled).unwrap_or_default();
        let piece = (!piece.is_empty()).then(|| Frame::data(Bytes::copy_from_slice(piece)));
        self.filled = 0;
        piece
    }

    /// Ends here: stops the source of the body, and drops the decoders.
    fn end(&mut self) {
        self.ended = true;
        self.inner = Body::empty();
        self.waiting = Bytes::new();
        self.chain = None;
    }

    fn fail(&mut self, error: DecodeError) -> Next {
        self.body_fault.record(error.status(), error.to_string());
        self.filled = 0;
        self.end();
        Some(Err(error.into()))
    }

    /// Polls the next frame of the compressed body; `None` inside if there is nothing to send yet.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Option<Next>> {
        self.work += BEGINNING;
        let trailers = match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Pending => {
                self.work = 0;
                return match self.take() {
                    Some(piece) => Poll::Ready(Some(Some(Ok(piece)))),
                    None => Poll::Pending,
                };
            }
            Poll::Ready(Some(Err(error))) => {
                // Not a fault of the content: the source of this error defines its meaning.
                self.filled = 0;
                self.end();
                return Poll::Ready(Some(Some(Err(error))));
            }
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    self.waiting = data;
                    return Poll::Ready(None);
                }
                Err(frame) => frame.into_trailers().ok(),
            },
            Poll::Ready(None) => None,
        };
        Poll::Ready(match self.finish(trailers) {
            Ok(()) => {
                self.end();
                None
            }
            Err(error) => Some(self.fail(error)),
        })
    }

    /// Does one step; `None` inside if there is nothing to send yet and more to do.
    fn step(&mut self, context: &mut Context<'_>) -> Poll<Option<Next>> {
        if self.filled == PIECE || self.ended {
            let next = match self.take() {
                None => self.trailers.take().map(Frame::trailers),
                piece => piece,
            };
            return Poll::Ready(Some(next.map(Ok)));
        }
        if self.work >= TURN {
            self.work = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !self.has_work() {
            return self.read(context);
        }
        let failed = self.decode().err();
        Poll::Ready(failed.map(|error| self.fail(error)))
    }
}

impl HttpBody for DecompressedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Next> {
        loop {
            match self.step(context) {
                Poll::Ready(Some(next)) => return Poll::Ready(next),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.filled == 0 && self.trailers.is_none()
    }
}
