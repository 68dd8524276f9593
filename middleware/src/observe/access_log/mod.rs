//! Writes a log line for each request.

mod captured;
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

/// Writes one log line for each request, when its response body has ended.
///
/// A line is written exactly once, whatever happens: the body was sent, it failed, or the client disconnected. If a
/// request is aborted before there is a response, its status is nginx's 499: the client reset its connection or stream,
/// disconnected in the middle of the request, or the server was stopped. A client that only closes its sending side
/// after the request still gets its response, and the line has its status. If the application panics, the status is
/// 500, which the gateway then sends. The number of bytes counts the bytes that were actually read from the body, so it
/// is 0 for a response to HEAD.
///
/// # Directives
///
/// The format is Apache's:
///
/// | | |
/// |---|---|
/// | `%h` `%a` | the [address of the client](enfilade_core::Request::client_address); never directly from a header |
/// | `%{c}a` | the address of the peer: the proxy, if a component outside handles proxies |
/// | `%l` | `-` |
/// | `%u` | the [`RemoteUser`](enfilade_core::RemoteUser) in the extensions of the response, otherwise of the request; otherwise, if [enabled](AccessLog::unverified_basic_user), the user that the client claims to be |
/// | `%t` | when the request arrived: `[06/Nov/1994:08:49:37 +0000]` |
/// | `%{format}t` | the same in the syntax of `strftime`; or `sec`, `msec`, `usec` since 1970, `msec_frac`, `usec_frac`; or `rfc3339`. With `end:` before it, the time of the line |
/// | `%r` | the request line as received; nothing is decoded |
/// | `%m` `%U` `%q` `%H` | its method, its path, its query with the `?`, its protocol |
/// | `%v` `%V` `%p` | the requested host, and the port |
/// | `%s` `%>s` | the status |
/// | `%b` `%B` | the bytes of the body that were sent; without any, `-` or `0` |
/// | `%I` `%O` | the bytes of the request and of the response including their heads, in HTTP/1.1 form; without headers that only the gateway adds, and in `%I` with the content that was read until then |
/// | `%D` `%T` | the time from the request to the end of the body, in microseconds, in seconds |
/// | `%{s}T` `%{ms}T` `%{us}T` | the same in seconds, milliseconds, microseconds |
/// | `%^FB` | the time from the request to the head of the response, in microseconds |
/// | `%{Name}i` `%{Name}o` | a header of the request, of the response; repeated values are joined by `, ` |
/// | `%{name}C` `%{name}e` | a cookie; a variable of the [environ](enfilade_core::Environ), not of the process |
/// | `%X` `%{outcome}x` | `X` if the body is incomplete, `+` if it is complete; `complete`, `failed` or `gone` |
/// | `%{route}x` | the [pattern](crate::MatchedPattern) that a router inside matched |
/// | `%{error}x` | the error of the response ([`HttpError`](enfilade_core::HttpError)), with its causes; a panic message, if [`CatchPanic`](crate::CatchPanic) is inside |
/// | `%{id}x` | the [request's ID](crate::RequestIdValue), whether its wrapper is outside or inside |
/// | `%P` | the ID of this process |
/// | `%%` | `%` |
///
/// A missing value is `-`, in JSON `null`. A client without an address, as on a Unix socket, is `0.0.0.0`, because
/// analysers reject a line that does not begin with an address; in JSON it is `null` too. Headers that only the gateway
/// adds (`Content-Length`, `Date`) are missing.
///
/// # Order
///
/// Outermost, so that it sees what is really sent: the bytes after compression, and the responses of all inner
/// wrappers. Only a [`ProxyFix`](crate::ProxyFix), which finds the client's address, is outside it. A request that the
/// gateway itself rejects does not reach it.
///
/// # Security
///
/// Everything that a peer controls is escaped, so that no request can forge a line, shift a quoted field or send a
/// command to the terminal on which the log is read: `"` and `\` get a backslash, control characters and bytes that are
/// not UTF-8 become `\xHH`. In JSON the characters become `\uHHHH`, and a byte the text `\xHH`.
///
/// Credentials are hidden: `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie` are `***` if a format
/// names them. Queries and other headers may contain secrets too: see [`redact_query`](AccessLog::redact_query) and
/// [`redact_header`](AccessLog::redact_header). A cookie that `%{name}C` names is shown.
///
/// # Writing
///
/// Lines go through a bounded queue (1 MiB) to a thread. It collects lines for ten milliseconds, or less if there are
/// many, then writes all at once and flushes. By default a request never waits: if the queue is full, its line is
/// dropped and counted, and when there is space again, a line `# 12 lines dropped` (in JSON `{"dropped_lines":12}`)
/// reports it; [`when_full`](AccessLog::when_full) changes that. Lines that the writer fails to write are counted too;
/// the error is written to standard error, at most once a minute. Dropping the last clone of a wrapped application
/// writes all queued lines before it returns, within five seconds; a program that exits without dropping it loses them.
/// The thread starts with the first line; clones of an `AccessLog` share it.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::io::Write;
/// use std::sync::{Arc, Mutex};
///
/// use enfilade::middleware::AccessLog;
/// use enfilade::{Application, Connection, Request};
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

    /// Writes the combined format after `%v:%p`, the requested host and port, to standard output.
    ///
    /// Debian uses this name for the same format, but with `%O` instead of `%b`; only a gateway knows `%O` exactly.
    #[expect(clippy::missing_panics_doc, reason = "a test parses this format")]
    pub fn vhost_combined() -> Self {
        let format = Format::text(format::VHOST_COMBINED).expect("the format is well formed");
        AccessLog::new("vhost_combined", format)
    }

    /// Writes one JSON object per line to standard output.
    ///
    /// Its members are `time` (`%{rfc3339}t`), `client` (`%h`), `user` (`%u`), `method` (`%m`), `host` (`%v`), `target`
    /// (`%U%q`), `protocol` (`%H`), `status` (`%s`), `outcome` (`%{outcome}x`), `bytes` (`%B`), `first_byte_us`
    /// (`%^FB`), `total_us` (`%D`), `referer`, `user_agent` and `id` (`%{id}x`).
    #[expect(clippy::missing_panics_doc, reason = "a test parses these formats")]
    pub fn json() -> Self {
        let format = Format::json(format::JSON).expect("the formats are well formed");
        AccessLog::new("json", format)
    }

    /// Writes JSON objects with these members to standard output.
    ///
    /// Each member is a name and a format; see [Directives](AccessLog#directives). If the format is a single directive,
    /// the member has its value: a number if it is one, `null` if it is missing. All other members are texts.
    ///
    /// # Errors
    ///
    /// As for [`format`](AccessLog::format), and if a name is repeated.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::AccessLog;
    ///
    /// # fn main() -> Result<(), enfilade::middleware::Error> {
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
    /// If a directive is unknown, or the format has a control character other than a tab; the error has the position in
    /// bytes.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::AccessLog;
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

    /// Sets where lines are written; standard output by default.
    ///
    /// Use standard error, a [`LogFile`](crate::LogFile), events of `tracing` (`TracingEvents`, with that feature), or
    /// any other writer. A separate thread writes many whole lines at once and then flushes, so the writer needs no
    /// buffer. If writing fails, only the lines of that write are lost.
    pub fn writer(mut self, writer: impl Write + Send + 'static) -> Self {
        let (syntax, dropped) = (self.format.syntax, self.dropped.clone());
        self.sink = Arc::new(Sink::new(Box::new(writer), syntax, dropped));
        self
    }

    /// Sets where write errors are reported, at most once a minute; standard error by default.
    ///
    /// It belongs to the writer, so set it after the writer, and before the first line.
    pub fn error_log(self, writer: impl Write + Send + 'static) -> Self {
        self.sink.change(|setup| setup.error_log = Box::new(writer));
        self
    }

    /// Sets what happens to a line if the queue is full; it is dropped by default.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets the offset from UTC in which times are written; 0 by default.
    pub fn utc_offset(mut self, offset: UtcOffset) -> Self {
        self.offset = offset;
        self
    }

    /// Sets the clock for times; the system's by default. Tests use a fixed one.
    pub fn clock(mut self, now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        self.now = Arc::new(move || Moment::of(now()));
        self
    }

    /// Sets the timer of `%D`, `%T` and `%^FB`, which returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests use a fixed one. It is not read if the format has no such
    /// directive.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    /// Also writes nginx's 499 if the client disconnected before the end of the response; off by default.
    ///
    /// By default only a request that was aborted before there was a response has 499.
    pub fn client_gone_as_499(mut self) -> Self {
        self.shows_499 = true;
        self
    }

    /// Writes the user name of `Authorization: Basic` for `%u` if no component identified the user; off by default.
    ///
    /// For an application that checks the password itself and sets no [`RemoteUser`](enfilade_core::RemoteUser).
    ///
    /// # Security
    ///
    /// The name is not verified: a client may claim any name. A line with a 401 shows the name that a client tried. The
    /// password is not written.
    pub fn unverified_basic_user(mut self) -> Self {
        self.format.claim_user();
        self
    }

    /// Writes `***` for the values of a header of requests and responses.
    pub fn redact_header(mut self, name: HeaderName) -> Self {
        self.redaction.hide_header(name);
        self
    }

    /// Shows a header that is redacted by default, such as `Cookie`.
    pub fn insecure_show_header(mut self, name: &HeaderName) -> Self {
        self.redaction.show_header(name);
        self
    }

    /// Writes `***` for the values of a query parameter.
    ///
    /// The name is decoded text; upper and lower case are equal. Queries and fragments (after `#`) in `Referer`,
    /// `Location` and `Content-Location` are included.
    pub fn redact_query(mut self, name: &str) -> Self {
        self.redaction.hide_parameter(name);
        self
    }

    /// Does not log requests for this path; call it again for more paths.
    ///
    /// The path is text. It is compared with the whole path as received, each segment decoded: `/health` also excludes
    /// `/%68ealth?x`, but not `/health/`.
    pub fn exclude_path(mut self, path: &str) -> Self {
        self.filters.exclude(path);
        self
    }

    /// Does not log successful health checks; off by default.
    ///
    /// These are GET or HEAD of `/health`, `/health/live`, `/health/ready`, `/healthz`, `/livez`, `/readyz` or `/ping`,
    /// without a query, with a 2xx.
    pub fn without_health_checks(mut self) -> Self {
        self.filters.skips_health_checks = true;
        self
    }

    /// Logs only requests for which `filter` returns `true`; a second filter replaces the first.
    pub fn filter(mut self, filter: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.filters.request = Some(Arc::new(filter));
        self
    }

    /// Logs only requests for whose status `filter` returns `true`; a second filter replaces the first.
    ///
    /// A request that was aborted before there was a response counts as 499.
    pub fn filter_status(
        mut self,
        filter: impl Fn(StatusCode) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filters.status = Some(Arc::new(filter));
        self
    }

    /// Logs only this share of the requests, 0.01 for one in a hundred; all by default.
    ///
    /// The choice does not depend on the requests. A share below 0 is 0, and one above 1 is 1.
    pub fn sample(mut self, share: f64) -> Self {
        self.filters.sampling = Some(Sampling::new(share));
        self
    }

    /// Returns a handle to the number of lines that could not be written.
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
