//! Writes a line about every request.

mod basic;
mod clock;
mod directive;
#[cfg(feature = "tracing")]
mod events;
mod field;
mod file;
mod filter;
mod format;
mod pending_line;
mod queue;
mod sink;
mod writer;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{Application, Middleware, Request, wrapped};
use http::{HeaderName, StatusCode};
use time::{OffsetDateTime, UtcOffset};

use self::clock::{Clock, Moment, Now};
#[cfg(feature = "tracing")]
pub use self::events::TracingEvents;
pub use self::file::{LogFile, LogFileHandle, Period};
use self::filter::{Filters, Sampling};
use self::format::Format;
use self::pending_line::{FlushedLog, Log};
pub use self::queue::{DroppedLines, WhenFull};
use self::sink::Sink;
use crate::error::Error;
use crate::shared::monotonic::Timer;
use crate::shared::redaction::Redaction;

/// Writes one line about every request, when the body of its answer has ended.
///
/// A line is written exactly once, whatever happens: to a body that was sent, that failed, and that the client did not
/// wait for. A request that is given up before there is a response has nginx's status 499: the client reset its connection
/// or stream, left in the middle of the request, or the server was stopped. A client that only closes its side after the
/// request still waits, gets its response and has its status. A request whose application panicked has 500, which is what
/// the gateway then responds. The number of bytes is that of the bytes that were really taken out
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
/// | `%u` | the [`RemoteUser`](enfilade_core::RemoteUser) of the answer's extensions, else of the request's; else, where [that is wanted](AccessLog::unverified_basic_user), the user that the client claims to be |
/// | `%t` | when the request came: `[06/Nov/1994:08:49:37 +0000]` |
/// | `%{format}t` | the same as `strftime` writes it; or `sec`, `msec`, `usec` since 1970, `msec_frac`, `usec_frac`; or `rfc3339`. `end:` before it means the time of the line |
/// | `%r` | the request line as it was received; nothing is decoded |
/// | `%m` `%U` `%q` `%H` | its method, its path, its query with the `?`, its protocol |
/// | `%v` `%V` `%p` | the host that was asked for, and the port |
/// | `%s` `%>s` | the status |
/// | `%b` `%B` | the bytes of the body that were sent; none is `-`, or `0` |
/// | `%I` `%O` | the bytes of the request and of the answer with their heads, as HTTP/1.1 writes those; without what only the gateway adds, and in `%I` what was read of the content by then |
/// | `%D` `%T` | the time from the request to the end of the body, in microseconds, in seconds |
/// | `%{s}T` `%{ms}T` `%{us}T` | the same in seconds, milliseconds, microseconds |
/// | `%^FB` | the time from the request to the answer's head, in microseconds |
/// | `%{Name}i` `%{Name}o` | a header of the request, of the answer; several lines are joined by `, ` |
/// | `%{name}C` `%{name}e` | a cookie; a variable of the [environ](enfilade_core::Environ), which is not the process's |
/// | `%X` `%{outcome}x` | `X` where the body did not come to its end, `+` where it did; `complete`, `failed` or `gone` |
/// | `%{route}x` | the [pattern](crate::MatchedPattern) that a router inside found |
/// | `%{error}x` | the error that the response stands for ([`HttpError`](enfilade_core::HttpError)), with its causes; what a panic said, where [`CatchPanic`](crate::CatchPanic) is inside |
/// | `%{id}x` | the [request's id](crate::RequestIdValue), whether its wrapper is outside or inside |
/// | `%P` | the id of this process |
/// | `%%` | `%` |
///
/// What is not there is `-`, in JSON `null`. A client without an address, as on a Unix socket, is `0.0.0.0`, as analysers
/// refuse a line that does not begin with one; in JSON it is `null` too. Headers that only the gateway adds (`Content-Length`, `Date`) are not there.
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
/// UTF-8 become `\xHH`. In JSON the characters become `\uHHHH`, and a byte the text `\xHH`.
///
/// Credentials stay out: `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie` are `***` where a format
/// names them. Queries and other headers may hold secrets too: see [`redact_query`](AccessLog::redact_query) and
/// [`redact_header`](AccessLog::redact_header). A cookie that `%{name}C` names is shown.
///
/// # Writing
///
/// Lines go through a bounded queue (1 MiB of them) to a thread that gathers them for ten milliseconds, unless there are
/// many, writes all at once and flushes.
/// A request never waits, unless [`when_full`](AccessLog::when_full) says so: where the queue is full its line is dropped
/// and counted, and a line `# 12 lines dropped` (in JSON `{"dropped_lines":12}`) says so when there is room. So are
/// lines that the writer fails to write; why it fails is told on standard error, once a minute. When the last clone of a
/// wrapped application is dropped, the lines that are queued are written before that returns, within five seconds; a
/// program that exits without dropping it loses them. The thread starts with the first line; clones of an `AccessLog`
/// share it.
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
    redaction: Redaction,
    filters: Filters,
    shows_499: bool,
    when_full: WhenFull,
}

impl AccessLog {
    /// Writes the common format, `%h %l %u %t "%r" %>s %b`, to standard output.
    #[expect(clippy::missing_panics_doc, reason = "a test parses this format")]
    pub fn common() -> Self {
        let format = Format::text(format::COMMON).expect("the common format is well formed");
        AccessLog::new("common", format)
    }

    /// Writes the combined format to standard output: the common one and `"%{Referer}i" "%{User-Agent}i"`.
    #[expect(clippy::missing_panics_doc, reason = "a test parses this format")]
    pub fn combined() -> Self {
        let format = Format::text(format::COMBINED).expect("the combined format is well formed");
        AccessLog::new("combined", format)
    }

    /// Writes the combined format behind `%v:%p`, the host and port that were asked for, to standard output.
    ///
    /// It is the one that Debian calls so, but with `%b` for its `%O`, which only a gateway knows exactly.
    #[expect(clippy::missing_panics_doc, reason = "a test parses this format")]
    pub fn vhost_combined() -> Self {
        let format = Format::text(format::VHOST_COMBINED).expect("the format is well formed");
        AccessLog::new("vhost_combined", format)
    }

    /// Writes a JSON object a line to standard output.
    ///
    /// Its members are `time` (`%{rfc3339}t`), `client` (`%h`), `user` (`%u`), `method` (`%m`), `host` (`%v`), `target`
    /// (`%U%q`), `protocol` (`%H`), `status` (`%s`), `outcome` (`%{outcome}x`), `bytes` (`%B`), `first_byte_us`
    /// (`%^FB`), `total_us` (`%D`), `referer`, `user_agent` and `id` (`%{id}x`).
    #[expect(clippy::missing_panics_doc, reason = "a test parses these formats")]
    pub fn json() -> Self {
        let format = Format::json(format::JSON).expect("the formats are well formed");
        AccessLog::new("json", format)
    }

    /// Writes JSON objects with these members to standard output, each a name and a format; see
    /// [Directives](AccessLog#directives).
    ///
    /// A member that is one directive has its value: a number where it is one, `null` where it is not there. Every other
    /// is a text.
    ///
    /// # Errors
    ///
    /// As [`format`](AccessLog::format), and where a name is there twice.
    ///
    /// ```
    /// use enfilade_middleware::AccessLog;
    ///
    /// # fn main() -> Result<(), enfilade_middleware::Error> {
    /// let log = AccessLog::json_of([("route", "%m %{route}x"), ("status", "%s"), ("id", "%{id}x")])?;
    /// # let _ = log;
    /// // {"route":"GET /users/{id}","status":200,"id":null}
    /// # Ok(())
    /// # }
    /// ```
    pub fn json_of<'a>(
        members: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        Ok(AccessLog::new("json", Format::json(members)?))
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
        Ok(AccessLog::new(format, Format::text(format)?))
    }

    fn new(name: &str, format: Format) -> Self {
        let dropped = DroppedLines::default();
        let sink = Sink::new(Box::new(std::io::stdout()), format.syntax, dropped.clone());
        AccessLog {
            name: name.to_owned(),
            format,
            sink: Arc::new(sink),
            dropped,
            now: clock::system(),
            timer: Timer::default(),
            offset: UtcOffset::UTC,
            redaction: Redaction::new(),
            filters: Filters::default(),
            shows_499: false,
            when_full: WhenFull::Drop,
        }
    }

    /// Sets where lines are written to: standard output by default, or standard error, a
    /// [`LogFile`](crate::LogFile), events of `tracing` (`TracingEvents`, with that feature), or anything else.
    ///
    /// It is used by a thread of its own, gets whole lines, many at once, and is flushed after them, so it needs no
    /// buffer. An error loses the lines that it was for and nothing else.
    pub fn writer(mut self, writer: impl Write + Send + 'static) -> Self {
        let (syntax, dropped) = (self.format.syntax, self.dropped.clone());
        self.sink = Arc::new(Sink::new(Box::new(writer), syntax, dropped));
        self
    }

    /// Sets where it is told why lines cannot be written, once a minute at most; standard error by default.
    ///
    /// It goes with the writer, so it is set after that, and before the first line.
    pub fn error_log(self, writer: impl Write + Send + 'static) -> Self {
        self.sink.change(|setup| setup.error_log = Box::new(writer));
        self
    }

    /// Sets what becomes of a line where the queue is full; it is dropped by default.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets the offset from UTC in which times are written; none by default.
    pub fn utc_offset(mut self, offset: UtcOffset) -> Self {
        self.offset = offset;
        self
    }

    /// Sets the clock that times are read from; the system's by default, a fixed one for tests.
    pub fn clock(mut self, now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        self.now = Arc::new(move || Moment::of(now()));
        self
    }

    /// Sets the timer of `%D`, `%T` and `%^FB`: it returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests fix it. It is not read if the format has no such directive.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    /// Writes nginx's 499 for the status of a request whose client went away before the end of the answer too.
    ///
    /// Without it only a request has 499 that was given up before there was an answer.
    pub fn client_gone_as_499(mut self) -> Self {
        self.shows_499 = true;
        self
    }

    /// Writes for `%u` the user name of the request's `Authorization: Basic`, where no component found out who it is.
    ///
    /// For an application that checks the password itself and leaves no [`RemoteUser`](enfilade_core::RemoteUser).
    ///
    /// # Security
    ///
    /// Nobody has checked that name: a client may claim any. A line with a 401 shows who somebody tried to be. The password
    /// is not written.
    pub fn unverified_basic_user(mut self) -> Self {
        self.format.claim_user();
        self
    }

    /// Writes `***` for the values of a header of requests and answers.
    pub fn redact_header(mut self, name: HeaderName) -> Self {
        self.redaction.hide_header(name);
        self
    }

    /// Shows a header that is redacted by default, such as `Cookie`.
    pub fn insecure_show_header(mut self, name: &HeaderName) -> Self {
        self.redaction.show_header(name);
        self
    }

    /// Writes `***` for the values of a parameter of queries.
    ///
    /// The name is text, in upper or lower case, and is compared with those of a query decoded. The queries in `Referer`,
    /// `Location` and `Content-Location` and what is behind their `#` are included.
    pub fn redact_query(mut self, name: &str) -> Self {
        self.redaction.hide_parameter(name);
        self
    }

    /// Leaves requests for this path out; may be called for several paths.
    ///
    /// The path is text and is compared with the whole path as it was received, each segment decoded: `/health` leaves
    /// `/%68ealth?x` out and keeps `/health/`.
    pub fn exclude_path(mut self, path: &str) -> Self {
        self.filters.exclude(path);
        self
    }

    /// Leaves health checks out that are answered well: GET or HEAD of `/health`, `/health/live`, `/health/ready`,
    /// `/healthz`, `/livez`, `/readyz` or `/ping`, without a query, with a 2xx.
    pub fn without_health_checks(mut self) -> Self {
        self.filters.skips_health_checks = true;
        self
    }

    /// Leaves requests out of which `filter` says `false`; a second filter replaces the first.
    pub fn filter(mut self, filter: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.filters.request = Some(Arc::new(filter));
        self
    }

    /// Leaves requests out of whose status `filter` says `false`; a second filter replaces the first.
    ///
    /// A request that was given up before there was an answer counts as 499.
    pub fn filter_status(
        mut self,
        filter: impl Fn(StatusCode) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filters.status = Some(Arc::new(filter));
        self
    }

    /// Keeps this share of the requests, 0.01 for one in a hundred; all by default.
    ///
    /// Which of them does not depend on what they are. A share below 0 is 0, and one above 1 is 1.
    pub fn sample(mut self, share: f64) -> Self {
        self.filters.sampling = Some(Sampling::new(share));
        self
    }

    /// A handle to the number of lines that could not be written.
    #[must_use]
    pub fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

impl Middleware for AccessLog {
    fn wrap(mut self, app: Application) -> Application {
        self.format.redact(&self.redaction);
        let (syntax, times) = (self.format.syntax, &self.format.times);
        let log = Log {
            name: self.name,
            required: self.format.required_facts(),
            clock: Clock::new(self.now, self.offset, syntax, times),
            format: self.format,
            offset: self.offset,
            timer: self.timer,
            redaction: self.redaction,
            filters: self.filters,
            shows_499: self.shows_499,
            when_full: self.when_full,
            sink: self.sink,
        };
        wrapped(app, FlushedLog(Arc::new(log)))
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("format", &self.name)
            .field("utc_offset", &self.offset)
            .field("excluded", &self.filters.excluded)
            .field("redaction", &self.redaction)
            .field("dropped", &self.dropped.count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
