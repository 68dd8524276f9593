//! Writes a line about every request.

mod clock;
mod escape;
mod format;
mod writer;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use enfilade_core::{
    Application, Description, Handler, IntoResponse, Middleware, Outcome, Reply, Request, Response,
    path,
};
use http::StatusCode;
use time::{OffsetDateTime, UtcOffset};

use self::clock::{Clock, Now};
use self::format::{End, Format};
pub use self::writer::DroppedLines;
use self::writer::Sink;
use crate::Error;

/// How much room a request's line gets at first; a line of the combined format takes about half of it.
const BUFFER: usize = 512;

/// Writes one line about every request, when the body of its answer has ended.
///
/// A line is written exactly once, whatever happens: to a body that was sent, that failed, and that the client did not
/// wait for. A request that is given up before there is an answer has `-` for a status; one whose application panicked
/// has 500, which is what the gateway then answers. The number of bytes is that of the bytes that were really taken out
/// of the body, so it is none for the answer to HEAD.
///
/// # Directives
///
/// The format is Apache's:
///
/// | | |
/// |---|---|
/// | `%h` `%a` | the [address of the client](enfilade_core::Request::client_address); never one from a header |
/// | `%{c}a` | the address of the peer, which is a proxy where a component outside knows one |
/// | `%l` | `-` |
/// | `%u` | the [`RemoteUser`](enfilade_core::RemoteUser) of the answer's extensions, else of the request's |
/// | `%t` | when the request came: `[06/Nov/1994:08:49:37 +0000]` |
/// | `%r` | the request line as it was received; nothing is decoded |
/// | `%m` `%U` `%q` `%H` | its method, its path, its query with the `?`, its protocol |
/// | `%v` `%V` `%p` | the host that was asked for, and the port |
/// | `%s` `%>s` | the status |
/// | `%b` `%B` | the bytes of the body; none is `-`, or `0` |
/// | `%D` `%T` | the time from the request to the end of the body, in microseconds, in seconds |
/// | `%{s}T` `%{ms}T` `%{us}T` | the same in seconds, milliseconds, microseconds |
/// | `%{Name}i` `%{Name}o` | a header of the request, of the answer; several lines are joined by `, ` |
/// | `%X` | `X` where the body did not come to its end, `+` where it did |
/// | `%%` | `%` |
///
/// What is not there is `-`. Headers that only the gateway adds (`Content-Length`, `Date`) are not there.
///
/// # Order
///
/// Outermost, so that it sees what is really sent: the bytes after compression, the answers that inner wrappers give
/// themselves. Only a [`ProxyFix`](crate::ProxyFix), which tells it who the client is, stands outside it. A request
/// that the gateway itself refuses never comes here.
///
/// # Security
///
/// Whatever a peer can choose is escaped, so that no request can forge a line, shift a quoted field or send a command
/// to the terminal on which the log is read: `"` and `\` get a backslash, control characters and bytes that are not
/// UTF-8 become `\xHH`. Queries and headers may hold secrets; `%r` has the query.
///
/// # Writing
///
/// Lines go through a bounded queue (4,096 lines, 4 MiB) to a thread that writes all that waits at once and flushes.
/// A request never waits: where the queue is full its line is dropped and counted, and a line `# 12 lines dropped` says
/// so when there is room. So are lines that the writer fails to write. When the last clone of a wrapped application is
/// dropped, the lines that are queued are written before that returns, within five seconds. The thread starts with the
/// first line; clones of an `AccessLog` share it.
///
/// # Example
///
/// ```
/// use std::io::Write;
/// use std::sync::{Arc, Mutex};
///
/// use enfilade_core::{Application, Connection, Request};
/// use enfilade_middleware::AccessLog;
/// use time::OffsetDateTime;
///
/// #[derive(Clone, Default)]
/// struct Memory(Arc<Mutex<Vec<u8>>>);
///
/// impl Write for Memory {
///     fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
///         self.0.lock().unwrap().write(bytes)
///     }
///     fn flush(&mut self) -> std::io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let memory = Memory::default();
/// let log = AccessLog::common()
///     .writer(memory.clone())
///     .clock(|| OffsetDateTime::from_unix_timestamp(784_111_777).unwrap());
/// let app = Application::new(|_: Request| "foobar").wrap(log);
///
/// let mut request = Request::get("/?q=1");
/// request.set_connection(Connection::default().with_peer("192.0.2.7:4711".parse().unwrap()));
/// let response = pollster::block_on(app.call(request));
/// assert_eq!(pollster::block_on(response.into_body().collect(100)).unwrap(), "foobar");
///
/// drop(app); // writes what is queued
/// assert_eq!(
///     String::from_utf8(memory.0.lock().unwrap().clone()).unwrap(),
///     "192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] \"GET /?q=1 HTTP/1.1\" 200 6\n",
/// );
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct AccessLog {
    name: String,
    format: Format,
    sink: Arc<Sink>,
    dropped: DroppedLines,
    now: Now,
    timer: Timer,
    offset: UtcOffset,
    excluded: Vec<String>,
    filter: Option<Filter>,
}

type Timer = Arc<dyn Fn() -> Duration + Send + Sync>;
type Filter = Arc<dyn Fn(&Request) -> bool + Send + Sync>;

impl AccessLog {
    /// Writes the common format, `%h %l %u %t "%r" %>s %b`, to standard output.
    #[expect(clippy::missing_panics_doc, reason = "a test parses this format")]
    pub fn common() -> Self {
        let format = Format::parse(format::COMMON).expect("the common format is well formed");
        AccessLog::new("common", format)
    }

    /// Writes the combined format to standard output: the common one and `"%{Referer}i" "%{User-Agent}i"`.
    #[expect(clippy::missing_panics_doc, reason = "a test parses this format")]
    pub fn combined() -> Self {
        let format = Format::parse(format::COMBINED).expect("the combined format is well formed");
        AccessLog::new("combined", format)
    }

    /// Writes lines of this format to standard output; see [Directives](AccessLog#directives).
    ///
    /// # Errors
    ///
    /// Where a directive is not one of those, or the format has a control character other than a tab; the error says at
    /// which byte.
    ///
    /// ```
    /// use enfilade_middleware::AccessLog;
    ///
    /// let error = AccessLog::format("%h %{User-Agent}i %Z").unwrap_err();
    /// assert_eq!(error.to_string(), "log format, at byte 18: \"%Z\" is not a directive");
    /// ```
    pub fn format(format: &str) -> Result<Self, Error> {
        Ok(AccessLog::new(format, Format::parse(format)?))
    }

    fn new(name: &str, format: Format) -> Self {
        let dropped = DroppedLines::default();
        let origin = Instant::now();
        AccessLog {
            name: name.to_owned(),
            format,
            sink: Arc::new(Sink::new(Box::new(std::io::stdout()), dropped.clone())),
            dropped,
            now: clock::system(),
            timer: Arc::new(move || origin.elapsed()),
            offset: UtcOffset::UTC,
            excluded: Vec::new(),
            filter: None,
        }
    }

    /// Sets where lines are written to; standard output by default.
    ///
    /// It is used by a thread of its own, gets whole lines, many at once, and is flushed after them, so it needs no
    /// buffer. An error loses the lines that it was for and nothing else.
    pub fn writer(mut self, writer: impl Write + Send + 'static) -> Self {
        self.sink = Arc::new(Sink::new(Box::new(writer), self.dropped.clone()));
        self
    }

    /// Sets the offset from UTC in which times are written; none by default.
    pub fn utc_offset(mut self, offset: UtcOffset) -> Self {
        self.offset = offset;
        self
    }

    /// Sets the clock that `%t` is read from; the system's by default, a fixed one for tests.
    pub fn clock(mut self, now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// Sets what `%D` and `%T` are measured with: the time since any moment, which must not run backward.
    ///
    /// By default it is the system's monotonic clock. It is not asked where the format has no such directive.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Arc::new(elapsed);
        self
    }

    /// Leaves requests for this path out, such as those of a health check; may be called for several paths.
    ///
    /// The path is text and is compared with the whole path as it was received, each segment decoded: `/health` leaves
    /// `/%68ealth?x` out and keeps `/health/`.
    pub fn exclude_path(mut self, path: &str) -> Self {
        let raw = path::encode(path);
        self.excluded.push(path::canonical(&raw).into_owned());
        self
    }

    /// Leaves requests out of which `filter` says `false`; a second filter replaces the first.
    pub fn filter(mut self, filter: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// A handle to the number of lines that could not be written.
    #[must_use]
    pub fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

impl Middleware for AccessLog {
    fn wrap(self, app: Application) -> Application {
        let log = Log {
            needs_elapsed: self.format.needs_elapsed(),
            format: self.format,
            clock: Clock::new(self.now, self.offset),
            timer: self.timer,
            sink: self.sink,
        };
        Application::from_handler(Logged {
            app,
            name: self.name,
            excluded: self.excluded,
            filter: self.filter,
            log: Arc::new(log),
        })
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("format", &self.name)
            .field("utc_offset", &self.offset)
            .field("excluded", &self.excluded)
            .field("dropped", &self.dropped.count())
            .finish_non_exhaustive()
    }
}
#[derive(Clone)]
struct Logged {
    app: Application,
    name: String,
    excluded: Vec<String>,
    filter: Option<Filter>,
    log: Arc<Log>,
}

impl Handler for Logged {
    fn call(&self, request: Request) -> Reply {
        if !self.wants(&request) {
            return self.app.call(request);
        }
        let entry = Entry::new(&self.log, &request);
        self.app
            .call(request)
            .map(move |response| entry.watch(response))
    }

    fn describe(&self) -> Description {
        let description = Description::new("AccessLog").option("format", &self.name);
        let excluded = self.excluded.iter();
        excluded
            .fold(description, |description, path| {
                description.option("exclude", path)
            })
            .around(&self.app)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let mut logged = self.clone();
        logged.app = change(self.app.clone());
        Some(Application::from_handler(logged))
    }
}

impl Logged {
    fn wants(&self, request: &Request) -> bool {
        let is_excluded = || {
            let path = path::canonical(request.uri().path());
            self.excluded.iter().any(|excluded| *excluded == path)
        };
        let is_filtered = || {
            let filter = self.filter.as_ref();
            filter.is_some_and(|filter| !filter(request))
        };
        (self.excluded.is_empty() || !is_excluded()) && !is_filtered()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        // Bodies that are still being sent keep the log; what they add is written when the last of them is dropped.
        self.log.sink.flush();
    }
}

/// What the requests of a wrapped application share.
struct Log {
    format: Format,
    needs_elapsed: bool,
    clock: Clock,
    timer: Timer,
    sink: Arc<Sink>,
}

impl Log {
    fn time(&self) -> Duration {
        if self.needs_elapsed {
            (self.timer)()
        } else {
            Duration::ZERO
        }
    }
}

/// A request that is on its way; dropping it writes its line, so that there is one whatever happens.
struct Entry {
    log: Arc<Log>,
    buffer: Vec<u8>,
    response_at: Option<usize>,
    started: Duration,
    bytes: u64,
    outcome: Outcome,
}

impl Entry {
    fn new(log: &Arc<Log>, request: &Request) -> Entry {
        let started = log.time();
        let mut buffer = Vec::with_capacity(BUFFER);
        log.format.capture_request(&mut buffer, request, &log.clock);
        Entry {
            log: log.clone(),
            buffer,
            response_at: None,
            started,
            bytes: 0,
            outcome: Outcome::Dropped,
        }
    }

    fn watch(mut self, mut response: Response) -> Response {
        self.see(&response);
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = body.on_end(move |end| {
            let mut entry = self;
            entry.bytes = end.bytes();
            entry.outcome = end.outcome();
        });
        response
    }

    fn see(&mut self, response: &Response) {
        self.response_at = Some(self.buffer.len());
        let format = &self.log.format;
        format.capture_response(&mut self.buffer, response);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.response_at.is_none() && thread::panicking() {
            self.see(&StatusCode::INTERNAL_SERVER_ERROR.into_response());
        }
        let end = End {
            bytes: self.bytes,
            outcome: self.outcome,
            elapsed: self.log.time().saturating_sub(self.started),
        };
        let buffer = std::mem::take(&mut self.buffer);
        let line = self.log.format.assemble(buffer, self.response_at, &end);
        self.log.sink.write(line);
    }
}

#[cfg(test)]
mod tests;
