//! A request whose line is not written yet.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use enfilade_core::{
    Application, Description, Head, IntoResponse, OptionValue, Outcome, Reply, Request, Response,
    Wrapper,
};
use http::StatusCode;
use time::UtcOffset;

use super::captured::Captured;
use super::clock::{Clock, Moment};
use super::field::{self, Context, RequestEnd};
use super::filter::Filters;
use super::format::{Format, LineInputs, RequiredFacts};
use super::queue::WhenFull;
use super::sink::Sink;
use crate::shared::monotonic::{Timer, TimerInstant};
use crate::shared::redaction::Redaction;
use enfilade_core::RouteWanted;

/// The log of a wrapped application. Dropping it writes the queued lines.
pub(super) struct FlushedLog(pub(super) Arc<Log>);

/// The state that all requests of a wrapped application share.
pub(super) struct Log {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) required: RequiredFacts,
    pub(super) clock: Clock,
    pub(super) offset: UtcOffset,
    pub(super) timer: Timer,
    pub(super) redaction: Redaction,
    pub(super) filters: Filters,
    pub(super) shows_499: bool,
    pub(super) when_full: WhenFull,
    pub(super) sink: Arc<Sink>,
}

impl Wrapper for FlushedLog {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        if !self.0.filters.wants(&request) {
            return inner.call(request);
        }
        let pending = PendingLine::new(&self.0, &mut request);
        let mut reply = inner.call(request);
        if let Some(response) = reply.as_ready_mut() {
            pending.watch(response);
            return reply;
        }
        reply.update(move |response| pending.watch(response))
    }

    fn describe(&self) -> Description {
        self.0.describe()
    }
}

impl Drop for FlushedLog {
    fn drop(&mut self) {
        // Bodies that are still being sent keep the log; their lines are written when the last of them is dropped.
        self.0.sink.flush();
    }
}

impl Log {
    fn describe(&self) -> Description {
        let mut description = Description::new("AccessLog").option("format", &self.name);
        let filters = &self.filters;
        if !self.offset.is_utc() {
            description = description.option("offset", OptionValue::shown(self.offset));
        }
        if !filters.excluded.is_empty() {
            let excluded = filters.excluded.iter().map(OptionValue::shown);
            description = description.option("exclude", excluded.collect::<OptionValue>());
        }
        if let Some(sampling) = &filters.sampling {
            description = description.option("sample", sampling.share());
        }
        if filters.request.is_some() || filters.status.is_some() {
            description = description.option("filter", OptionValue::opaque("function"));
        }
        let words = [
            (filters.skips_health_checks, "health checks", "no"),
            (self.shows_499, "client gone", "499"),
            (self.format.claims_user(), "basic user", "unverified"),
            (self.when_full == WhenFull::Wait, "when full", "wait"),
        ];
        let words = words.into_iter().filter(|(is_set, ..)| *is_set);
        words.fold(description, |description, (_, name, value)| {
            description.option(name, value)
        })
    }

    fn since(&self, started: Option<TimerInstant>) -> Duration {
        started.map_or(Duration::ZERO, |started| self.timer.since(started))
    }

    fn context(&self) -> Context<'_> {
        Context {
            syntax: self.format.syntax,
            clock: &self.clock,
            redaction: &self.redaction,
        }
    }
}

/// A request in progress; dropping it writes its line, so that there is always one.
struct PendingLine {
    log: Arc<Log>,
    head: Head,
    at: Moment,
    captured: Captured,
    started: Option<TimerInstant>,
    first_byte: Option<Duration>,
    status: Option<StatusCode>,
    is_health_check: bool,
    bytes: u64,
    outcome: Outcome,
    sizes: Option<Box<MessageSizes>>,
}

/// Sizes in bytes that only formats with `%I` or `%O` need.
#[derive(Default)]
struct MessageSizes {
    request_head: u64,
    response_head: u64,
    /// The bytes that were read of the request's content.
    content: Arc<AtomicU64>,
}

impl PendingLine {
    fn new(log: &Arc<Log>, request: &mut Request) -> PendingLine {
        let started = log.required.elapsed.then(|| log.timer.start());
        let at = match log.required.now {
            true => log.clock.now(),
            false => Moment::EPOCH,
        };
        let mut captured = Captured::default();
        log.format
            .capture_request(&mut captured, request, &log.context());
        if log.required.route {
            request.extensions_mut().insert(RouteWanted);
        }
        PendingLine {
            log: log.clone(),
            head: request.head().clone(),
            at,
            captured,
            started,
            first_byte: None,
            status: None,
            is_health_check: log.filters.is_health_check(request),
            bytes: 0,
            outcome: Outcome::Dropped,
            sizes: log
                .required
                .sizes
                .then(|| Box::new(MessageSizes::of(request))),
        }
    }

    fn watch(mut self, response: &mut Response) {
        self.capture_head(response);
        if self.log.required.first_byte {
            self.first_byte = Some(self.log.since(self.started));
        }
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = body.on_end(move |end| {
            let mut pending = self;
            pending.bytes = end.bytes();
            pending.add_received(end.received());
            pending.outcome = end.outcome();
        });
    }

    fn capture_head(&mut self, response: &Response) {
        self.status = Some(response.status());
        if let Some(sizes) = &mut self.sizes {
            sizes.response_head = field::response_head(response);
        }
        let log = &self.log;
        log.format
            .capture_response(&mut self.captured, response, &log.context());
    }

    /// Counts the bytes that were read from an upgraded connection.
    fn add_received(&mut self, bytes: u64) {
        if let Some(sizes) = &mut self.sizes {
            sizes.request_head += bytes;
        }
    }

    fn end(&self) -> RequestEnd {
        let (received, sent) = self.sizes.as_ref().map_or((0, 0), |sizes| sizes.both());
        let is_499 = self.log.shows_499 && self.outcome == Outcome::Dropped;
        let status = self.status.filter(|_| !is_499);
        RequestEnd {
            status: status.unwrap_or_else(client_closed_request),
            bytes: self.bytes,
            received,
            sent: sent + self.bytes,
            outcome: self.outcome,
            elapsed: self.log.since(self.started),
            first_byte: self.first_byte,
        }
    }
}

impl Drop for PendingLine {
    fn drop(&mut self) {
        if self.status.is_none() && thread::panicking() {
            self.capture_head(&StatusCode::INTERNAL_SERVER_ERROR.into_response());
            // The gateway responds to it, with a short response.
            self.outcome = Outcome::Failed;
        }
        let end = self.end();
        let log = &self.log;
        if log.filters.wants_end(end.status, self.is_health_check) {
            let inputs = LineInputs {
                head: &self.head,
                at: self.at,
                captured: &self.captured,
                end: &end,
            };
            with_buffer(|line| {
                log.format.write(line, &inputs, &log.context());
                log.sink.write(line, log.when_full);
            });
        }
    }
}

/// The maximum size of the buffer that a thread keeps for its next line, in bytes.
const BUFFER: usize = 4 * 1024;

thread_local! {
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Calls `write` with an empty buffer for a line: the thread's own, unless the thread is ending.
fn with_buffer(write: impl FnOnce(&mut Vec<u8>)) {
    let mut line = LINE.try_with(Cell::take).unwrap_or_default();
    write(&mut line);
    line.clear();
    line.shrink_to(BUFFER);
    let _ = LINE.try_with(|place| place.set(line));
}

/// nginx's status for a request whose client disconnected.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).expect("three digits")
}

impl MessageSizes {
    /// Measures a request, and starts to count the content that is read.
    fn of(request: &mut Request) -> MessageSizes {
        let sizes = MessageSizes {
            request_head: field::request_head(request),
            ..MessageSizes::default()
        };
        let (body, count) = (request.take_body(), sizes.content.clone());
        *request.body_mut() = body.on_end(move |end| count.store(end.bytes(), Ordering::Relaxed));
        sizes
    }

    /// The bytes that were received, and those that were sent without the content.
    fn both(&self) -> (u64, u64) {
        let received = self.request_head + self.content.load(Ordering::Relaxed);
        (received, self.response_head)
    }
}
