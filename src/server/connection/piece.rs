//! What a body hands over to its stream of HTTP/2.

use std::cell::Cell;

/// How many bytes are handed over at a time: those of a frame.
pub(super) const PIECE: usize = 16 * 1024;

/// What became of a stream's body while the stream ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Handover {
    /// Nobody asked for a piece.
    #[default]
    NotAsked,
    /// It had no piece: the application is what is waited for.
    Nothing,
    /// It gave pieces, of which the last waits for the client now; the others, of so many bytes, did not.
    Pieces { others: u64, last: u64 },
}

tokio::task_local! {
    static HANDOVER: Cell<Handover>;
    static LIMIT: usize;
}

/// How a body says what it gave to its stream, and learns how much it may give.
pub(super) struct Piece;

impl Piece {
    /// The body gave so many bytes, or had none.
    pub(super) fn record(bytes: Option<usize>) {
        // No stream is what HTTP/1 has.
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

    /// How many bytes it may give at a time over HTTP/2.
    pub(super) fn limit() -> usize {
        LIMIT.try_with(|limit| *limit).unwrap_or(PIECE)
    }

    /// Polls a stream whose body may give so many bytes at a time, and tells what it gave.
    #[cfg(feature = "http2")]
    pub(super) fn within<T>(limit: usize, poll: impl FnOnce() -> T) -> (T, Handover) {
        HANDOVER.sync_scope(Cell::default(), || {
            (LIMIT.sync_scope(limit, poll), HANDOVER.with(Cell::get))
        })
    }
}
