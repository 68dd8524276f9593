//! The built-in HTTP server.

mod admission;
mod connection;
mod limits;
#[cfg(feature = "proxy-protocol")]
mod proxy_protocol;
mod refusal;
#[cfg(feature = "tls")]
mod tls;

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use enfilade_core::{Application, HttpError, RequestIdValue, TryIntoApplication};
use http::StatusCode;

use crate::background::Background;
use crate::failures::FailureHooks;
use crate::listening::{
    ABORT_TIMEOUT, Accepting, Hooks, Listener, SHUTDOWN_DEADLINE, Signals, Socket, pause_after,
};
use crate::race::{First, race};
use crate::server::admission::Admission;
use crate::server::connection::ServeContext;
use crate::server::connection::lifetime::Lifetime;
use crate::server::connection::limits::{Limits, at_most};
#[cfg(feature = "proxy-protocol")]
pub(crate) use crate::server::proxy_protocol::Proxies;
pub use crate::server::refusal::Refusal;
use crate::server::refusal::RefusalHooks;
#[cfg(feature = "tls")]
pub use crate::server::tls::{Certificates, ClientCertificate};
use crate::unbuilt::built;

/// How many threads there are for work that blocks.
const BLOCKING_THREADS: usize = 64;
/// How many threads run applications at most.
const MAX_WORKERS: usize = 1024;
/// How many clients are told at a time that there is no room for them; others are not told.
const MAX_REFUSALS: usize = 64;

/// An HTTP server for an [`Application`]: HTTP/1.1, HTTP/1.0, and HTTP/2 for clients that know of it beforehand.
///
/// It owns its runtime, so nobody needs to know of async Rust to begin:
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
/// Ctrl-C and SIGTERM stop it: no connection is accepted any more, requests in flight are finished, and what is not
/// finished at the [deadline](Server::shutdown_deadline) is broken off. A second signal breaks off at once.
///
/// A request that is not HTTP is answered 400, and its connection closed; so is one without a `Host` or with a target that
/// is none (RFC 9112, section 3.2). A head that is too long is a 431, a target that is too long a 414; see
/// [Limits](#limits). A CONNECT is a 501: there are no tunnels.
///
/// Over HTTP/2 the host stands in `Host` too, where the application looks for it; one that differs from the `:authority`
/// is a 400 (RFC 9113, section 8.3.1).
///
/// A panic of the application, in its call or its future, is a 500, and one in a body breaks its answer off; the server
/// goes on.
///
/// Trailers are sent over HTTP/1.1 to a client that says `TE: trailers`, those that the answer's `Trailer` names.
#[doc = include_str!("deployment.md")]
#[derive(Debug)]
#[must_use = "a server does nothing until one of its `serve` functions is called"]
pub struct Server {
    listeners: Vec<Listener>,
    shutdown_deadline: Duration,
    limits: Limits,
    workers: Option<usize>,
    blocking_threads: usize,
    #[cfg(all(unix, feature = "systemd"))]
    notifies: bool,
    on_hangup: Hooks,
    refusals: RefusalHooks,
    failures: FailureHooks,
}

impl Server {
    /// Listens at an address; port 0 takes a free one, which [`local_addr`](Server::local_addr) tells.
    ///
    /// # Errors
    ///
    /// Where the address cannot be had; the text names it.
    pub fn bind(address: impl ToSocketAddrs + std::fmt::Debug) -> io::Result<Server> {
        Listener::tcp(address).map(Server::new)
    }

    /// Serves a listener that is there already.
    ///
    /// # Errors
    ///
    /// Where it cannot be made non-blocking.
    pub fn from_listener(listener: TcpListener) -> io::Result<Server> {
        Listener::from_tcp(listener).map(Server::new)
    }

    /// Serves what this listener accepts.
    pub fn new(listener: Listener) -> Server {
        Server {
            listeners: vec![listener],
            shutdown_deadline: SHUTDOWN_DEADLINE,
            limits: Limits::default(),
            workers: None,
            blocking_threads: BLOCKING_THREADS,
            #[cfg(all(unix, feature = "systemd"))]
            notifies: false,
            on_hangup: Hooks::default(),
            refusals: RefusalHooks::default(),
            failures: FailureHooks::default(),
        }
    }

    /// Serves what this one accepts too.
    pub fn listen(mut self, listener: Listener) -> Server {
        self.listeners.push(listener);
        self
    }

    /// The address of the first listener, with the real port.
    ///
    /// # Panics
    ///
    /// Panics where the first listener has none, as one on a Unix socket; ask the [`Listener`] before.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        let address = self.listeners.first().and_then(Listener::local_addr);
        address.expect("the first listener is one of TCP")
    }

    /// How many threads run applications, in [`serve_forever`](Server::serve_forever); one for each core by default, and
    /// 1,024 at most.
    pub fn workers(mut self, threads: usize) -> Server {
        self.workers = Some(threads.min(MAX_WORKERS));
        self
    }

    /// How many threads there may be for work that blocks, such as reading files, in
    /// [`serve_forever`](Server::serve_forever); 64 by default. What there is more of waits.
    pub fn blocking_threads(mut self, threads: usize) -> Server {
        self.blocking_threads = threads;
        self
    }

    /// How long requests in flight may take to finish once the server is told to stop; 30 seconds by default.
    ///
    /// Set it below the time after which your process manager kills the process.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Server {
        self.shutdown_deadline = at_most(deadline);
        self
    }

    /// Tells the service manager when it accepts connections and when it stops, as systemd's `Type=notify` asks for
    /// (`NOTIFY_SOCKET`); nothing where there is none.
    #[cfg(all(unix, feature = "systemd"))]
    pub fn notify_systemd(mut self) -> Server {
        self.notifies = true;
        self
    }

    /// Calls `hook` on every SIGHUP, by which programs that rotate logs say that a file has been moved; all hooks where
    /// there are several.
    ///
    /// It is called on a thread that may block. Without a hook the signal ends the process, as it does by default;
    /// [`serve_until`](Server::serve_until) leaves it alone, and so does every server where there is no such signal.
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
        self.on_hangup.add(hook);
        self
    }

    /// Calls `hook` for everything that the server refuses by itself, before an application or its log sees it: what is
    /// not HTTP (400), heads that are slow (408), long (414, 431) or have too many lines, CONNECT and transfer codings
    /// (501), connections beyond the limit (503), floods of frames; all hooks if there are several.
    ///
    /// It is called on a thread that must not block.
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
        self.refusals.add(hook);
        self
    }

    /// Calls `hook` when a request panics, in its call, its future or its body, and nobody inside catches that.
    ///
    /// It gets the ID of the request, if a [`RequestId`](crate::middleware::RequestId) sets one, on a thread that must not
    /// block. By default the ID is a line on standard error, below the message of the panic:
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
        self.failures.on_panic(hook);
        self
    }

    /// Calls `hook` with each [`HttpError`] that a response of the status 500 or more stands for, and with the request's ID
    /// if it has one; see [`HttpError::source`] for the cause.
    ///
    /// It runs before the response is written, on the thread that runs the application, so it must not block. By default
    /// the error and its causes are a line on standard error if the status is 500:
    ///
    /// ```text
    /// error: 500 Internal Server Error: invalid digit found in string (request 019a3f6e-7c1b-7def-8123-456789abcdef)
    /// ```
    ///
    /// An access log has the same beside the request: [`%{error}x`](crate::middleware::AccessLog).
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
        self.failures.on_error(hook);
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
    /// Panics where it is called inside an async runtime; call [`serve`](Server::serve) there.
    pub fn serve_forever<M>(self, app: impl TryIntoApplication<M>) -> io::Result<()> {
        let app = built(app)?;
        // One worker needs no scheduler that others could take work from.
        let mut runtime = match self.workers {
            Some(0 | 1) => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        if let Some(workers) = self.workers.filter(|workers| *workers > 1) {
            runtime.worker_threads(workers);
        }
        runtime.max_blocking_threads(self.blocking_threads.max(1));
        let runtime = runtime.enable_all().build()?;
        let result = runtime.block_on(self.serve(app));
        // What is still running was given its time already: it is dropped now, so that logs know of it.
        runtime.shutdown_timeout(ABORT_TIMEOUT);
        result
    }

    /// Serves until Ctrl-C or SIGTERM, on the tokio runtime that it is called in.
    ///
    /// # Errors
    ///
    /// If a router cannot be built, or the signals cannot be watched.
    pub async fn serve<M>(self, app: impl TryIntoApplication<M>) -> io::Result<()> {
        let app = built(app)?;
        let mut signals = Signals::watch(self.on_hangup.clone())?;
        let first = async move {
            signals.next().await;
            signals
        };
        self.run(app, first, async |mut signals| signals.next().await)
            .await
    }

    /// Serves until `shutdown` is ready, on the tokio runtime that it is called in; signals are left alone.
    ///
    /// Dropping the future breaks off what is in flight.
    ///
    /// # Errors
    ///
    /// If a router cannot be built, or the listener does not work with the runtime.
    pub async fn serve_until<M>(
        self,
        app: impl TryIntoApplication<M>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        self.run(built(app)?, shutdown, async |()| {
            std::future::pending().await
        })
        .await
    }

    /// Accepts until `shutdown`, then waits for what is in flight: until the deadline or until `hurry`, which gets what
    /// `shutdown` gave.
    async fn run<T>(
        self,
        app: Application,
        shutdown: impl Future<Output = T>,
        hurry: impl AsyncFnOnce(T),
    ) -> io::Result<()> {
        let listeners = self.listeners.into_iter().map(BoundListener::open);
        let listeners: Vec<BoundListener> = listeners.collect::<io::Result<_>>()?;
        let limits = self.limits;
        let admission = Admission::new(limits.max_connections, limits.max_connections_per_peer);
        let admission = Arc::new(admission);
        let goodbyes = Arc::new(Admission::new(MAX_REFUSALS, None));
        let next = AtomicUsize::new(0);
        let (lifetime, background) = (Lifetime::new(), Background::new());
        let spawner = background.spawner();
        #[cfg(all(unix, feature = "systemd"))]
        if self.notifies {
            // A service manager that cannot be reached is no reason not to serve; it has a limit of its own.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        }
        let mut shutdown = pin!(shutdown);
        let told = loop {
            let (listener, accepted) = match race(&mut shutdown, accept(&listeners, &next)).await {
                First::Left(told) => break told,
                First::Right(accepted) => accepted,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            let Some(admitted) = admission.admit(peer.map(|peer| peer.ip())) else {
                let is_told = turn_away(socket, listener, &goodbyes, limits);
                let status = is_told.then_some(StatusCode::SERVICE_UNAVAILABLE);
                let reason = "too many connections";
                self.refusals.report(&Refusal::new(peer, status, reason));
                continue;
            };
            let context = ServeContext {
                limits,
                app: app.clone(),
                refusals: self.refusals.clone(),
                failures: self.failures.clone(),
                spawner: spawner.clone(),
                #[cfg(feature = "tls")]
                certificates: listener.tls.clone(),
                #[cfg(feature = "proxy-protocol")]
                proxies: listener.proxies.clone(),
            };
            tokio::spawn(context.drive(socket, peer, admitted, lifetime.share()));
        };
        drop((listeners, app));
        #[cfg(all(unix, feature = "systemd"))]
        if self.notifies {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        }
        let finished = async {
            lifetime.finish().await;
            background.finished().await;
        };
        let finished = race(finished, hurry(told));
        let _ = tokio::time::timeout(self.shutdown_deadline, finished).await;
        lifetime.break_off().await;
        background.break_off().await;
        Ok(())
    }
}

/// A listener that accepts.
struct BoundListener {
    socket: Accepting,
    #[cfg(feature = "tls")]
    tls: Option<Certificates>,
    #[cfg(feature = "proxy-protocol")]
    proxies: Option<Proxies>,
}

impl BoundListener {
    fn open(listener: Listener) -> io::Result<BoundListener> {
        Ok(BoundListener {
            socket: Accepting::start(listener.bound)?,
            #[cfg(feature = "tls")]
            tls: listener.tls,
            #[cfg(feature = "proxy-protocol")]
            proxies: listener.proxies,
        })
    }

    /// Whether its clients speak HTTP without TLS.
    fn is_plain(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_none();
        #[cfg(not(feature = "tls"))]
        true
    }
}

/// The next connection of any of them; they take turns, from the one at `next` on.
async fn accept<'a>(
    listeners: &'a [BoundListener],
    next: &AtomicUsize,
) -> (&'a BoundListener, io::Result<(Socket, Option<SocketAddr>)>) {
    poll_fn(|context| {
        let start = next.load(Ordering::Relaxed) % listeners.len();
        let turns = (start..).zip(listeners.iter().cycle().skip(start));
        for (at, listener) in turns.take(listeners.len()) {
            if let Poll::Ready(accepted) = listener.socket.poll_accept(context) {
                next.store(at + 1, Ordering::Relaxed);
                return Poll::Ready((listener, accepted));
            }
        }
        Poll::Pending
    })
    .await
}

/// Tells a client that there is no room for it, as long as there is room to tell it; returns whether it does.
fn turn_away(
    socket: Socket,
    listener: &BoundListener,
    goodbyes: &Arc<Admission>,
    limits: Limits,
) -> bool {
    // To shake hands with somebody who is sent away is what an attacker would wish for.
    let place = match listener.is_plain() {
        true => goodbyes.admit(None),
        false => None,
    };
    let is_told = place.is_some();
    if let Some(place) = place {
        tokio::spawn(async move {
            connection::goodbye::refuse(socket, &limits).await;
            drop(place);
        });
    }
    is_told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listeners_take_turns() {
        let listeners = [0; 3].map(|_| Listener::tcp("127.0.0.1:0").unwrap());
        let clients: Vec<_> = listeners
            .iter()
            .flat_map(|listener| [listener.local_addr().unwrap(); 3])
            .map(|address| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let listeners = listeners.map(|listener| BoundListener::open(listener).unwrap());
        // The runtime learns of all of them.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let next = AtomicUsize::new(0);
        let mut order = Vec::new();
        for _ in &clients {
            let (found, accepted) = accept(&listeners, &next).await;
            accepted.unwrap();
            let at = listeners
                .iter()
                .position(|listener| std::ptr::eq(listener, found));
            order.push(at.unwrap());
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }
}
