//! `start_response`, and the `write` that it returns.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use super::exchange::Exchange;
use super::head::{ResponseHead, StartError};

/// The target of `StartResponse`'s `Deref`.
type StartFunction = dyn Fn(&str, &[(&str, &str)]) -> Result<Writer, StartError> + Send + Sync;

/// Begins the response: call it like a function, with a status line and headers.
///
/// ```
/// # use enfilade::wsgi;
/// # let app = wsgi::application(|_environ, start_response| {
/// start_response("303 See Other", &[("Location", "/"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])?;
/// # Ok([""])
/// # });
/// # let response = enfilade_testing::Client::new(app).get("/").send();
/// # assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
/// ```
///
/// Nothing is sent before the first non-empty byte string, so the iterable may call it until then: it can be cloned and
/// moved. A second call is an error; to start over after an error use [`replace`](StartResponse::replace).
#[derive(Clone)]
pub struct StartResponse {
    call: Arc<StartFunction>,
    exchange: Arc<Exchange>,
}

impl StartResponse {
    pub(super) fn new(exchange: Arc<Exchange>) -> StartResponse {
        let started = exchange.clone();
        let call = move |status: &str, headers: &[(&str, &str)]| {
            started.start(ResponseHead::parse(status, headers)?, false)?;
            Ok(Writer(started.clone()))
        };
        StartResponse {
            call: Arc::new(call),
            exchange,
        }
    }

    /// Begins the response again after an error, and discards the first status and headers.
    ///
    /// This is WSGI's third argument, `exc_info`.
    ///
    /// # Errors
    ///
    /// If bytes were sent already; then return an `Err` to abort the response. Also if the status line or a header is
    /// not valid.
    pub fn replace(&self, status: &str, headers: &[(&str, &str)]) -> Result<Writer, StartError> {
        self.exchange
            .start(ResponseHead::parse(status, headers)?, true)?;
        Ok(Writer(self.exchange.clone()))
    }
}

impl Deref for StartResponse {
    type Target = StartFunction;

    fn deref(&self) -> &StartFunction {
        &*self.call
    }
}

impl fmt::Debug for StartResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StartResponse")
    }
}

/// WSGI's `write` callable: sends bytes at once, before those of the iterable.
///
/// PEP 3333 keeps it for old frameworks. Prefer an iterable.
#[derive(Clone)]
pub struct Writer(Arc<Exchange>);

impl io::Write for Writer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0
            .send(bytes::Bytes::copy_from_slice(buffer))
            .map_err(io::Error::other)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}
