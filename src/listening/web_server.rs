//! A server that a web server connects to, for any protocol between the two.

use std::io;
use std::marker::PhantomData;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{Application, TryIntoApplication};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::background::{Background, Spawner};
use crate::listening::{
    ABORT_TIMEOUT, Accepting, Hooks, Listener, SHUTDOWN_DEADLINE, Signals, Socket, pause_after,
};
use crate::race::{First, race};
use crate::unbuilt::built;

/// The maximum number of concurrent connections.
const MAX_CONNECTIONS: usize = 1024;
/// The timeout for the web server to send the variables of a request.
const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum size of a request's variables, in bytes.
const MAX_VARIABLES_SIZE: usize = 64 * 1024;

/// The protocol between a web server and a [`Server`]: [`FastCgi`](crate::fastcgi::FastCgi) or
/// [`Scgi`](crate::scgi::Scgi).
pub trait Protocol: Speak {}

/// How a connection is served.
#[expect(unnameable_types, reason = "no other crate implements a protocol")]
pub trait Speak: std::fmt::Debug + Send + Sync + 'static {
    /// Whether an aborted response resets its connection, because a plain close would look like a complete response.
    const RESETS: bool;

    /// Serves a connection to its end.
    fn serve<S>(
        stream: S,
        app: &Application,
        settings: Settings,
        serving: Serving,
    ) -> impl Future<Output = io::Result<()>> + Send
    where
        S: AsyncRead + AsyncWrite + Send + Unpin;
}

/// The common settings of all connections of a server.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "no other crate implements a protocol")]
pub struct Settings {
    pub(crate) max_variables_size: usize,
    pub(crate) head_read_timeout: Duration,
    pub(crate) max_connections: usize,
    /// Whether the whole path belongs to the application.
    pub(crate) is_at_root: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            max_variables_size: MAX_VARIABLES_SIZE,
            head_read_timeout: HEAD_READ_TIMEOUT,
            max_connections: MAX_CONNECTIONS,
            is_at_root: false,
        }
    }
}

/// Whether the server still accepts new requests.
#[derive(Clone)]
#[expect(unnameable_types, reason = "no other crate implements a protocol")]
pub struct Serving {
    is_serving: watch::Receiver<bool>,
    spawner: Spawner,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Serving").field(&self.is_serving).finish()
    }
}

impl Serving {
    /// Runs futures beside responses.
    pub(crate) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Serves one connection, and waits for the futures that it leaves running.
    pub(crate) async fn alone<F>(serve: impl FnOnce(Serving) -> F) -> io::Result<()>
    where
        F: Future<Output = io::Result<()>>,
    {
        let (_sender, is_serving) = watch::channel(true);
        let background = Background::new();
        let spawner = background.spawner();
        let served = serve(Serving {
            is_serving,
            spawner,
        })
        .await;
        background.finished().await;
        served
    }

    /// Waits until the server accepts no new requests; ready at once if that is so already.
    pub(crate) async fn end(&mut self) {
        // An error means that the server was dropped.
        let _ = self.is_serving.wait_for(|is_serving| !is_serving).await;
    }
}

/// A server for an [`Application`] that a web server connects to; see [`fastcgi`](crate::fastcgi) and
/// [`scgi`](crate::scgi).
///
/// # Security
///
/// Clients that can connect can send anything, including the client's address and `REMOTE_USER`. Listen on loopback, or
/// on a Unix socket that only the web server can open.
#[derive(Debug)]
#[must_use = "a server does nothing until one of its `serve` functions is called"]
pub struct Server<P> {
    listener: Listener,
    settings: Settings,
    shutdown_deadline: Duration,
    protocol: PhantomData<P>,
}

impl<P: Protocol> Server<P> {
    /// Serves this listener: TCP, a Unix socket, or the socket that the program was started with.
    ///
    /// ```no_run
    /// use enfilade::{Application, Listener, Request, fastcgi};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let app = Application::new(|_: Request| "Hello");
    /// let listener = Listener::unix("/run/house/fastcgi.sock", 0o660)?;
    /// fastcgi::Server::new(listener).serve_forever(app)
    /// # }
    /// ```
    pub fn new(listener: Listener) -> Self {
        Server {
            listener,
            settings: Settings::default(),
            shutdown_deadline: SHUTDOWN_DEADLINE,
            protocol: PhantomData,
        }
    }

    /// Listens at an address; for port 0 the system picks a free one, see [`local_addr`](Server::local_addr).
    ///
    /// # Errors
    ///
    /// If the address is not available. The message names it.
    pub fn bind(address: impl ToSocketAddrs + std::fmt::Debug) -> io::Result<Self> {
        Listener::tcp(address).map(Server::new)
    }

    /// The address that this server listens on, with the real port; `None` for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr()
    }

    /// Limits concurrent connections. By default 1,024; at least 1.
    ///
    /// Further ones wait in the system's queue.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.settings.max_connections = count.max(1);
        self
    }

    /// Sets how long requests in flight may take to finish after a stop. By default 30 seconds.
    ///
    /// Set it below the time after which your process manager kills the process.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Self {
        self.shutdown_deadline = deadline;
        self
    }

    /// Sets the timeout for the web server to send the variables of a request. By default 30 seconds.
    pub fn head_read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.head_read_timeout = timeout;
        self
    }

    /// Limits the size of a request's variables in bytes, names included. By default 64 KiB.
    ///
    /// Beyond it the response is a 431.
    pub fn max_variables_size(mut self, bytes: usize) -> Self {
        self.settings.max_variables_size = bytes;
        self
    }

    /// Treats the whole path as the application's, whatever `SCRIPT_NAME` and `PATH_INFO` contain.
    ///
    /// Use it if the web server has no script but sends its name, such as nginx with its own `fastcgi_params`, whose
    /// `SCRIPT_NAME` is the path of the request.
    pub fn at_root(mut self) -> Self {
        self.settings.is_at_root = true;
        self
    }

    /// Serves until Ctrl-C or SIGTERM, on a runtime of its own; requests in flight are finished.
    ///
    /// # Errors
    ///
    /// If a router cannot be built, the runtime cannot be started or the signals cannot be watched. Also if the
    /// listener uses TLS or the PROXY protocol.
    ///
    /// # Panics
    ///
    /// Panics if it is called inside an async runtime.
    pub fn serve_forever<M>(self, app: impl TryIntoApplication<M>) -> io::Result<()> {
        let app = built(app)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(async {
            let mut signals = Signals::watch(Hooks::default())?;
            let first = async move {
                signals.next().await;
                signals
            };
            self.run(app, first, async |mut signals| signals.next().await)
                .await
        });
        runtime.shutdown_timeout(ABORT_TIMEOUT);
        result
    }

    /// Serves until `shutdown` is ready, on the current tokio runtime; it handles no signals.
    ///
    /// Dropping the future aborts the requests in flight.
    ///
    /// # Errors
    ///
    /// If a router cannot be built, or the listener does not work with the runtime, uses TLS or the PROXY protocol.
    pub async fn serve_until<M>(
        self,
        app: impl TryIntoApplication<M>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let hurry = async |()| std::future::pending().await;
        self.run(built(app)?, shutdown, hurry).await
    }

    async fn run<T>(
        self,
        app: Application,
        shutdown: impl Future<Output = T>,
        hurry: impl AsyncFnOnce(T),
    ) -> io::Result<()> {
        let accepting = Accepting::start(self.listener.into_bare()?)?;
        let room = Arc::new(Semaphore::new(
            self.settings.max_connections.min(Semaphore::MAX_PERMITS),
        ));
        let (sender, serving) = watch::channel(true);
        let mut connections = JoinSet::new();
        let background = Background::new();
        let spawner = background.spawner();
        let mut shutdown = pin!(shutdown);
        let stopped = loop {
            let (permit, socket) = match race(&mut shutdown, next(&accepting, &room)).await {
                First::Left(stopped) => break stopped,
                First::Right(accepted) => accepted,
            };
            while connections.try_join_next().is_some() {}
            let serving = Serving {
                is_serving: serving.clone(),
                spawner: spawner.clone(),
            };
            let connection = serve::<P>(socket, app.clone(), self.settings, serving);
            connections.spawn(async move {
                connection.await;
                drop(permit);
            });
        };
        drop(accepting);
        sender.send_replace(false);
        let finished = async {
            all_gone(&mut connections).await;
            background.finished().await;
        };
        let finished = race(finished, hurry(stopped));
        let _ = tokio::time::timeout(self.shutdown_deadline, finished).await;
        let _ = tokio::time::timeout(ABORT_TIMEOUT, connections.shutdown()).await;
        background.break_off().await;
        Ok(())
    }
}

/// Serves one connection.
async fn serve<P: Protocol>(
    socket: Socket,
    app: Application,
    settings: Settings,
    serving: Serving,
) {
    let watch = socket.watch();
    // Boxed, so that the size of the protocol's future counts only once.
    let connection = Box::pin(P::serve(socket, &app, settings, serving));
    // If the web server closes its end early, that is not an error of this server.
    if connection.await.is_err() && P::RESETS {
        watch.reset_on_close();
    }
}

/// The next connection, once there is room for it; further ones wait in the system's queue.
async fn next(
    accepting: &Accepting,
    room: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, Socket) {
    // It is never closed.
    let permit = room.clone().acquire_owned().await.ok();
    loop {
        match std::future::poll_fn(|context| accepting.poll_accept(context)).await {
            Ok((socket, _)) => {
                socket.send_at_once();
                return (permit, socket);
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

async fn all_gone(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}
