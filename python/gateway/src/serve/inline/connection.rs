//! One connection of an inline server: its socket, and what its time limits are about.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use mio::event::Event;
use socket2::Socket;

use crate::serve::inline::clock::Clock;
use crate::serve::inline::limits::Limits;
use crate::serve::inline::listener::ConnectionEnds;
use crate::serve::inline::request_body::BodyTimeout;

/// How long a connection that was accepted just before the end may take to say something.
const FIRST_BYTES: Duration = Duration::from_millis(500);

/// What a connection is doing, as far as its time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing came yet.
    New,
    /// Some of a head came.
    Head,
    /// A request is answered.
    Busy,
    /// The next request is waited for.
    Idle,
}

pub(super) struct Connection {
    socket: Socket,
    pub(super) ends: ConnectionEnds,
    clock: Rc<Clock>,
    is_readable: Cell<bool>,
    is_writable: Cell<bool>,
    /// The client sends nothing more.
    is_ended: Cell<bool>,
    phase: Cell<Phase>,
    since: Cell<Instant>,
    /// Since when the client takes nothing.
    stalled: Cell<Option<Instant>>,
    /// A body that is waited for.
    pub(super) body_timeout: RefCell<Option<Arc<BodyTimeout>>>,
    /// Since when it is to take nothing new.
    finishing: Cell<Option<Instant>>,
    pub(super) is_over: Cell<bool>,
    /// Whether the end of the connection would look like the end of a body that failed.
    must_reset: Cell<bool>,
}

impl Connection {
    pub(super) fn new(socket: Socket, ends: ConnectionEnds, clock: Rc<Clock>) -> Connection {
        let now = clock.now();
        Connection {
            socket,
            ends,
            clock,
            // What was sent with the connection is there already, most often.
            is_readable: Cell::new(true),
            is_writable: Cell::new(true),
            is_ended: Cell::new(false),
            phase: Cell::new(Phase::New),
            since: Cell::new(now),
            stalled: Cell::new(None),
            body_timeout: RefCell::default(),
            finishing: Cell::new(None),
            is_over: Cell::new(false),
            must_reset: Cell::new(false),
        }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Something happened to the socket.
    pub(super) fn notify(&self, event: &Event) {
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.is_readable.set(true);
        }
        if event.is_read_closed() || event.is_error() {
            self.is_ended.set(true);
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            self.is_writable.set(true);
        }
    }

    pub(super) fn is_readable(&self) -> bool {
        self.is_readable.get()
    }

    /// There is nothing more to read for now: the socket said so, or gave less than there was room for. The end is told
    /// once, so it is looked for again.
    pub(super) fn is_read(&self, for_sure: bool) {
        if for_sure || !self.is_ended.get() {
            self.is_readable.set(false);
        }
    }

    pub(super) fn is_writable(&self) -> bool {
        self.is_writable.get()
    }

    pub(super) fn cannot_write(&self) {
        self.is_writable.set(false);
        if self.stalled.get().is_none() {
            self.stalled.set(Some(self.clock.now()));
        }
    }

    pub(super) fn has_written(&self) {
        self.stalled.set(None);
    }

    /// Bytes came.
    pub(super) fn receives(&self) {
        if matches!(self.phase.get(), Phase::New | Phase::Idle) {
            // What comes of a body whose request is answered already is no head.
            let is_body = self
                .body_timeout
                .borrow()
                .as_ref()
                .is_some_and(|body_timeout| body_timeout.is_open());
            self.enter(if is_body { Phase::Idle } else { Phase::Head });
        }
    }

    /// The `Date` of a response, if hyper would get it wrong.
    pub(super) fn date(&self) -> Option<HeaderValue> {
        self.clock.date()
    }

    /// A head is whole.
    pub(super) fn begin(&self) {
        self.enter(Phase::Busy);
    }

    /// An answer is done.
    pub(super) fn end(&self) {
        self.enter(Phase::Idle);
    }

    /// A body failed whose only end is that of the connection.
    pub(super) fn break_off(&self) {
        self.must_reset.set(true);
    }

    /// Lets the socket be closed as it has to be: with a reset, if an end would look like one of a body.
    pub(super) fn prepare_close(&self) {
        if self.must_reset.get() {
            // It is closed then, with or without a reset.
            let _ = self.socket.set_linger(Some(Duration::ZERO));
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.clock.now());
    }

    /// It is to take nothing new.
    pub(super) fn finish(&self) {
        self.finishing.set(Some(self.clock.now()));
    }

    /// Whether the server is to be told to finish: what was accepted before the end may have been asked already, and is
    /// not lost.
    pub(super) fn ends_now(&self) -> bool {
        self.finishing.get().is_some() && matches!(self.phase.get(), Phase::Busy | Phase::Idle)
    }

    /// Whether something has taken too long, so that it is polled to see that.
    pub(super) fn check(&self, now: Instant, limits: &Limits) -> bool {
        let passed = now.saturating_duration_since(self.since.get());
        let stalled = self
            .stalled
            .get()
            .is_some_and(|since| now.saturating_duration_since(since) >= limits.write);
        let is_late = match self.phase.get() {
            Phase::New if self.waited_for_first_bytes(now) => true,
            Phase::New | Phase::Head => passed >= limits.header,
            Phase::Idle => passed >= limits.keep_alive,
            Phase::Busy => false,
        };
        if let Some(body_timeout) = &*self.body_timeout.borrow() {
            body_timeout.check(now, limits.body);
        }
        if self.phase.get() == Phase::Head && is_late {
            self.respond("408 Request Timeout");
        }
        if is_late || stalled {
            self.is_over.set(true);
        }
        is_late || stalled
    }

    fn waited_for_first_bytes(&self, now: Instant) -> bool {
        let finishing = self.finishing.get();
        finishing.is_some_and(|since| now.saturating_duration_since(since) >= FIRST_BYTES)
    }

    /// Says why the connection is over (RFC 9110, section 15.5.9): nothing is being written, so it fits.
    fn respond(&self, status: &str) {
        let response =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        // It is over then, with or without it.
        let _ = (&self.socket).write(response.as_bytes());
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }
}
