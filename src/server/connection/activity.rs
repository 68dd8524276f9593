//! The state of a connection, as far as its timeouts depend on it.

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

/// How long an idle connection may take to finish when asked.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an HTTP/1 connection waits for one more request when the server stops.
///
/// The client may have sent one already, or be about to: a loop of requests must not lose one.
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// How long a connection counts as congested after the client has let it continue, in milliseconds.
#[cfg(feature = "http2")]
const LATELY: u64 = 5_000;

/// Counts the requests of a connection without a response yet, and records since when it waits for the next.
///
/// The clock of an idle connection runs while nothing is in flight and nothing moves: bytes that were written may take
/// long to arrive.
#[derive(Debug)]
pub(in crate::server) struct Activity {
    failures: FailureHooks,
    began: Instant,
    in_flight: AtomicUsize,
    /// Whether bytes were sent or a request finished after `idle_since`.
    has_moved: AtomicBool,
    /// When something last moved, in milliseconds since the connection began.
    idle_since: AtomicU64,
    /// When the first byte of an incomplete head arrived, in milliseconds plus one; 0 without one.
    head_since: AtomicU64,
    /// Whether a write waits for the client; [`Wire`](crate::server::connection::wire::Wire) measures that time.
    is_writing: AtomicBool,
    /// When the client last blocked the server's writes, in milliseconds plus one; 0 if it never did.
    congested_at: AtomicU64,
    /// How many received bytes are held until they may be read.
    held: AtomicUsize,
    is_http2: bool,
    /// Whether TLS buffers bytes of its own, so that the number of missing bytes is unknown.
    is_encrypted: AtomicBool,
    /// How much content of the current body was passed to the application.
    delivered: AtomicU64,
    /// Whether closing the connection would look like the end of a body that failed.
    must_reset: AtomicBool,
    /// Whether the next response is the last.
    is_finishing: AtomicBool,
    /// Whether the bytes from the client end the connection.
    is_over: AtomicBool,
    /// Whether the bytes from now on are not HTTP.
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

/// One request without a response yet, or whose body is not read.
#[derive(Debug)]
pub(in crate::server) struct InFlight(Arc<Activity>);

impl InFlight {
    pub(in crate::server) fn activity(&self) -> &Activity {
        &self.0
    }

    /// The hooks for a request that panics; they are here, so that requests need not share them.
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
            is_finishing: AtomicBool::new(false),
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

    /// Notes received bytes; returns how many of them may be read now, or `None` if the connection is over.
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
                // While a request is in flight, a head waits for its turn.
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
                    // Most heads arrive whole, so there is no time to measure.
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

    /// Notes how many received bytes are held until they may be read.
    pub(in crate::server) fn holds(&self, bytes: usize) {
        self.held.store(bytes, Ordering::Relaxed);
    }

    /// Notes whether the socket took bytes, or waits for the client.
    pub(in crate::server) fn writes(&self, is_taken: bool) {
        self.is_writing.store(!is_taken, Ordering::Relaxed);
        match is_taken {
            true if self.is_http2 => {}
            true => self.has_moved.store(true, Ordering::Relaxed),
            false => self.congested_at.store(self.now() + 1, Ordering::Relaxed),
        }
    }

    /// Notes bytes that are being sent, before TLS encrypts them.
    pub(in crate::server) fn sends<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) {
        if !self.is_http2 {
            return;
        }
        if let Messages::Http2(frames) = &mut self.lock_inbound().messages {
            for part in parts {
                // Frames that only keep the connection alive, such as the reply to a PING, do not count as progress.
                if frames.send(part) {
                    self.has_moved.store(true, Ordering::Relaxed);
                }
            }
            if frames.flow().is_exhausted() {
                self.congested_at.store(self.now() + 1, Ordering::Relaxed);
            }
        }
    }

    /// Notes that a head is complete, and what follows it.
    pub(super) fn begin(self: &Arc<Self>, content: MessageBody) -> InFlight {
        if let Messages::Http1(framing) = &mut self.lock_inbound().messages {
            framing.begin(content);
            self.delivered.store(0, Ordering::Relaxed);
            self.head_since.store(0, Ordering::Relaxed);
        }
        self.read()
    }

    /// Notes a body that is being read, maybe beyond the response: its bytes are not a head.
    pub(in crate::server) fn read(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// Notes how many bytes of a body reached the application.
    pub(in crate::server) fn delivers(&self, bytes: usize) {
        self.delivered.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes that the response upgrades the connection.
    pub(super) fn upgrade(&self, upgrade: PendingUpgrade) {
        self.lock_inbound().upgrade = Some(Box::new(upgrade));
        self.has_left_http.store(true, Ordering::Relaxed);
    }

    /// Takes the upgrade, now that hyper is done with the connection.
    ///
    /// hyper does not wait until its written bytes are sent. If some of them are left, they are lost, and nothing can
    /// follow.
    pub(super) fn take_upgrade(&self) -> Option<Box<PendingUpgrade>> {
        let upgrade = self.lock_inbound().upgrade.take()?;
        (!self.is_writing.load(Ordering::Relaxed)).then_some(upgrade)
    }

    /// Notes that a body failed whose only end is that of the connection.
    pub(in crate::server) fn break_off(&self) {
        self.must_reset.store(true, Ordering::Relaxed);
    }

    pub(in crate::server) fn must_reset(&self) -> bool {
        self.must_reset.load(Ordering::Relaxed)
    }

    pub(in crate::server) fn is_http2(&self) -> bool {
        self.is_http2
    }

    /// Notes that the server stops: the next response says that it is the last.
    pub(in crate::server) fn finish(&self) {
        self.is_finishing.store(true, Ordering::Relaxed);
    }

    pub(in crate::server) fn is_finishing(&self) -> bool {
        self.is_finishing.load(Ordering::Relaxed)
    }

    /// Since when the connection waits for a request; `None` if it does not.
    pub(in crate::server) fn idle_since(&self) -> Option<Instant> {
        let waits = !self.is_in_flight()
            && !self.is_writing.load(Ordering::Relaxed)
            && self.head_since.load(Ordering::Relaxed) == 0;
        let since = match self.has_moved.load(Ordering::Relaxed) {
            true => self.now(),
            false => self.idle_since.load(Ordering::Relaxed),
        };
        waits.then(|| self.began + Duration::from_millis(since))
    }

    /// Starts the time of an idle connection again.
    pub(in crate::server) fn moves(&self) {
        self.has_moved.store(true, Ordering::Relaxed);
    }

    /// Notes that TLS encrypts the bytes.
    #[cfg(feature = "tls")]
    pub(in crate::server) fn encrypts(&self) {
        self.is_encrypted.store(true, Ordering::Relaxed);
    }

    /// The minimum number of bytes of the request in flight that are missing; 0 if it may be complete.
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

    /// The reason to close the connection now, because of bytes from the client.
    pub(in crate::server) fn over(&self) -> Option<CloseReason> {
        let is_over = self.is_over.load(Ordering::Relaxed);
        is_over.then(|| self.lock_inbound().over).flatten()
    }

    /// When the connection ends unless something happens before, and why; `None` while a request is in flight.
    ///
    /// Heads of HTTP/2 are an exception: they may arrive meanwhile. Until the first request only the timeout for heads
    /// counts. A connection that was asked to finish, at `asked`, gets little time for it.
    pub(in crate::server) fn deadline(
        &self,
        head: Duration,
        keep_alive: Duration,
        asked: Option<Instant>,
    ) -> Option<(Instant, CloseReason)> {
        if self.has_moved.swap(false, Ordering::Relaxed) {
            // Activity within the first millisecond must count as activity.
            self.idle_since.store(self.now().max(1), Ordering::Relaxed);
        }
        let is_in_flight = self.is_in_flight();
        let after = |milliseconds, limit| self.began + Duration::from_millis(milliseconds) + limit;
        let idle_since = self.idle_since.load(Ordering::Relaxed);
        let finish =
            asked.map(|asked| asked.max(after(idle_since, Duration::ZERO)) + FINISH_TIMEOUT);
        match self.head_since.load(Ordering::Relaxed) {
            0 if is_in_flight || self.is_writing.load(Ordering::Relaxed) => None,
            0 => {
                let is_finishing = self.is_finishing();
                let limit = match idle_since {
                    _ if is_finishing => keep_alive.min(LAST_REQUEST),
                    0 => head,
                    _ => keep_alive,
                };
                let finish = finish.filter(|_| !is_finishing);
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

    /// Whether the client recently blocked all writes of the connection, by its window or its socket.
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
    async fn time_runs_while_no_request_is_in_flight() {
        let activity = connection();
        assert_eq!(left(&activity), Some((10, CloseReason::Idle)));
        pass(3).await;
        assert_eq!(activity.receives(b"GET"), Some(3));
        pass(1).await;
        // Later bytes do not start the time again.
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
        let asked = Some(Instant::now());
        let deadline = || activity.deadline(HEAD, KEEP_ALIVE, asked);
        let at = |seconds| activity.began + Duration::from_secs(seconds);
        assert_eq!(deadline(), Some((at(5), CloseReason::Idle)));
        pass(2).await;
        activity.receives(b"GET");
        assert_eq!(deadline(), Some((at(5), CloseReason::SlowHead)));
        activity.receives(&GET[3..]);
        let in_flight = activity.begin(MessageBody::Known(0));
        assert_eq!(deadline(), None);
        drop(in_flight);
        // There was activity.
        assert_eq!(deadline(), Some((at(7), CloseReason::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_of_http_1_gets_a_second_for_its_last_request() {
        let activity = connection();
        activity.receives(GET);
        drop(activity.begin(MessageBody::Known(0)));
        assert_eq!(left(&activity), Some((60, CloseReason::Idle)));
        pass(5).await;
        activity.finish();
        // It was idle for longer.
        assert_eq!(left(&activity), Some((1, CloseReason::Idle)));
        activity.moves();
        assert_eq!(left(&activity), Some((6, CloseReason::Idle)));
        activity.receives(GET);
        let in_flight = activity.begin(MessageBody::Known(0));
        assert_eq!(left(&activity), None);
        pass(2).await;
        drop(in_flight);
        assert_eq!(left(&activity), Some((8, CloseReason::Idle)));
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
