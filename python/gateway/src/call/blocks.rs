//! Blocks of a body, on their way from the application to the gateway.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use enfilade::{Body, BoxError};
use http_body::Frame;
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use smallvec::SmallVec;
use tokio::sync::{Semaphore, TryAcquireError, mpsc};

use crate::run::activity;
use crate::run::reactor::{self, wait};

/// The limit of bytes of a response that may wait for a slow client before the application waits too.
const AHEAD: usize = 1024 * 1024;
/// The smallest number of bytes that a block counts as, because a block needs memory of its own.
const LEAST: usize = 1024;
/// Blocks up to this size, in bytes, are copied and not shared.
const LITTLE: usize = 32 * 1024;

/// Blocks of a body in memory, usually one.
pub(crate) type Blocks = SmallVec<[Bytes; 1]>;

/// The progress of a streamed body.
#[derive(Debug)]
pub(crate) struct Progress {
    sent: AtomicU64,
    taken: AtomicU64,
    is_whole: AtomicBool,
    /// The bytes that may still be sent ahead; closed when the body is not read any more.
    room: Semaphore,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress {
            sent: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            is_whole: AtomicBool::new(false),
            room: Semaphore::new(AHEAD),
        }
    }

    /// Whether the gateway has taken all that was sent.
    fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.sent.load(Ordering::Relaxed)
    }

    /// Marks the body as complete.
    pub(crate) fn end(&self) {
        self.is_whole.store(true, Ordering::Release);
    }
}

/// Returns how much room a block needs. One that is larger than all of it waits for those before it.
fn weight(block: &Bytes) -> u32 {
    let weight = u32::try_from(block.len().clamp(LEAST, AHEAD));
    weight.expect("at most the limit")
}

/// Passes a block to the gateway.
///
/// Returns false if the body is not read any more. An inline server sends as much as the client takes, and keeps the
/// rest up to the limit: a client that does not read must not stop the others.
pub(crate) fn transmit(
    py: Python<'_>,
    blocks: &mpsc::UnboundedSender<Bytes>,
    progress: &Progress,
    bytes: Bytes,
) -> PyResult<bool> {
    let _waiting = activity::waiting();
    let weight = weight(&bytes);
    let room = match progress.room.try_acquire_many(weight) {
        Err(TryAcquireError::NoPermits) => wait(py, progress.room.acquire_many(weight))?.ok(),
        room => room.ok(),
    };
    let Some(room) = room else {
        return Ok(false);
    };
    room.forget();
    progress.sent.fetch_add(1, Ordering::Relaxed);
    if blocks.send(bytes).is_err() {
        return Ok(false);
    }
    if let Some(reactor) = reactor::current() {
        reactor.flush(py, &|| progress.is_taken() || blocks.is_closed())?;
    }
    Ok(!blocks.is_closed())
}

/// The blocks on their way from Python to the gateway.
pub(crate) struct BlockStream {
    receiver: Option<mpsc::UnboundedReceiver<Bytes>>,
    progress: Arc<Progress>,
}

impl BlockStream {
    pub(crate) fn new(
        receiver: mpsc::UnboundedReceiver<Bytes>,
        progress: Arc<Progress>,
    ) -> BlockStream {
        BlockStream {
            receiver: Some(receiver),
            progress,
        }
    }
}

impl http_body::Body for BlockStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(receiver) = &mut this.receiver else {
            return Poll::Ready(None);
        };
        if let Some(block) = ready!(receiver.poll_recv(context)) {
            this.progress.taken.fetch_add(1, Ordering::Relaxed);
            this.progress.room.add_permits(weight(&block) as usize);
            return Poll::Ready(Some(Ok(Frame::data(block))));
        }
        this.receiver = None;
        // The end must be announced: a body that merely stops must not look complete.
        Poll::Ready(match this.progress.is_whole.load(Ordering::Acquire) {
            true => None,
            false => Some(Err("the application aborted the response".into())),
        })
    }
}

impl Drop for BlockStream {
    fn drop(&mut self) {
        // The application may wait for room.
        self.progress.room.close();
    }
}

/// Returns one buffer if there is little to copy, else all of them.
pub(crate) fn body_of(mut blocks: Blocks) -> Body {
    if let [only] = &mut blocks[..] {
        return Body::from(std::mem::take(only));
    }
    let length: usize = blocks.iter().map(Bytes::len).sum();
    match length <= LITTLE {
        true => Body::from(blocks.concat()),
        false => Body::from_list(blocks.into_vec()),
    }
}

/// Returns a block of the iterable; a small one is copied.
pub(crate) fn block(item: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let Ok(bytes) = item.cast::<PyBytes>() else {
        let kind = item.get_type().name()?;
        return Err(PyAssertionError::new_err(format!(
            "a block of the body must be bytes, not {kind}"
        )));
    };
    let content = bytes.as_bytes();
    match content.len() {
        0 => Ok(Bytes::new()),
        length if length <= LITTLE => Ok(Bytes::copy_from_slice(content)),
        _ => Ok(Bytes::from_owner(pyo3::pybacked::PyBackedBytes::from(
            bytes.clone(),
        ))),
    }
}

/// Returns the part of `bytes` that `left` allows, and whether that is all of them.
pub(crate) fn cut(mut bytes: Bytes, left: &mut Option<u64>) -> (Bytes, bool) {
    let Some(left) = left else {
        return (bytes, true);
    };
    let room = usize::try_from(*left).unwrap_or(usize::MAX);
    let is_whole = bytes.len() <= room;
    bytes.truncate(room);
    *left -= bytes.len() as u64;
    (bytes, is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_at_the_length() {
        let cases = [
            (None, "abc", "abc", true, None),
            (Some(5), "abc", "abc", true, Some(2)),
            (Some(3), "abc", "abc", true, Some(0)),
            (Some(2), "abc", "ab", false, Some(0)),
            (Some(0), "abc", "", false, Some(0)),
            (Some(0), "", "", true, Some(0)),
        ];
        for (before, block, taken, is_whole, after) in cases {
            let mut left = before;
            let found = cut(Bytes::from_static(block.as_bytes()), &mut left);
            assert_eq!(found, (Bytes::from_static(taken.as_bytes()), is_whole));
            assert_eq!(left, after, "{before:?} {block:?}");
        }
    }

    #[test]
    fn small_blocks_are_joined_and_large_ones_stay() {
        let body = |blocks: &[usize]| {
            let blocks = blocks.iter().map(|length| Bytes::from(vec![b'x'; *length]));
            body_of(blocks.collect())
        };
        for (blocks, is_one) in [
            (&[][..], true),
            (&[5], true),
            (&[2 * LITTLE], true),
            (&[1, 2, 3], true),
            (&[1, LITTLE], false),
        ] {
            let body = body(blocks);
            assert_eq!(body.as_bytes().is_some(), is_one, "{blocks:?}");
            let length: usize = blocks.iter().sum();
            assert_eq!(body.known_length(), Some(length as u64), "{blocks:?}");
        }
    }
}
