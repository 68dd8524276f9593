//! The pieces that a body passes to its HTTP/2 stream.

use std::cell::Cell;

/// The number of bytes in a piece: those of a frame.
pub(super) const PIECE: usize = 16 * 1024;

/// The state of a stream's body while the stream was polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Handover {
    /// No piece was requested.
    #[default]
    NotAsked,
    /// It had no piece: the stream waits for the application.
    Nothing,
    /// It returned pieces. The last one, of `last` bytes, waits for the client now; the others did not.
    Pieces { others: u64, last: u64 },
}

tokio::task_local! {
    static HANDOVER: Cell<Handover>;
    static LIMIT: usize;
}

/// Passes between a body and its stream: how much the body returned, and how much it may return.
pub(super) struct Piece;

impl Piece {
    /// Records how many bytes the body returned, or that it had none.
    pub(super) fn record(bytes: Option<usize>) {
        // HTTP/1 has no streams.
        let _ = HANDOVER.try_with(|handed| {
            handed.set(match (bytes, handed.get()) {
                (None, _) => Handover::Nothing,
                (Some(bytes), Handover::Pieces { others, last }) => Handover::Pieces {
                    others: others + last,
                    last: bytes as u64,
                },
                (Some(bytes), _) => Handover::Pieces {
                    others: 0,
                    last: bytes as u64,
                },
            });
        });
    }

    /// How many bytes a body may return at a time over HTTP/2.
    pub(super) fn limit() -> usize {
        LIMIT.try_with(|limit| *limit).unwrap_or(PIECE)
    }

    /// Polls a stream whose body may return `limit` bytes at a time; also returns the handover.
    #[cfg(feature = "http2")]
    pub(super) fn within<T>(limit: usize, poll: impl FnOnce() -> T) -> (T, Handover) {
        HANDOVER.sync_scope(Cell::default(), || {
            (LIMIT.sync_scope(limit, poll), HANDOVER.with(Cell::get))
        })
    }
}
