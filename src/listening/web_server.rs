//! A server that a web server connects to, whatever the two speak.

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

/// How many connections are served at a time.
const MAX_CONNECTIONS: usize = 1024;
/// How long the web server may take to send the variables of a request.
const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes the variables of a request may have.
const MAX_VARIABLES_SIZE: usize = 64 * 1024;

/// What a web server and a [`Server`] speak: [`FastCgi`](crate::fastcgi::FastCgi) or [`Scgi`](crate::scgi::Scgi).
pub trait Protocol: Speak {}

/// How a connection is served.
#[expect(unnameable_types, reason = "nobody else implements a protocol")]
pub trait Speak: std::fmt::Debug + Send + Sync + 'static {
    /// Whether a response that breaks off resets its connection, as its end alone would look like that of the response.
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

/// What all connections of a server have in common.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "nobody else implements a protocol")]
pub struct Settings {
    pub(crate) max_variables_size: usize,
    pub(crate) head_read_timeout: Duration,
    pub(crate) max_connections: usize,
    /// Whether the whole path is the application's.
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

/// Whether the server still takes new requests.
#[derive(Clone)]
#[expect(unnameable_types, reason = "nobody else implements a protocol")]
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
    /// What runs beside responses.
    pub(crate) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Serves one connection, and waits for what it leaves running.
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

    /// Waits until the server takes no new requests; ready at once where it does not any more.
    pub(crate) async fn end(&mut self) {
        // An error says that the server is gone.
        let _ = self.is_serving.wait_for(|is_serving| !is_serving).await;
    }
}

/// A server for an [`Application`] that a web server connects to; see [`fastcgi`](crate::fastcgi) and
/// [`scgi`](crate::scgi).
///
/// # Security
///
/// Whoever can connect can say anything, the client's address and `REMOTE_USER` included: listen on loopback, or on a
/// Unix socket that the web server alone may open.
#[derive(Debug)]
#[must_use = "a server does nothing until one of its `serve` functions is called"]
pub struct Server<P> {
    listener: Listener,
    settings: Settings,
    shutdown_deadline: Duration,
    protocol: PhantomData<P>,
}

impl<P: Protocol> Server<P> {
    /// Serves what this listener accepts: on TCP, a Unix socket, or the one that the program was started with.
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

    /// Listens at an address; port 0 takes a free one, which [`local_addr`](Server::local_addr) returns.
    ///
    /// # Errors
    ///
    /// If the address cannot be had; the text names it.
    pub fn bind(address: impl ToSocketAddrs + std::fmt::Debug) -> io::Result<Self> {
        Listener::tcp(address).map(Server::new)
    }

    /// The address that this server listens on, with the real port; `None` for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr()
    }

    /// Limits concurrent connections; 1,024 by default, at least 1. The next wait in the system's queue.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.settings.max_connections = count.max(1);
        self
    }

    /// How long requests in flight may take to finish once the server is told to stop; 30 seconds by default.
    ///
    /// Set it below the time after which your process manager kills the process.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Self {
        self.shutdown_deadline = deadline;
        self
    }

    /// How long the web server may take to send the variables of a request; 30 seconds by default.
    pub fn head_read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.head_read_timeout = timeout;
        self
    }

    /// Limits the bytes that the variables of a request have, names included; 64 KiB by default. More are a 431.
    pub fn max_variables_size(mut self, bytes: usize) -> Self {
        self.settings.max_variables_size = bytes;
        self
    }

    /// Takes the whole path for the application's, whatever `SCRIPT_NAME` and `PATH_INFO` say.
    ///
    /// It is for a web server that has no script, but says so: nginx with its own `fastcgi_params`, for example, whose
    /// `SCRIPT_NAME` is the path of the request.
    pub fn at_root(mut self) -> Self {
        self.settings.is_at_root = true;
        self
    }

    /// Serves until Ctrl-C or SIGTERM, on a runtime of its own; requests in flight are finished.
    ///
    /// # Errors
    ///
    /// If a router cannot be built, the runtime cannot be started or the signals cannot be watched; and for a listener that speaks TLS or takes
    /// the PROXY protocol.
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

    /// Serves until `shutdown` is ready, on the tokio runtime that it is called in; signals are left alone.
    ///
    /// Dropping the future aborts the requests in flight.
    ///
    /// # Errors
    ///
    /// If a router cannot be built, or the listener does not work with the runtime, speaks TLS or takes the PROXY protocol.
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
        let told = loop {
            let (permit, socket) = match race(&mut shutdown, next(&accepting, &room)).await {
                First::Left(told) => break told,
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
        let finished = race(finished, hurry(told));
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
    // In a box, so that it has the size of the protocol's future once.
    let connection = Box::pin(P::serve(socket, &app, settings, serving));
    // What a web server does to its end of a connection is no error of this server.
    if connection.await.is_err() && P::RESETS {
        watch.reset_on_close();
    }
}

/// The next connection, once there is room for it: those beyond wait in the system's queue.
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
