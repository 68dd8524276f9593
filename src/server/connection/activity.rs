//! What a connection is doing, as far as its time limits go.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use enfilade_core::unpoisoned;

use tokio::time::Instant;

use crate::failures::FailureHooks;
use crate::server::connection::close_reason::CloseReason;
use crate::server::connection::frames::Frames;
use crate::server::connection::framing::{Framing, MessageBody};
use crate::server::connection::pending_upgrade::PendingUpgrade;

/// How long an idle connection that is told to finish may take for it.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection counts as congested after the client has let it go on, in milliseconds.
#[cfg(feature = "http2")]
const LATELY: u64 = 5_000;

/// Counts the requests of a connection that are not answered yet, and knows since when it waits for the next.
///
/// The clock of an idle connection runs while nothing is in flight and nothing moves: what was handed over to be written
/// may be on its way for long.
#[derive(Debug)]
pub(in crate::server) struct Activity {
    failures: FailureHooks,
    began: Instant,
    in_flight: AtomicUsize,
    /// Whether something was sent or finished after `idle_since`.
    has_moved: AtomicBool,
    /// When something moved last, in milliseconds since the connection began.
    idle_since: AtomicU64,
    /// When the first byte of a head that is not whole came, in milliseconds and one more; 0 if there is none.
    head_since: AtomicU64,
    /// Whether a write waits for the client, whose time [`Wire`](crate::server::connection::wire::Wire) keeps.
    is_writing: AtomicBool,
    /// When the client kept the server from writing last, in milliseconds and one more; 0 if it never did.
    congested_at: AtomicU64,
    /// How many bytes came and are kept until they may be read.
    held: AtomicUsize,
    is_http2: bool,
    /// Whether TLS keeps bytes of its own, so that nobody knows how much is missing.
    is_encrypted: AtomicBool,
    /// How much content of the current body was handed to the application.
    delivered: AtomicU64,
    /// Whether the end of the connection would look like the end of a body that failed.
    must_reset: AtomicBool,
    /// Whether what the client sent ends the connection.
    is_over: AtomicBool,
    /// Whether what comes from now on is no HTTP.
    has_left_http: AtomicBool,
    received: Mutex<Inbound>,
}

#[derive(Debug)]
struct Inbound {
    messages: Messages,
    over: Option<CloseReason>,
    upgrade: Option<Box<PendingUpgrade>>,
}

#[derive(Debug)]
enum Messages {
    Http1(Framing),
    Http2(Frames),
}

/// One request that is not answered yet, or whose body is not read.
#[derive(Debug)]
pub(in crate::server) struct InFlight(Arc<Activity>);

impl InFlight {
    pub(in crate::server) fn activity(&self) -> &Activity {
        &self.0
    }

    /// What is done if the request panics; it is here, so that no request has to share it.
    pub(in crate::server) fn failures(&self) -> &FailureHooks {
        &self.0.failures
    }
}

impl Activity {
    pub(in crate::server) fn http1(max_line: usize, failures: FailureHooks) -> Activity {
        Activity::new(Messages::Http1(Framing::new(max_line)), failures)
    }

    pub(in crate::server) fn http2(max_cheap_frames: u32, failures: FailureHooks) -> Activity {
        Activity::new(Messages::Http2(Frames::new(max_cheap_frames)), failures)
    }

    fn new(messages: Messages, failures: FailureHooks) -> Activity {
        Activity {
            failures,
            began: Instant::now(),
            in_flight: AtomicUsize::new(0),
            has_moved: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            is_writing: AtomicBool::new(false),
            congested_at: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            is_http2: matches!(messages, Messages::Http2(_)),
            is_encrypted: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            must_reset: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            has_left_http: AtomicBool::new(false),
            received: Mutex::new(Inbound {
                messages,
                over: None,
                upgrade: None,
            }),
        }
    }

    pub(super) fn failures(&self) -> &FailureHooks {
        &self.failures
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock_inbound(&self) -> std::sync::MutexGuard<'_, Inbound> {
        unpoisoned(self.received.lock())
    }

    pub(in crate::server) fn is_in_flight(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Some bytes came; returns how many of them may be read now, or `None` if the connection is over.
    pub(in crate::server) fn receives(&self, bytes: &[u8]) -> Option<usize> {
        if self.has_left_http.load(Ordering::Relaxed) {
            return Some(bytes.len());
        }
        let mut received = self.lock_inbound();
        let is_in_flight = self.is_in_flight();
        let (count, is_in_head) = match &mut received.messages {
            Messages::Http1(framing) => {
                let delivered = is_in_flight.then(|| self.delivered.load(Ordering::Relaxed));
                let count = framing.take(bytes, delivered);
                // While something is in flight, a head waits for its turn.
                (count, framing.is_in_head() && !is_in_flight)
            }
            Messages::Http2(frames) => {
                let taken = frames.take(bytes).map(|()| bytes.len());
                (taken, frames.is_in_head())
            }
        };
        match count {
            Ok(count) => {
                if !is_in_head {
                    // Most heads come whole, and wait for nothing that would have to be timed.
                    self.head_since.store(0, Ordering::Relaxed);
                } else if self.head_since.load(Ordering::Relaxed) == 0 {
                    self.head_since.store(self.now() + 1, Ordering::Relaxed);
                }
                Some(count)
            }
            Err(over) => {
                received.over = Some(over);
                self.is_over.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    /// So many bytes came and are kept until they may be read.
    pub(in crate::server) fn holds(&self, bytes: usize) {
        self.held.store(bytes, Ordering::Relaxed);
    }

    /// Whether the socket took bytes, or waits for the client.
    pub(in crate::server) fn writes(&self, is_taken: bool) {
        self.is_writing.store(!is_taken, Ordering::Relaxed);
        match is_taken {
            true if self.is_http2 => {}
            true => self.has_moved.store(true, Ordering::Relaxed),
            false => self.congested_at.store(self.now() + 1, Ordering::Relaxed),
        }
    }

    /// These bytes are on their way, before TLS makes others of them.
    pub(in crate::server) fn sends<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) {
        if !self.is_http2 {
            return;
        }
        if let Messages::Http2(frames) = &mut self.lock_inbound().messages {
            for part in parts {
                // What keeps a connection alive, such as the answer to a PING, moves nothing on.
                if frames.send(part) {
                    self.has_moved.store(true, Ordering::Relaxed);
                }
            }
            if frames.flow().is_exhausted() {
                self.congested_at.store(self.now() + 1, Ordering::Relaxed);
            }
        }
    }

    /// A head is whole, and this follows.
    pub(super) fn begin(self: &Arc<Self>, content: MessageBody) -> InFlight {
        if let Messages::Http1(framing) = &mut self.lock_inbound().messages {
            framing.begin(content);
            self.delivered.store(0, Ordering::Relaxed);
            self.head_since.store(0, Ordering::Relaxed);
        }
        self.read()
    }

    /// A body is to be read, which may go on when the request is answered: what comes of it is no head.
    pub(in crate::server) fn read(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// So much of a body reached the application.
    pub(in crate::server) fn delivers(&self, bytes: usize) {
        self.delivered.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The response changes the connection to another protocol.
    pub(super) fn upgrade(&self, upgrade: PendingUpgrade) {
        self.lock_inbound().upgrade = Some(Box::new(upgrade));
        self.has_left_http.store(true, Ordering::Relaxed);
    }

    /// What is done with the connection, now that hyper is done with it.
    ///
    /// hyper does not wait until what it has written is taken; if some of it is left, that is lost, and nothing can follow.
    pub(super) fn take_upgrade(&self) -> Option<Box<PendingUpgrade>> {
        let upgrade = self.lock_inbound().upgrade.take()?;
        (!self.is_writing.load(Ordering::Relaxed)).then_some(upgrade)
    }

    /// A body failed whose only end is that of the connection.
    pub(in crate::server) fn break_off(&self) {
        self.must_reset.store(true, Ordering::Relaxed);
    }

    pub(in crate::server) fn must_reset(&self) -> bool {
        self.must_reset.load(Ordering::Relaxed)
    }

    /// TLS carries the bytes.
    #[cfg(feature = "tls")]
    pub(in crate::server) fn encrypts(&self) {
        self.is_encrypted.store(true, Ordering::Relaxed);
    }

    /// At least how many bytes of the request in flight did not come; 0 if it may be whole.
    pub(in crate::server) fn missing(&self) -> u64 {
        match &self.lock_inbound().messages {
            Messages::Http1(_) if self.is_encrypted.load(Ordering::Relaxed) => 0,
            Messages::Http1(framing) => {
                let held = self.held.load(Ordering::Relaxed) as u64;
                framing.missing().saturating_sub(held)
            }
            Messages::Http2(_) => 0,
        }
    }

    /// Why the connection has to be closed now, by what the client sent.
    pub(in crate::server) fn over(&self) -> Option<CloseReason> {
        let is_over = self.is_over.load(Ordering::Relaxed);
        is_over.then(|| self.lock_inbound().over).flatten()
    }

    /// When the connection is over, and why, unless something happens before; `None` while something is in flight, but
    /// for heads of HTTP/2, which may come meanwhile.
    ///
    /// Until the first request only the limit for heads counts. A connection that was told to finish, at `told`, gets
    /// little time for it.
    pub(in crate::server) fn deadline(
        &self,
        head: Duration,
        keep_alive: Duration,
        told: Option<Instant>,
    ) -> Option<(Instant, CloseReason)> {
        if self.has_moved.swap(false, Ordering::Relaxed) {
            // A connection that did something within its first millisecond did something.
            self.idle_since.store(self.now().max(1), Ordering::Relaxed);
        }
        let is_in_flight = self.is_in_flight();
        let after = |milliseconds, limit| self.began + Duration::from_millis(milliseconds) + limit;
        let idle_since = self.idle_since.load(Ordering::Relaxed);
        let finish = told.map(|told| told.max(after(idle_since, Duration::ZERO)) + FINISH_TIMEOUT);
        match self.head_since.load(Ordering::Relaxed) {
            0 if is_in_flight || self.is_writing.load(Ordering::Relaxed) => None,
            0 => {
                let limit = if idle_since == 0 { head } else { keep_alive };
                let deadline = finish.unwrap_or_else(|| after(idle_since, limit));
                Some((deadline, CloseReason::Idle))
            }
            since => {
                let deadline = after(since - 1, head);
                let finish = finish.filter(|_| !is_in_flight).unwrap_or(deadline);
                Some((deadline.min(finish), CloseReason::SlowHead))
            }
        }
    }
}

#[cfg(feature = "http2")]
impl Activity {
    /// How much the client lets the server send over HTTP/2.
    pub(super) fn flow(&self) -> Option<crate::server::connection::frames::Flow> {
        match &self.lock_inbound().messages {
            Messages::Http1(_) => None,
            Messages::Http2(frames) => Some(frames.flow()),
        }
    }

    /// Whether the client lately kept the whole connection from writing, by its window or its socket.
    pub(super) fn is_congested(&self) -> bool {
        let at = self.congested_at.load(Ordering::Relaxed);
        let is_now = self.is_writing.load(Ordering::Relaxed)
            || self.flow().is_some_and(|flow| flow.is_exhausted());
        is_now || at > 0 && self.now() - (at - 1) < LATELY
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.has_moved.store(true, Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const KEEP_ALIVE: Duration = Duration::from_secs(60);
    const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    fn connection() -> Arc<Activity> {
        Arc::new(Activity::http1(20, FailureHooks::default()))
    }

    fn left(activity: &Activity) -> Option<(u64, CloseReason)> {
        let (deadline, over) = activity.deadline(HEAD, KEEP_ALIVE, None)?;
        Some(((deadline - activity.began).as_secs(), over))
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_while_nothing_is_answered() {
        let activity = connection();
        assert_eq!(left(&activity), Some((10, CloseReason::Idle)));
        pass(3).await;
        assert_eq!(activity.receives(b"GET"), Some(3));
        pass(1).await;
        // What comes later is no new beginning.
        assert_eq!(activity.receives(b" / HTTP/1.1"), Some(11));
        assert_eq!(left(&activity), Some((13, CloseReason::SlowHead)));
        assert_eq!(activity.receives(b"\r\n\r\n"), Some(4));
        let first = activity.begin(MessageBody::Known(0));
        let second = activity.read();
        assert_eq!(left(&activity), None);
        pass(100).await;
        drop(first);
        assert_eq!(left(&activity), None);
        pass(1).await;
        drop(second);
        assert_eq!(left(&activity), Some((165, CloseReason::Idle)));
        assert_eq!(activity.receives(b"GET"), Some(3));
        assert_eq!(left(&activity), Some((115, CloseReason::SlowHead)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_comes_whole_is_not_timed() {
        let activity = connection();
        activity.receives(GET);
        drop(activity.begin(MessageBody::Known(0)));
        left(&activity);
        pass(5).await;
        activity.receives(GET);
        assert_eq!(left(&activity), Some((60, CloseReason::Idle)));
        drop(activity.begin(MessageBody::Known(0)));
        assert_eq!(left(&activity), Some((65, CloseReason::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_still_writes_is_not_idle() {
        let activity = connection();
        activity.receives(GET);
        drop(activity.begin(MessageBody::Known(0)));
        for second in 1..100 {
            pass(1).await;
            activity.writes(false);
            assert_eq!(left(&activity), None);
            activity.writes(true);
            let idle = (second + 60, CloseReason::Idle);
            assert_eq!(left(&activity), Some(idle));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_told_to_finish_gets_little_time() {
        let activity = connection();
        let told = Some(Instant::now());
        let deadline = || activity.deadline(HEAD, KEEP_ALIVE, told);
        let at = |seconds| activity.began + Duration::from_secs(seconds);
        assert_eq!(deadline(), Some((at(5), CloseReason::Idle)));
        pass(2).await;
        activity.receives(b"GET");
        assert_eq!(deadline(), Some((at(5), CloseReason::SlowHead)));
        activity.receives(&GET[3..]);
        let in_flight = activity.begin(MessageBody::Known(0));
        assert_eq!(deadline(), None);
        drop(in_flight);
        // Something moved.
        assert_eq!(deadline(), Some((at(7), CloseReason::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_of_http_2_is_timed_while_something_is_in_flight() {
        let activity = Arc::new(Activity::http2(10, FailureHooks::default()));
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        assert_eq!(activity.receives(preface), Some(24));
        let _in_flight = activity.begin(MessageBody::Known(0));
        assert_eq!(left(&activity), None);
        // A frame with a part of the fields.
        assert_eq!(
            activity.receives(&[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]),
            Some(10)
        );
        assert_eq!(left(&activity), Some((10, CloseReason::SlowHead)));
        assert_eq!(
            activity.receives(&[0, 0, 1, 9, 4, 0, 0, 0, 1, 0x84]),
            Some(10)
        );
        assert_eq!(left(&activity), None);
    }

    #[test]
    fn what_a_client_must_not_send_ends_the_connection() {
        let activity = connection();
        assert_eq!(activity.over(), None);
        assert_eq!(activity.receives(b"GET /#a HTTP/1.1\r\n\r\n"), None);
        assert_eq!(activity.over(), Some(CloseReason::Fragment));
    }
}
