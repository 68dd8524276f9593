//! The streams of HTTP/2: tasks that end when their client reads nothing of the response.

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

/// The size of a piece as long as the client's speed is unknown.
const SMALL_PIECE: usize = 1024;
/// If the client reads a piece within this time, the next one may be larger.
const QUICK: Duration = Duration::from_millis(100);
/// If the client needs longer than this for a piece, the next one is small.
const SLOW: Duration = Duration::from_secs(1);

/// Runs the streams of a connection.
///
/// hyper requests the next piece of a body when the client's window has room for the previous one, and waits forever
/// for a client that opens no window. This type knows what hyper waits for, and resets a stream by dropping it.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) pace: WritePace,
    pub(super) activity: Arc<Activity>,
    /// How many of them wait for the client.
    pub(super) waiting: Arc<AtomicUsize>,
}

tokio::task_local! {
    /// Waits for the end of the stream that the current poll passes on.
    static LINK: Cell<Option<oneshot::Sender<()>>>;
}

impl Streams {
    /// Drops `ended` when hyper's part of the stream is over that the current poll passes on.
    pub(super) fn link(ended: oneshot::Sender<()>) {
        // It is dropped at once if no stream is being polled.
        let _ = LINK.try_with(|link| link.set(Some(ended)));
    }
}

/// How a stream's client reads the response.
pub(super) struct StreamProgress {
    streams: Streams,
    progress: Progress,
    /// The initial window of the stream, and how many bytes were passed on.
    window: u64,
    handed: u64,
    /// The piece that waits for the client.
    last: u64,
    /// The maximum size of a piece beyond that window.
    piece: usize,
    /// Whether the client read the previous piece at once; the first of several may have found an open window.
    was_quick: bool,
    is_waiting: bool,
    /// How much content the connection had sent when the client last let it continue.
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

    /// How much may be passed on at once.
    ///
    /// Bytes that fit into the window are sent at once. Beyond it, pass on no more than a slow client reads in a short
    /// time, because the reading of a part of a piece is not visible.
    pub(super) fn limit(&self) -> usize {
        let left = usize::try_from(self.window.saturating_sub(self.handed)).unwrap_or(PIECE);
        match left {
            0 => self.piece,
            left => left.min(PIECE),
        }
    }

    /// Notes pieces from the body: the client read the previous one, and all of these except the last.
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

    /// Ready when the timeout for the client has passed.
    pub(super) fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.progress.poll_wait(context).is_ready() {
            if !self.shares_a_slow_connection() {
                return Poll::Ready(());
            }
            self.progress.renew();
        }
        Poll::Pending
    }

    /// Whether the stream waits for a connection that makes progress: one of many streams waits long for its turn.
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
