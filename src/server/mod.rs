//! The built-in HTTP server.

mod admission;
mod connection;
mod crowd;
mod limits;
pub mod parts;
#[cfg(feature = "proxy-protocol")]
mod proxy_protocol;
mod refusal;
mod serving;
#[cfg(feature = "tls")]
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use enfilade_core::{Application, HttpError, RequestIdValue, TryIntoApplication};

use crate::listening::{ABORT_TIMEOUT, Listener};
use crate::race::race;
use crate::server::connection::limits::at_most;
#[cfg(feature = "proxy-protocol")]
pub(crate) use crate::server::proxy_protocol::Proxies;
pub use crate::server::refusal::Refusal;
use crate::server::serving::{AfterAccept, Serving, Settings};
#[cfg(feature = "tls")]
pub use crate::server::tls::{Certificates, ClientCertificate};
use crate::unbuilt::built;

/// The number of threads for blocking work.
const BLOCKING_THREADS: usize = 64;
/// The maximum number of threads that run applications.
const MAX_WORKERS: usize = 1024;

/// An HTTP server for an [`Application`]: HTTP/1.1, HTTP/1.0, and HTTP/2 with prior knowledge.
///
/// It owns its runtime, so you need no async Rust to begin:
///
/// ```no_run
/// use enfilade::{Request, Server};
///
/// # fn main() -> std::io::Result<()> {
/// let server = Server::bind("127.0.0.1:8000")?;
/// println!("Serving on http://{}", server.local_addr());
/// server.serve_forever(|_: Request| "Hello, World!")
/// # }
/// ```
///
/// Ctrl-C and SIGTERM stop it. It then accepts no more connections and finishes the requests in flight. It aborts those
/// that are not finished at the [deadline](Server::shutdown_deadline). A second signal aborts them at once. Over HTTP/1 the
/// last response of a connection says `Connection: close`, and a connection waits for one more request for up to a second
/// after its last response.
///
/// With too many open files, it closes the connection that is idle for longest and accepts the new one.
///
/// A request that is not HTTP gets a 400, and its connection is closed. The same happens to a request without a `Host`,
/// or with an invalid target (RFC 9112, section 3.2). A head that is too long gets a 431, a target that is too long a
/// 414; see [Limits](#limits). A CONNECT gets a 501: there are no tunnels.
///
/// Over HTTP/2 the host is also in `Host`, where applications look for it. If `Host` differs from the `:authority`, the
/// request gets a 400 (RFC 9113, section 8.3.1).
///
/// If the application panics, in its call or its future, the request gets a 500. If a body panics, its response is
/// aborted. The server continues.
///
/// Over HTTP/1.1, trailers are sent to a client that sends `TE: trailers`, if the response's `Trailer` lists them.
///
/// # Deployment
///
/// The guide has a chapter on [deployment](crate::guide::deployment): restarts that lose no request, systemd, containers,
/// nginx and TLS.
#[derive(Debug)]
#[must_use = "a server does nothing until one of its `serve` functions is called"]
pub struct Server {
    listeners: Vec<Listener>,
    settings: Settings,
    workers: Option<usize>,
    blocking_threads: usize,
}

impl Server {
    /// Listens at an address; for port 0 the system picks a free one, see [`local_addr`](Server::local_addr).
    ///
    /// # Errors
    ///
    /// If the address is not available. The message names it.
    pub fn bind(address: impl ToSocketAddrs + std::fmt::Debug) -> io::Result<Server> {
        Listener::tcp(address).map(Server::new)
    }

    /// Serves an existing listener.
    ///
    /// # Errors
    ///
    /// If the listener cannot be made non-blocking.
    pub fn from_listener(listener: TcpListener) -> io::Result<Server> {
        Listener::from_tcp(listener).map(Server::new)
    }

    /// Serves the connections of this listener.
    pub fn new(listener: Listener) -> Server {
        Server {
            listeners: vec![listener],
            settings: Settings::default(),
            workers: None,
            blocking_threads: BLOCKING_THREADS,
        }
    }

    /// Serves the connections of this listener too.
    pub fn listen(mut self, listener: Listener) -> Server {
        self.listeners.push(listener);
        self
    }

    /// The address of the first listener, with the real port.
    ///
    /// # Panics
    ///
    /// Panics if the first listener has no address, as on a Unix socket; ask the [`Listener`] before.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        let address = self.listeners.first().and_then(Listener::local_addr);
        address.expect("the first listener is a TCP socket")
    }

    /// Sets the number of threads that run applications. By default one for each core; at most 1,024.
    ///
    /// It applies to [`serve_forever`](Server::serve_forever).
    pub fn workers(mut self, threads: usize) -> Server {
        self.workers = Some(threads.min(MAX_WORKERS));
        self
    }

    /// Limits the threads for blocking work, such as reading files. By default 64. Further work waits.
    ///
    /// It applies to [`serve_forever`](Server::serve_forever).
    pub fn blocking_threads(mut self, threads: usize) -> Server {
        self.blocking_threads = threads;
        self
    }

    /// Sets how long requests in flight may take to finish after a stop. By default 30 seconds.
    ///
    /// Set it below the time after which your process manager kills the process.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Server {
        self.settings.shutdown_deadline = at_most(deadline);
        self
    }

    /// Notifies the service manager of start and stop, for systemd's `Type=notify`.
    ///
    /// It reports when the server accepts connections and when it stops. It does nothing if `NOTIFY_SOCKET` is not set.
    #[cfg(all(unix, feature = "systemd"))]
    pub fn notify_systemd(mut self) -> Server {
        self.settings.notifies = true;
        self
    }

    /// Calls `hook` on every SIGHUP, the usual signal that log files were rotated.
    ///
    /// Several hooks are all called, on a thread that may block. Without a hook the signal ends the process, as is its
    /// default. [`serve_until`](Server::serve_until) does not handle the signal. Neither does any server on a system
    /// without it.
    ///
    /// ```no_run
    /// use enfilade::middleware::{AccessLog, LogFile};
    /// use enfilade::{Application, Request, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let file = LogFile::open("/var/log/house/access.log")?;
    /// let handle = file.handle();
    /// let app = Application::new(|_: Request| "Hello").wrap(AccessLog::combined().writer(file));
    /// let server = Server::bind("127.0.0.1:8000")?.on_hangup(move || {
    ///     if let Err(error) = handle.reopen() {
    ///         eprintln!("{error}");
    ///     }
    /// });
    /// server.serve_forever(app)
    /// # }
    /// ```
    pub fn on_hangup(mut self, hook: impl Fn() + Send + Sync + 'static) -> Server {
        self.settings.on_hangup.add(hook);
        self
    }

    /// Delays the next connection after one was accepted, until this future is ready: for several processes that share
    /// a listener.
    #[doc(hidden)]
    pub fn after_accept<F>(mut self, delay: impl Fn() -> F + Send + Sync + 'static) -> Server
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let delay = AfterAccept(std::sync::Arc::new(move || Box::pin(delay())));
        self.settings.after_accept = Some(delay);
        self
    }

    /// Calls `hook` for everything that the server rejects before an application or its log sees it.
    ///
    /// That is: requests that are not HTTP (400), heads that are slow (408), too long (414, 431) or have too many
    /// headers, CONNECT and transfer codings (501), connections beyond the limit (503), and floods of frames. Several
    /// hooks are all called. They are called on a thread that must not block.
    ///
    /// ```no_run
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use enfilade::{Application, Request, Server};
    ///
    /// static REFUSED: AtomicU64 = AtomicU64::new(0);
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let app = Application::new(|_: Request| "Hello");
    /// let server = Server::bind("127.0.0.1:8000")?.on_refusal(|refusal| {
    ///     REFUSED.fetch_add(1, Ordering::Relaxed);
    ///     eprintln!("{refusal}");
    /// });
    /// server.serve_forever(app)
    /// # }
    /// ```
    pub fn on_refusal(mut self, hook: impl Fn(&Refusal) + Send + Sync + 'static) -> Server {
        self.settings.refusals.add(hook);
        self
    }

    /// Calls `hook` when a request panics, in its call, its future or its body.
    ///
    /// It is not called if a component inside catches the panic.
    ///
    /// `hook` gets the ID of the request, if a [`RequestId`](crate::middleware::RequestId) sets one. It is called on a
    /// thread that must not block. By default the ID is a line on standard error, below the message of the panic:
    ///
    /// ```text
    /// request 019a3f6e-7c1b-7def-8123-456789abcdef panicked
    /// ```
    ///
    /// ```no_run
    /// use enfilade::middleware::RequestId;
    /// use enfilade::{Application, Request, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let app = Application::new(|_: Request| "Hello").wrap(RequestId::new());
    /// let server = Server::bind("127.0.0.1:8000")?.on_panic(|id| {
    ///     let id = id.map_or("without an ID", |id| id.as_str());
    ///     eprintln!("a request panicked: {id}");
    /// });
    /// server.serve_forever(app)
    /// # }
    /// ```
    pub fn on_panic(
        mut self,
        hook: impl Fn(Option<&RequestIdValue>) + Send + Sync + 'static,
    ) -> Server {
        self.settings.failures.on_panic(hook);
        self
    }

    /// Calls `hook` with the [`HttpError`] of a response whose status is 500 or more.
    ///
    /// `hook` also gets the request's ID, if it has one. See [`HttpError::source`] for the cause. `hook` runs before
    /// the response is written, on the thread that runs the application, so it must not block. By default the error and
    /// its causes are a line on standard error if the status is 500:
    ///
    /// ```text
    /// error: 500 Internal Server Error: invalid digit found in string (request 019a3f6e-7c1b-7def-8123-456789abcdef)
    /// ```
    ///
    /// An access log can show the error beside its request: [`%{error}x`](crate::middleware::AccessLog).
    ///
    /// ```no_run
    /// use enfilade::{Application, HttpError, Request, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let app = Application::new(|_: Request| Err::<(), _>(HttpError::from("the disk is full")));
    /// let server = Server::bind("127.0.0.1:8000")?.on_error(|error, _| {
    ///     if let Some(cause) = error.source() {
    ///         eprintln!("{error}: {cause}");
    ///     }
    /// });
    /// server.serve_forever(app)
    /// # }
    /// ```
    pub fn on_error(
        mut self,
        hook: impl Fn(&HttpError, Option<&RequestIdValue>) + Send + Sync + 'static,
    ) -> Server {
        self.settings.failures.on_error(hook);
        self
    }

    /// Serves until Ctrl-C or SIGTERM, on a runtime of its own.
    ///
    /// # Errors
    ///
    /// If a router cannot be built, the runtime cannot be started or the signals cannot be watched.
    ///
    /// # Panics
    ///
    /// Panics if it is called inside an async runtime; call [`serve`](Server::serve) there.
    pub fn serve_forever<M>(self, app: impl TryIntoApplication<M>) -> io::Result<()> {
        self.serve_on_own_runtime(built(app)?)
    }

    fn serve_on_own_runtime(self, app: Application) -> io::Result<()> {
        // One worker needs no work-stealing scheduler.
        let mut runtime = match self.workers {
            Some(0 | 1) => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        if let Some(workers) = self.workers.filter(|workers| *workers > 1) {
            runtime.worker_threads(workers);
        }
        runtime.max_blocking_threads(self.blocking_threads.max(1));
        let runtime = runtime.enable_all().build()?;
        let result = runtime.block_on(serving::until_signal(self.listeners, self.settings, app));
        // Tasks that still run have passed the deadline: they are dropped now, so that logs record them.
        runtime.shutdown_timeout(ABORT_TIMEOUT);
        result
    }

    /// Serves until Ctrl-C or SIGTERM, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If a router cannot be built, or the signals cannot be watched.
    pub async fn serve<M>(self, app: impl TryIntoApplication<M>) -> io::Result<()> {
        let app = built(app)?;
        serving::until_signal(self.listeners, self.settings, app).await
    }

    /// Serves until `shutdown` is ready, on the current tokio runtime; it handles no signals.
    ///
    /// Dropping the future aborts the requests in flight.
    ///
    /// # Errors
    ///
    /// If a router cannot be built, or the listener does not work with the runtime.
    pub async fn serve_until<M>(
        self,
        app: impl TryIntoApplication<M>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let serving = Serving::start(self.listeners, self.settings, built(app)?)?;
        race(shutdown, serving.accept()).await;
        serving.finish(Box::pin(std::future::pending())).await;
        Ok(())
    }
}
