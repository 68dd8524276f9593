//! Runs WSGI's two-argument callable as an application (PEP 3333).
//!
//! The callable gets an [`Environ`] and a [`StartResponse`]. It calls the latter with a status line and headers, and
//! returns any iterable of byte strings, which are sent as they are produced. It may block: it runs on a bounded pool
//! of threads, not on the event loop. The result is an [`Application`] like any other.
//!
//! ```
//! use enfilade::{Application, Request, wsgi};
//!
//! let app: Application = wsgi::application(|environ, start_response| {
//!     let (status, body) = match environ.get("PATH_INFO").as_deref() {
//!         Some("/") => ("200 OK", "<h1>Welcome to WSGI!</h1>"),
//!         _ => ("404 Not Found", "Page not found"),
//!     };
//!     start_response(status, &[("Content-Type", "text/html; charset=utf-8")])?;
//!     Ok([body])
//! });
//!
//! let client = enfilade_testing::Client::new(app);
//! let response = client.get("/").send();
//! assert_eq!((response.status().as_u16(), response.text()), (200, "<h1>Welcome to WSGI!</h1>".into()));
//! assert_eq!(client.get("/cellar").send().status(), 404);
//! ```
//!
//! # How PEP 3333 maps to Rust
//!
//! | PEP 3333 | here |
//! |---|---|
//! | `environ` | [`Environ`]: `environ.get("PATH_INFO")`, and the request itself |
//! | `environ["wsgi.input"]` | [`Environ::input`], which is `Read` and `BufRead` |
//! | `environ["wsgi.errors"]` | [`Environ::errors`], which is `Write` |
//! | `start_response(status, headers)` | the same; the `write` it returns is a [`Writer`] |
//! | `start_response(status, headers, exc_info)` | [`StartResponse::replace`], or returning `Err` |
//! | the iterable's `close()` | `Drop` of the iterator: at its end, on an error, and when the client disconnects |
//! | an exception | `Err(..)`, from the callable or as an item of the iterable, and a panic |
//!
//! If an `Err` comes before the first byte was sent, the [`HttpError`] becomes the response and replaces the one that
//! `start_response` began. After the first byte the response is aborted, so that the client sees that it is incomplete.

mod call;
mod chunk;
mod client_timeout;
mod environ;
mod exchange;
mod head;
mod start;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{Application, Description, Handler, HttpError, Reply, Request};

pub use self::chunk::IntoChunk;
use self::client_timeout::ClientTimeout;
pub use self::environ::{Environ, Errors};
use self::exchange::Exchange;
pub use self::head::StartError;
pub use self::start::{StartResponse, Writer};
use crate::threads::BodyReader;
use crate::threads::pool::{BACKLOG, Pool, THREADS};

/// How long a thread waits for a slow client while a call waits for a thread.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes an application of a WSGI callable; see the [module](self) for the rules.
///
/// At most 64 calls run at the same time and 1,024 wait; further requests get 503. [`Options`] changes the limits.
pub fn application<F, I>(callable: F) -> Application
where
    F: Fn(Environ, StartResponse) -> Result<I, HttpError> + Send + Sync + 'static,
    I: IntoIterator<Item: IntoChunk>,
{
    Options::new().application(callable)
}

/// Options for running a callable.
///
/// ```
/// use enfilade::wsgi;
///
/// let app = wsgi::Options::new().threads(1).application(|_environ, start_response| {
///     start_response("200 OK", &[])?;
///     Ok(["one at a time"])
/// });
/// let response = enfilade_testing::Client::new(app).get("/").send();
/// assert_eq!(response.text(), "one at a time");
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until an application is made with them"]
pub struct Options {
    threads: usize,
    backlog: usize,
    client_timeout: Duration,
    errors: Errors,
}

impl Options {
    /// Makes the default options.
    ///
    /// 64 threads, a backlog of 1,024, 10 seconds for slow clients, and `wsgi.errors` on standard error.
    pub fn new() -> Options {
        Options {
            threads: THREADS,
            backlog: BACKLOG,
            client_timeout: CLIENT_TIMEOUT,
            errors: Errors::stderr(),
        }
    }

    /// Sets how many calls may run at the same time; 64 by default, at least 1.
    ///
    /// With 1 the callable runs as under a single-threaded server.
    pub fn threads(mut self, threads: usize) -> Options {
        self.threads = threads.max(1);
        self
    }

    /// Sets how many calls may wait for a thread; 1,024 by default.
    ///
    /// Further requests get 503 with `Retry-After`.
    pub fn backlog(mut self, backlog: usize) -> Options {
        self.backlog = backlog;
        self
    }

    /// Sets the timeout for a client that does not read the response; 10 seconds by default.
    ///
    /// It applies only while a call waits for a thread. Then the response is aborted, so that slow clients do not block
    /// the threads. Byte strings are sent whole: a callable that yields small ones is aborted less often. While a
    /// thread is free, only the server's own limits apply.
    pub fn client_timeout(mut self, timeout: Duration) -> Options {
        self.client_timeout = timeout;
        self
    }

    /// Sets where `wsgi.errors` writes to; standard error by default.
    pub fn errors(mut self, errors: impl std::io::Write + Send + 'static) -> Options {
        self.errors = Errors::new(errors);
        self
    }

    /// Makes an application of a WSGI callable.
    pub fn application<F, I>(self, callable: F) -> Application
    where
        F: Fn(Environ, StartResponse) -> Result<I, HttpError> + Send + Sync + 'static,
        I: IntoIterator<Item: IntoChunk>,
    {
        Application::from_handler(Wsgi {
            callable: Arc::new(callable),
            pool: Pool::new(self.threads, self.backlog),
            client_timeout: self.client_timeout,
            errors: self.errors,
        })
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

struct Wsgi<F> {
    callable: Arc<F>,
    pool: Pool,
    client_timeout: Duration,
    errors: Errors,
}

impl<F, I> Handler for Wsgi<F>
where
    F: Fn(Environ, StartResponse) -> Result<I, HttpError> + Send + Sync + 'static,
    I: IntoIterator<Item: IntoChunk>,
{
    fn call(&self, mut request: Request) -> Reply {
        let client_timeout = ClientTimeout {
            timeout: self.client_timeout,
            waiting: self.pool.waiting(),
        };
        let (exchange, response) = Exchange::new(
            request.method().clone(),
            self.errors.clone(),
            client_timeout,
        );
        let input = BodyReader::new(request.take_body());
        let environ = Environ::new(request, input, self.errors.clone());
        let callable = self.callable.clone();
        let job = self.pool.run(move || exchange.run(&*callable, environ));
        match job {
            Ok(started) => Reply::from_future(async move {
                started.await;
                response.await
            }),
            Err(full) => Reply::new(full),
        }
    }

    fn describe(&self) -> Description {
        Description::of::<F>()
            .option("form", "WSGI")
            .option("threads", self.pool.threads())
    }
}

impl<F> fmt::Debug for Wsgi<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wsgi")
    }
}

#[cfg(test)]
mod tests;
