//! The entries of `Server-Timing` from components.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use enfilade_core::headers::is_token_byte;
use enfilade_core::{Request, unpoisoned};

use crate::shared::monotonic::{Timer, TimerInstant};

/// The maximum length of a name, in bytes.
const NAME: usize = 64;
/// The maximum length of a description, in bytes before it is quoted.
const DESCRIPTION: usize = 128;

/// The initial capacity for the entries of a request, in bytes: enough for about four.
pub(super) const ROOM: usize = 64;

/// The timings of a request; everything inside a [`Timing`](crate::Timing) can add entries.
///
/// It is cheap to clone, and may be sent to other threads. Outside a `Timing`, or if one does not show anything,
/// entries are discarded, so you can always add them.
///
/// A name is a token (RFC 9110, section 5.6.2): any other character becomes `_`, and an entry without a name is left
/// out. In a description, characters that a header cannot contain become `?`. Names are cut at 64 bytes, descriptions
/// at 128.
///
/// Entries that are added after the head of the response was sent are ignored.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::time::Duration;
///
/// use enfilade::middleware::{ServerTiming, Timing};
/// use enfilade::{Application, Request};
///
/// let app = Application::new(|request: Request| {
///     let timings = ServerTiming::of(&request);
///     timings.add("db", Duration::from_micros(53_200));
///     timings.record("tpl", "Page \"home\"", Duration::from_millis(2));
///     timings.note("cache", "miss");
///     "Hello"
/// });
/// let app = app.wrap(Timing::new().timer(|| Duration::ZERO));
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(
///     response.headers()["server-timing"],
///     r#"total;dur=0.000, db;dur=53.200, tpl;desc="Page \"home\"";dur=2.000, cache;desc="miss""#,
/// );
/// ```
#[derive(Clone, Default)]
pub struct ServerTiming(Option<Arc<SharedEntries>>);

struct SharedEntries {
    timer: Timer,
    limit: usize,
    written: Mutex<EntryList>,
}

#[derive(Default)]
struct EntryList {
    text: String,
    count: usize,
}

impl ServerTiming {
    pub(super) fn new(timer: Timer, limit: usize) -> ServerTiming {
        ServerTiming(Some(Arc::new(SharedEntries {
            timer,
            limit,
            written: Mutex::default(),
        })))
    }

    /// Returns the timings of this request; ones that discard everything if no `Timing` collects them.
    #[must_use]
    pub fn of(request: &Request) -> ServerTiming {
        let timings = request.extensions().get::<ServerTiming>();
        timings.cloned().unwrap_or_default()
    }

    /// Adds an entry with this name and duration.
    pub fn add(&self, name: &str, duration: Duration) {
        self.push(name, None, Some(duration));
    }

    /// Adds an entry with a description, which browsers show instead of the name.
    pub fn record(&self, name: &str, description: &str, duration: Duration) {
        self.push(name, Some(description), Some(duration));
    }

    /// Adds an entry without a duration.
    pub fn note(&self, name: &str, description: &str) {
        self.push(name, Some(description), None);
    }

    /// Starts a measurement; dropping the returned value adds the entry.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::{ServerTiming, Timing};
    /// use enfilade::{Application, Request};
    ///
    /// let app = Application::new(async |request: Request| {
    ///     let query = ServerTiming::of(&request).start("db");
    ///     // .. ask a database
    ///     drop(query);
    ///     "Hello"
    /// });
    /// let response = pollster::block_on(app.wrap(Timing::new()).call(Request::get("/")));
    /// let timings = response.headers()["server-timing"].to_str().unwrap();
    /// assert!(timings.starts_with("total;dur=") && timings.contains(", db;dur="));
    /// ```
    pub fn start(&self, name: &'static str) -> Stopwatch {
        let started = self.0.as_ref().map(|entries| entries.timer.start());
        Stopwatch {
            timings: self.clone(),
            name,
            started,
        }
    }

    fn push(&self, name: &str, description: Option<&str>, duration: Option<Duration>) {
        let Some(entries) = self.0.as_ref().filter(|_| !name.is_empty()) else {
            return;
        };
        // A panic cannot leave half an entry, so a poisoned lock is used as it is.
        let written = entries.written.lock();
        let mut written = unpoisoned(written);
        if written.count < entries.limit {
            if written.count == 0 {
                written.text.reserve(ROOM);
            }
            written.count += 1;
            written.text.push_str(", ");
            push_entry(&mut written.text, name, description, duration);
        }
    }

    /// Appends all entries, each after a comma.
    pub(super) fn write_to(&self, text: &mut String) {
        if let Some(entries) = &self.0 {
            let written = entries.written.lock();
            text.push_str(&unpoisoned(written).text);
        }
    }
}

impl fmt::Debug for ServerTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_to(&mut text);
        write!(f, "ServerTiming({})", text.trim_start_matches(", "))
    }
}

/// A running measurement; dropping it adds its entry. [`ServerTiming::start`] makes it.
#[derive(Debug)]
#[must_use = "it measures until it is dropped"]
pub struct Stopwatch {
    timings: ServerTiming,
    name: &'static str,
    started: Option<TimerInstant>,
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        if let (Some(entries), Some(started)) = (&self.timings.0, self.started) {
            let elapsed = entries.timer.since(started);
            self.timings.add(self.name, elapsed);
        }
    }
}

/// Writes an entry in the syntax of W3C Server Timing (section 3): durations are milliseconds.
pub(super) fn push_entry(
    text: &mut String,
    name: &str,
    description: Option<&str>,
    duration: Option<Duration>,
) {
    let name = name.bytes().take(NAME);
    text.extend(name.map(|byte| {
        if is_token_byte(byte) {
            byte.into()
        } else {
            '_'
        }
    }));
    if let Some(description) = description {
        text.push_str(";desc=\"");
        for character in cut(description) {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            let is_printable = character == ' ' || character.is_ascii_graphic();
            text.push(if is_printable { character } else { '?' });
        }
        text.push('"');
    }
    if let Some(duration) = duration {
        let micros = duration.as_micros();
        let _ = write!(text, ";dur={}.{:03}", micros / 1_000, micros % 1_000);
    }
}

fn cut(description: &str) -> impl Iterator<Item = char> {
    let kept = description.char_indices();
    kept.take_while(|(at, character)| at + character.len_utf8() <= DESCRIPTION)
        .map(|(_, character)| character)
}
