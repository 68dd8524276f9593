//! The observations of an exchange: the responses, the request as the application saw it, and the log.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use enfilade::unpoisoned;

use serde_json::Value;

/// How long to wait for what happens beside the response: the end of a body, a line of the log.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait for a line of the log that should not come.
const SILENCE: Duration = Duration::from_millis(150);

/// One response, over any transport.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObservedResponse {
    pub(crate) status: u16,
    /// In the order of the fields, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Why the body was aborted, if it was.
    pub(crate) broken: Option<String>,
    /// The statuses of the interim responses before it.
    pub(crate) interim: Vec<u16>,
    /// Whether the first bytes arrived before the application's body had ended.
    pub(crate) first_before_end: bool,
}

impl ObservedResponse {
    pub(crate) fn lines(&self, name: &str) -> Vec<&str> {
        lines(&self.headers, name)
    }
}

/// Returns the values of all fields of this name, in order.
pub(crate) fn lines<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let same = headers.iter().filter(|(key, _)| key == name);
    same.map(|(_, value)| value.as_str()).collect()
}

/// A whole exchange.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// One response for each request.
    pub(crate) responses: Vec<ObservedResponse>,
    /// The status of the second request on the same connection.
    pub(crate) second_status: Option<u16>,
    pub(crate) record: Recorder,
    pub(crate) log: Log,
    pub(crate) took: Duration,
}

/// The record of the innermost application.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The requests, as JSON with the keys of the cases' `app_saw`.
    pub(crate) saw: Vec<Value>,
    /// The names of the applications, in the order of the calls.
    pub(crate) called: Vec<Option<String>>,
    pub(crate) bodies_made: usize,
    pub(crate) bodies_closed: usize,
    /// The sources of bodies that were read to their end.
    pub(crate) sources_ended: usize,
}

impl Recorder {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Record> {
        unpoisoned(self.0.lock())
    }

    /// Waits until all bodies are closed; a gateway drops them a little after the response.
    pub(crate) fn all_closed(&self) -> bool {
        wait_until(PATIENCE, || {
            let record = self.lock();
            record.bodies_made > 0 && record.bodies_made == record.bodies_closed
        })
    }
}

/// Lines that were written while a case ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        let bytes = unpoisoned(self.0.lock());
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(str::to_owned).collect()
    }

    /// Waits for `count` lines, and then a little for further ones.
    pub(crate) fn settled(&self, count: usize) -> Vec<String> {
        wait_until(PATIENCE, || self.lines().len() >= count);
        wait_until(SILENCE, || self.lines().len() > count);
        self.lines()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut all = unpoisoned(self.0.lock());
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns whether `holds` became true before the timeout.
pub(crate) fn wait_until(limit: Duration, holds: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !holds() {
        if begin.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
