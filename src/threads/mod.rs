//! Runs closures that block, on a bounded pool of threads.

mod body_reader;
pub(crate) mod pool;

use std::fmt;
use std::sync::Arc;

use enfilade_core::{Description, Handler, IntoResponse, Panic, Reply, Request};
use http::StatusCode;
use tokio::sync::oneshot;

pub use self::body_reader::BodyReader;
use self::pool::{BACKLOG, Pool, THREADS};

/// Runs a closure that blocks as a handler, on a bounded pool of threads and not on the event loop.
///
/// At most 64 calls run at the same time and 1,024 wait; further requests get 503 with `Retry-After`.
/// [`threads`](Blocking::threads) and [`backlog`](Blocking::backlog) change the limits. If the client disconnects while
/// its request waits, the closure is not called.
///
/// The body of the request is a stream, of which nothing is read before the closure reads it. A [`BodyReader`] reads it
/// as `Read` and `BufRead`. The body of the response is sent from the event loop, so it must not block.
///
/// A panic of the closure continues in the request that called it: a gateway responds with 500, and wrappers such as
/// `CatchPanic` see it like any other.
///
/// ```
/// use std::io::BufRead;
///
/// use enfilade::middleware::Router;
/// use enfilade::{BodyReader, HttpError, Request, blocking};
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let longest = |mut request: Request| -> Result<String, HttpError> {
///     let mut longest = String::new();
///     for line in BodyReader::new(request.take_body()).lines() {
///         let line = line?;
///         if line.len() > longest.len() {
///             longest = line;
///         }
///     }
///     Ok(longest)
/// };
/// let app = Router::new().post("/longest", blocking(longest)).build()?;
/// let client = enfilade_testing::Client::new(app);
/// let response = client.post("/longest").body("hall\nterrace\nsalon").send();
/// assert_eq!(response.text(), "terrace");
/// # Ok(())
/// # }
/// ```
pub fn blocking<F, R>(function: F) -> Blocking<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    Blocking {
        function: Arc::new(function),
        threads: THREADS,
        backlog: BACKLOG,
        pool: Arc::new(Pool::new(THREADS, BACKLOG)),
    }
}

/// The handler that [`blocking`](blocking()) makes. Clones share their threads.
#[must_use = "a handler does nothing until it is an application"]
pub struct Blocking<F> {
    function: Arc<F>,
    threads: usize,
    backlog: usize,
    pool: Arc<Pool>,
}

impl<F> Blocking<F> {
    /// Limits the calls that run at the same time; 64 by default, at least 1.
    ///
    /// Existing clones keep their own threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self.with_new_pool()
    }

    /// Limits the calls that wait for a thread; 1,024 by default.
    ///
    /// Further requests get 503 with `Retry-After`.
    ///
    /// Existing clones keep their own threads.
    pub fn backlog(mut self, backlog: usize) -> Self {
        self.backlog = backlog;
        self.with_new_pool()
    }

    fn with_new_pool(mut self) -> Self {
        self.pool = Arc::new(Pool::new(self.threads, self.backlog));
        self
    }
}

impl<F, R> Handler for Blocking<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn call(&self, request: Request) -> Reply {
        let (respond, response) = oneshot::channel();
        let function = self.function.clone();
        let job = self.pool.run(move || {
            let outcome = Panic::catch(|| function(request).into_response());
            // If the client has disconnected, no one receives it.
            drop(respond.send(outcome));
        });
        let started = match job {
            Ok(started) => started,
            Err(full) => return Reply::new(full),
        };
        Reply::from_future(async move {
            started.await;
            match response.await {
                Ok(Ok(response)) => response,
                Ok(Err(panic)) => panic.resume(),
                // A job is dropped only when its runtime shuts down.
                Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        })
    }

    fn describe(&self) -> Description {
        Description::of::<F>()
            .option("form", "blocking")
            .option("threads", self.pool.threads())
    }
}

impl<F> Clone for Blocking<F> {
    fn clone(&self) -> Self {
        Blocking {
            function: self.function.clone(),
            pool: self.pool.clone(),
            ..*self
        }
    }
}

impl<F> fmt::Debug for Blocking<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking")
            .field("threads", &self.threads)
            .field("backlog", &self.backlog)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
