//! The streams of HTTP/2: tasks that end when their client takes nothing of the response.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::sync::oneshot;

use crate::server::connection::activity::Activity;
use crate::server::connection::date;
use crate::server::connection::piece::{Handover, PIECE, Piece};
use crate::server::connection::progress::{Progress, WritePace};

/// How many where nobody knows yet how fast the client is.
const SMALL_PIECE: usize = 1024;
/// A piece for which the client takes no longer than this may be followed by a larger one.
const QUICK: Duration = Duration::from_millis(100);
/// A piece for which it takes longer than this is followed by a small one.
const SLOW: Duration = Duration::from_secs(1);

/// Runs the streams of a connection.
///
/// hyper asks a body for its next piece when the client's window has room for the one before, and to a client that opens
/// no window it waits for ever. What it waits for is known here, and a stream that is dropped is reset.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) pace: WritePace,
    pub(super) activity: Arc<Activity>,
    /// How many of them wait for the client.
    pub(super) waiting: Arc<AtomicUsize>,
}

tokio::task_local! {
    /// What waits for the end of the stream that is handed over by the one that is polled.
    static LINK: Cell<Option<oneshot::Sender<()>>>;
}

impl Streams {
    /// Has `ended` dropped when hyper's part of the stream is over that the current poll hands over.
    pub(super) fn link(ended: oneshot::Sender<()>) {
        // It is dropped at once if no stream is polled.
        let _ = LINK.try_with(|link| link.set(Some(ended)));
    }
}

/// How a stream's client takes the response.
pub(super) struct StreamProgress {
    streams: Streams,
    progress: Progress,
    /// The window that the stream began with, and how much was handed over.
    window: u64,
    handed: u64,
    /// The piece that waits for the client.
    last: u64,
    /// How large a piece may be beyond that window.
    piece: usize,
    /// Whether the client took the piece before at once; the first of several may have found a window that was open.
    was_quick: bool,
    is_waiting: bool,
    /// How much content the connection had sent when the client was last found to let it go on.
    sent: u64,
}

impl StreamProgress {
    pub(super) fn new(streams: Streams) -> StreamProgress {
        let flow = streams.activity.flow();
        StreamProgress {
            progress: Progress::new(streams.pace),
            window: flow.map_or(0, |flow| flow.initial_window.into()),
            handed: 0,
            last: 0,
            piece: SMALL_PIECE,
            was_quick: false,
            is_waiting: false,
            sent: flow.map_or(0, |flow| flow.sent),
            streams,
        }
    }

    /// How much may be handed over at once: what fits into the window goes at once, and of what goes beyond it not more
    /// than a slow client takes in a short time, as nothing shows that it takes a part of a piece.
    pub(super) fn limit(&self) -> usize {
        let left = usize::try_from(self.window.saturating_sub(self.handed)).unwrap_or(PIECE);
        match left {
            0 => self.piece,
            left => left.min(PIECE),
        }
    }

    /// The body gave pieces: the client took the one before, and all of these but the last.
    pub(super) fn hands_over(&mut self, others: u64, last: u64) {
        let is_beyond = self.handed >= self.window;
        self.handed = self.handed.saturating_add(others + last);
        let was_waiting = self.is_waiting;
        let before = std::mem::replace(&mut self.last, last);
        let wait = self.progress.takes(before + others);
        let is_quick = is_beyond && wait <= QUICK && (was_waiting || others > 0);
        if wait > SLOW {
            self.piece = SMALL_PIECE;
        } else if is_quick && self.was_quick {
            self.piece = (self.piece * 2).min(PIECE);
        }
        self.was_quick = is_quick;
        self.waits(true);
    }

    pub(super) fn waits(&mut self, is_waiting: bool) {
        let waiting = &self.streams.waiting;
        match (self.is_waiting, is_waiting) {
            (false, true) => {
                waiting.fetch_add(1, Ordering::Relaxed);
                self.sent = self.streams.activity.flow().map_or(0, |flow| flow.sent);
            }
            (true, false) => _ = waiting.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        self.is_waiting = is_waiting;
    }

    /// Ready when the client is given up.
    pub(super) fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.progress.poll_wait(context).is_ready() {
            if !self.shares_a_slow_connection() {
                return Poll::Ready(());
            }
            self.progress.renew();
        }
        Poll::Pending
    }

    /// Whether the stream waits for the connection, and that goes on: one of many streams waits long for its turn.
    fn shares_a_slow_connection(&mut self) -> bool {
        let activity = &self.streams.activity;
        let sent = activity.flow().map_or(0, |flow| flow.sent);
        let taken = sent.saturating_sub(std::mem::replace(&mut self.sent, sent));
        let waiting = self.streams.waiting.load(Ordering::Relaxed) as u64;
        let share = self.streams.pace.share().max(1).saturating_mul(waiting);
        activity.is_congested() && taken >= share
    }
}

impl Drop for StreamProgress {
    fn drop(&mut self) {
        self.waits(false);
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut progress = StreamProgress::new(self.clone());
        let link = LINK.try_with(Cell::take).ok().flatten();
        tokio::spawn(async move {
            let _link = link;
            let mut stream = pin!(stream);
            poll_fn(|context| {
                date::look();
                let limit = progress.limit();
                let (polled, handed) = LINK.sync_scope(Cell::default(), || {
                    Piece::within(limit, || stream.as_mut().poll(context))
                });
                if polled.is_ready() {
                    return Poll::Ready(());
                }
                match handed {
                    Handover::NotAsked => {}
                    Handover::Nothing => progress.waits(false),
                    Handover::Pieces { others, last } => progress.hands_over(others, last),
                }
                match progress.is_waiting {
                    true => progress.poll_wait(context),
                    false => Poll::Pending,
                }
            })
            .await;
        });
    }
}
