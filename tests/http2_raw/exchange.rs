//! Sends the frames of a case to a new server, and reads the frames that come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use enfilade::Server;

use crate::app::{self, PROBE, PROBED};
use crate::case::{Case, Limits, Step};
use crate::encode::{header, request_fields};
use crate::expect::Expect;
use crate::names::{ACK, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS};
use crate::object::Checked;
use crate::observed::Observed;
use crate::running::Running;
use crate::wire::{Next, Wire};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The timeout for a frame that must come; far longer than it takes, for machines under load.
const PATIENCE: Duration = Duration::from_secs(10);
/// Streams of cases have lower numbers.
const PROBE_STREAM: u32 = 0x7fff_fff1;
const BARRIER: &[u8] = b"barrier!";

/// Returns what came of the connection, once everything that `expect` needs has arrived.
pub(crate) fn perform(case: &Case, expect: &Expect) -> Checked<Observed> {
    let calls = Arc::new(AtomicUsize::new(0));
    let running = Running::serve(server(case.limits), app::build(calls.clone()));
    let wire = Wire::connect(running.address()).map_err(|error| error.to_string())?;
    let mut exchange = Exchange {
        wire,
        observed: Observed::default(),
    };
    if case.has_preface {
        exchange.begin(&case.settings)?;
    }
    for step in &case.steps {
        exchange.perform(step);
    }
    // A server that closes with unread bytes may lose its last frames, so no bytes follow if it has to close.
    if !expect.is_about_the_end() {
        exchange.reach_barrier();
    }
    exchange.finish(expect);
    let mut observed = exchange.observed;
    observed.calls = calls.load(Ordering::SeqCst);
    Ok(observed)
}

fn server(limits: Limits) -> Server {
    let mut server = Server::bind("127.0.0.1:0")
        .unwrap()
        .shutdown_deadline(Duration::from_secs(1));
    if let Some(streams) = limits.max_concurrent_streams {
        server = server.max_concurrent_streams(streams);
    }
    if let Some(bytes) = limits.max_header_size {
        server = server.max_header_size(bytes);
    }
    if let Some(count) = limits.max_headers {
        server = server.max_headers(count);
    }
    server
}

struct Exchange {
    wire: Wire,
    observed: Observed,
}

impl Exchange {
    /// The preface and the SETTINGS of both sides (RFC 9113, section 3.4).
    fn begin(&mut self, settings: &[(u16, u32)]) -> Checked<()> {
        let length = u32::try_from(settings.len() * 6).unwrap();
        let mut bytes = PREFACE.to_vec();
        bytes.extend(header(length, SETTINGS, 0, 0));
        for (name, value) in settings {
            bytes.extend(name.to_be_bytes());
            bytes.extend(value.to_be_bytes());
        }
        bytes.extend(header(0, SETTINGS, ACK, 0));
        self.wire.send(&bytes);
        self.read_until(|observed| observed.settings_acks > 0);
        match self.observed.settings_acks {
            1 => {
                self.observed = Observed::default();
                Ok(())
            }
            _ => Err(format!("no connection: {}", self.observed.describe())),
        }
    }

    fn perform(&mut self, step: &Step) {
        match *step {
            Step::Send(ref bytes) => self.wire.send(bytes),
            Step::AwaitEnd(stream) => {
                self.read_until(|observed| observed.stream(stream).is_over());
            }
            Step::AwaitBytes(stream, bytes) => {
                self.read_until(|observed| observed.stream(stream).content.len() >= bytes);
            }
        }
    }

    /// Waits until the server acknowledges this PING: then it has seen all frames before.
    fn reach_barrier(&mut self) {
        let mut ping = header(8, PING, 0, 0);
        ping.extend(BARRIER);
        self.wire.send(&ping);
        self.read_until(|observed| observed.ping_acks.iter().any(|ack| ack == BARRIER));
        self.observed.ping_acks.retain(|ack| ack != BARRIER);
    }

    /// Reads the rest: the end, or the streams and the response to one more request.
    fn finish(&mut self, expect: &Expect) {
        if expect.is_about_the_end() {
            self.read_until(|_| false);
            return;
        }
        self.read_until(|observed| expect.has_come(observed));
        let fields = request_fields(&format!("GET {PROBE}")).unwrap();
        let length = u32::try_from(fields.len()).unwrap();
        let mut probe = header(length, HEADERS, END_STREAM | END_HEADERS, PROBE_STREAM);
        probe.extend(fields);
        self.wire.send(&probe);
        self.read_until(|observed| observed.stream(PROBE_STREAM).is_over());
        let probed = self.observed.streams.remove(&PROBE_STREAM);
        self.observed.is_served_after = probed.is_some_and(|stream| {
            stream.is_complete && stream.status == Some(200) && stream.content == PROBED.as_bytes()
        });
    }

    /// Reads until everything has arrived, or the connection ends, or the timeout.
    fn read_until(&mut self, is_there: impl Fn(&Observed) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !self.observed.has_ended && !is_there(&self.observed) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.wire.next(left) {
                Next::Frame(frame) => self.observed.add(&frame),
                Next::End => self.observed.has_ended = true,
                Next::Silence => return,
            }
        }
    }
}
