//! The streams of HTTP/2: tasks that end when their client takes nothing of the response.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use hyper::rt::Executor;

use crate::server::connection::date;
use crate::server::connection::progress::{Progress, WritePace};

/// Runs the streams of a connection.
///
/// hyper asks a body for its next piece when the client's window has room for the one before, and to a client that opens
/// no window it waits for ever. What it waits for is known here, and a stream that is dropped is reset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams(pub(super) WritePace);

/// What became of a stream's body while the stream ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Handed {
    /// Nobody asked for a piece.
    #[default]
    NotAsked,
    /// It had no piece: the application is what is waited for.
    Nothing,
    /// It gave this many bytes, which are waiting for the client now.
    Bytes(u64),
}

tokio::task_local! {
    static HANDED: Cell<Handed>;
    /// How long the client took for the piece before, in milliseconds.
    static LATEST_WAIT: u64;
}

/// How a body says what it gave to its stream, and learns how fast the client is.
pub(super) struct Piece;

impl Piece {
    /// The body gave so many bytes, or had none.
    pub(super) fn handed(bytes: Option<usize>) {
        // No stream is what HTTP/1 has.
        let _ = HANDED.try_with(|handed| {
            handed.set(match (bytes, handed.get()) {
                (None, _) => Handed::Nothing,
                (Some(bytes), Handed::Bytes(before)) => Handed::Bytes(before + bytes as u64),
                (Some(bytes), _) => Handed::Bytes(bytes as u64),
            });
        });
    }

    /// How long the client took for the piece before, in milliseconds.
    pub(super) fn latest_wait() -> u64 {
        LATEST_WAIT.try_with(|wait| *wait).unwrap_or_default()
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut progress = Progress::new(self.0);
        tokio::spawn(async move {
            let mut stream = pin!(stream);
            let (mut waits, mut latest) = (false, 0);
            poll_fn(|context| {
                date::look();
                let (polled, handed) = HANDED.sync_scope(Cell::default(), || {
                    let polled = LATEST_WAIT.sync_scope(latest, || stream.as_mut().poll(context));
                    (polled, HANDED.with(Cell::get))
                });
                if polled.is_ready() {
                    return Poll::Ready(());
                }
                match handed {
                    Handed::NotAsked => {}
                    Handed::Nothing => waits = false,
                    Handed::Bytes(bytes) => {
                        let wait = progress.takes(bytes).as_millis();
                        latest = u64::try_from(wait).unwrap_or(u64::MAX);
                        waits = true;
                    }
                }
                match waits {
                    true => progress.poll_wait(context),
                    false => Poll::Pending,
                }
            })
            .await;
        });
    }
}
