//! One connection of an inline server: its socket and its timeouts.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use enfilade::server_parts::{CloseReason, Framing, MAX_REQUEST_LINE, MessageBody};
use mio::event::Event;
use socket2::Socket;

use crate::serve::inline::clock::Clock;
use crate::serve::inline::limits::Limits;
use crate::serve::inline::listener::ConnectionEnds;
use crate::serve::inline::request_body::BodyTimeout;

/// The timeout for the first bytes of a connection that was accepted just before the server stops.
const FIRST_BYTES: Duration = Duration::from_millis(500);
/// The timeout for the next request of a connection when the server stops.
///
/// The client may have sent one already, or be about to.
const LAST_REQUEST: Duration = Duration::from_secs(1);

/// The time in which a refused client may read the response.
const LEAVING: Duration = Duration::from_secs(1);
/// How many bytes of it are read meanwhile.
const MAX_LEFT: usize = 256 * 1024;

/// The phase of a connection, which chooses its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No bytes came yet.
    New,
    /// A part of a head came.
    Head,
    /// A request is served.
    Busy,
    /// The connection waits for the next request.
    Idle,
    /// The connection is refused, and the client reads the reason.
    Leaving,
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
    /// The time since which the client has read nothing.
    stalled: Cell<Option<Instant>>,
    /// The timeout of a request body that is read.
    pub(super) body_timeout: RefCell<Option<Arc<BodyTimeout>>>,
    /// The time since which it takes no new request.
    finishing: Cell<Option<Instant>>,
    pub(super) is_over: Cell<bool>,
    /// The bytes that hyper may have, and why it gets no more.
    framing: RefCell<Framing>,
    refused: Cell<Option<CloseReason>>,
    /// Whether all that hyper has written was sent.
    is_flushed: Cell<bool>,
    /// Whether a refused client has had its time.
    is_late: Cell<bool>,
    /// Whether closing the connection would look like the end of a body that failed.
    must_reset: Cell<bool>,
}

impl Connection {
    pub(super) fn new(socket: Socket, ends: ConnectionEnds, clock: Rc<Clock>) -> Connection {
        let now = clock.now();
        Connection {
            socket,
            ends,
            clock,
            // Most often the first bytes arrive with the connection.
            is_readable: Cell::new(true),
            is_writable: Cell::new(true),
            is_ended: Cell::new(false),
            phase: Cell::new(Phase::New),
            since: Cell::new(now),
            stalled: Cell::new(None),
            body_timeout: RefCell::default(),
            finishing: Cell::new(None),
            is_over: Cell::new(false),
            framing: RefCell::new(Framing::new(MAX_REQUEST_LINE)),
            refused: Cell::new(None),
            is_flushed: Cell::new(true),
            is_late: Cell::new(false),
            must_reset: Cell::new(false),
        }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Handles an event of the socket.
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

    /// Notes that there is nothing more to read for now.
    ///
    /// The socket reported this, or returned less than there was room for. The end is reported only once, so after it
    /// the socket is read again.
    pub(super) fn is_read(&self, for_sure: bool) {
        if for_sure || !self.is_ended.get() {
            self.is_readable.set(false);
        }
    }

    pub(super) fn is_writable(&self) -> bool {
        self.is_writable.get()
    }

    pub(super) fn cannot_write(&self) {
        self.is_flushed.set(false);
        self.is_writable.set(false);
        if self.stalled.get().is_none() {
            self.stalled.set(Some(self.clock.now()));
        }
    }

    /// Notes that bytes were sent, and whether these were all.
    pub(super) fn has_written(&self, all: bool) {
        self.stalled.set(None);
        self.is_flushed.set(all);
    }

    /// Notes that bytes came.
    pub(super) fn receives(&self) {
        if matches!(self.phase.get(), Phase::New | Phase::Idle) {
            // Bytes of a body whose request was already served are not a head.
            let is_body = self
                .body_timeout
                .borrow()
                .as_ref()
                .is_some_and(|body_timeout| body_timeout.is_open());
            self.enter(if is_body { Phase::Idle } else { Phase::Head });
        }
    }

    /// Returns the time of the server's last look at its clock.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Notes that a head is complete, and what follows it.
    pub(super) fn begin(&self, content: MessageBody) {
        self.framing.borrow_mut().begin(content);
        self.enter(Phase::Busy);
    }

    /// Returns how many of these received bytes hyper may have now; `None` if it gets nothing more.
    pub(super) fn admit(&self, bytes: &[u8]) -> Option<usize> {
        let delivered = self
            .body_timeout
            .borrow()
            .as_ref()
            .and_then(|body| body.delivered());
        match self.framing.borrow_mut().take(bytes, delivered) {
            Ok(count) => Some(count),
            Err(reason) => {
                self.refused.set(Some(reason));
                None
            }
        }
    }

    /// Whether hyper gets nothing more from the client.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.get().is_some()
    }

    /// Ends a connection that is refused, with the reason, after the responses of the requests before.
    ///
    /// Without a status for the client it ends at once.
    pub(super) fn refuse(&self) {
        let Some(reason) = self.refused.get() else {
            return;
        };
        let may_write = self.phase.get() != Phase::Busy && self.is_flushed.get();
        match reason.status() {
            None => self.is_over.set(true),
            Some(status) if may_write => {
                self.respond(&status.to_string());
                self.enter(Phase::Leaving);
                self.is_over.set(true);
            }
            // The last response is on its way.
            Some(_) => {}
        }
    }

    /// Reads from a client that was refused, until it has read the response: closing a socket with unread bytes resets it,
    /// and the response would be lost (RFC 9112, section 9.6). Returns whether that is over.
    pub(super) fn has_left(&self) -> bool {
        if self.phase.get() != Phase::Leaving {
            return true;
        }
        let mut room = [0; 4096];
        for _ in 0..MAX_LEFT / room.len() {
            match (&self.socket).read(&mut room) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock || self.is_late.get(),
            }
        }
        true
    }

    /// Notes that a response is complete.
    pub(super) fn end(&self) {
        self.enter(Phase::Idle);
    }

    /// Notes that a body failed whose end is the end of the connection.
    pub(super) fn break_off(&self) {
        self.must_reset.set(true);
    }

    /// Prepares the socket to be closed: with a reset, if a plain close would look like the end of a body.
    pub(super) fn prepare_close(&self) {
        if self.must_reset.get() {
            // It is closed in any case, with or without a reset.
            let _ = self.socket.set_linger(Some(Duration::ZERO));
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.clock.now());
    }

    /// Takes no new request from now on.
    pub(super) fn finish(&self) {
        self.finishing.set(Some(self.clock.now()));
    }

    /// Whether the next response is the last, which is said in it: then no request can be lost.
    pub(super) fn is_finishing(&self) -> bool {
        self.finishing.get().is_some()
    }

    /// Whether the client has sent nothing yet.
    pub(super) fn is_silent(&self) -> bool {
        self.phase.get() == Phase::New && !self.is_over.get()
    }

    /// Returns since when no request is on its way; `None` if there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        matches!(self.phase.get(), Phase::New | Phase::Idle).then(|| self.since.get())
    }

    /// Checks the timeouts. Returns true if one has passed, so that the connection is polled.
    pub(super) fn check(&self, now: Instant, limits: &Limits) -> bool {
        let passed = now.saturating_duration_since(self.since.get());
        let stalled = self
            .stalled
            .get()
            .is_some_and(|since| now.saturating_duration_since(since) >= limits.write);
        let is_late = match self.phase.get() {
            Phase::New if self.waited_for_first_bytes(now) => true,
            Phase::New | Phase::Head => passed >= limits.header,
            Phase::Idle if self.is_finishing() => passed >= limits.keep_alive.min(LAST_REQUEST),
            Phase::Idle => passed >= limits.keep_alive,
            Phase::Busy => false,
            Phase::Leaving => passed >= LEAVING,
        };
        if self.phase.get() == Phase::Leaving {
            self.is_late.set(is_late);
            return is_late;
        }
        if is_late && self.idle_since().is_some() && self.has_unread() {
            // The event of these bytes was not seen yet.
            self.is_readable.set(true);
            self.since.set(now);
            return true;
        }
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

    /// Whether bytes have arrived that were not read.
    fn has_unread(&self) -> bool {
        let mut room = [std::mem::MaybeUninit::uninit()];
        self.socket.peek(&mut room).is_ok_and(|count| count > 0)
    }

    /// Sends the reason for closing the connection (RFC 9110, section 15.5.9).
    ///
    /// Nothing else is being written, so the write succeeds.
    fn respond(&self, status: &str) {
        let response =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        // The connection closes with or without it.
        let _ = (&self.socket).write(response.as_bytes());
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }
}
