//! What the servers that a web server connects to have in common: sockets, connections, and how they end.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How long requests in flight may take to finish once the server is told to stop.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(30);
/// How long dropping what was broken off may take.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait where the system has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How many connections are served at a time.
const MAX_CONNECTIONS: usize = 1024;

/// A connection of any kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Whether the server still takes new requests.
#[derive(Clone, Debug)]
pub(crate) struct Serving(watch::Receiver<bool>);

impl Serving {
    /// One that never ends, and what keeps it so.
    pub(crate) fn forever() -> (Serving, watch::Sender<bool>) {
        let (sender, receiver) = watch::channel(true);
        (Serving(receiver), sender)
    }

    /// Waits until the server takes no new requests; ready at once where it does not any more.
    pub(crate) async fn end(&mut self) {
        // An error says that the server is gone.
        let _ = self.0.wait_for(|is_serving| !is_serving).await;
    }
}

/// A socket that a web server connects to, and how its connections are served.
#[derive(Debug)]
pub(crate) struct Listening {
    listener: Listener,
    pub(crate) max_connections: usize,
    pub(crate) shutdown_deadline: Duration,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, Option<SocketFile>),
}

/// The file of a Unix socket, which is removed with the socket.
#[cfg(unix)]
#[derive(Debug)]
struct SocketFile(PathBuf);

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever removed it already has done what is wanted.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listening {
    fn new(listener: Listener) -> Listening {
        Listening {
            listener,
            max_connections: MAX_CONNECTIONS,
            shutdown_deadline: SHUTDOWN_DEADLINE,
        }
    }

    pub(crate) fn bind(address: impl ToSocketAddrs + std::fmt::Debug) -> io::Result<Listening> {
        let listener =
            TcpListener::bind(&address).map_err(|error| cannot_listen(&address, &error))?;
        Listening::tcp(listener)
    }

    pub(crate) fn tcp(listener: TcpListener) -> io::Result<Listening> {
        listener.set_nonblocking(true)?;
        Ok(Listening::new(Listener::Tcp(listener)))
    }

    /// Listens at a path. A file that an earlier server left there is removed; one that a server listens at is not.
    #[cfg(unix)]
    pub(crate) fn bind_unix(path: &Path) -> io::Result<Listening> {
        use std::os::unix::fs::FileTypeExt;
        let is_socket =
            std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
        if is_socket && is_left_over(path) {
            std::fs::remove_file(path).map_err(|error| cannot_listen(&path, &error))?;
        }
        let listener = UnixListener::bind(path).map_err(|error| cannot_listen(&path, &error))?;
        listener.set_nonblocking(true)?;
        let file = SocketFile(path.to_owned());
        Ok(Listening::new(Listener::Unix(listener, Some(file))))
    }

    #[cfg(unix)]
    pub(crate) fn unix(listener: UnixListener) -> io::Result<Listening> {
        listener.set_nonblocking(true)?;
        Ok(Listening::new(Listener::Unix(listener, None)))
    }

    /// Takes the listening socket that standard input is.
    #[cfg(unix)]
    pub(crate) fn inherited() -> io::Result<Listening> {
        Listening::of_descriptor(io::stdin().as_fd().try_clone_to_owned()?)
    }

    #[cfg(unix)]
    fn of_descriptor(descriptor: OwnedFd) -> io::Result<Listening> {
        let listener = TcpListener::from(descriptor);
        if listener.local_addr().is_ok() {
            return Listening::tcp(listener);
        }
        let listener = UnixListener::from(OwnedFd::from(listener));
        match listener.local_addr() {
            Ok(_) => Listening::unix(listener),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("standard input is no listening socket: {error}"),
            )),
        }
    }

    /// The address, where it is a TCP socket.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Listener::Unix(..) => None,
        }
    }

    /// Serves until Ctrl-C or SIGTERM, on a runtime of its own.
    pub(crate) fn serve_forever<F>(
        self,
        serve: impl Fn(Box<dyn Stream>, Serving) -> F,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(async {
            let mut signals = Signals::watch()?;
            let hurry = |mut signals: Signals| async move { signals.next().await };
            let first = async move {
                signals.next().await;
                signals
            };
            self.run(first, hurry, serve).await
        });
        runtime.shutdown_timeout(ABORT_TIMEOUT);
        result
    }

    /// Serves until `shutdown`, then waits for what is in flight.
    pub(crate) async fn serve_until<F>(
        self,
        shutdown: impl Future<Output = ()>,
        serve: impl Fn(Box<dyn Stream>, Serving) -> F,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.run(shutdown, |()| std::future::pending(), serve).await
    }

    async fn run<F, T, H>(
        self,
        shutdown: impl Future<Output = T>,
        hurry: impl FnOnce(T) -> H,
        serve: impl Fn(Box<dyn Stream>, Serving) -> F,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
        H: Future<Output = ()>,
    {
        let acceptor = Acceptor::new(self.listener)?;
        let room = Arc::new(Semaphore::new(
            self.max_connections.min(Semaphore::MAX_PERMITS),
        ));
        let (sender, serving) = watch::channel(true);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        let told = loop {
            tokio::select! {
                biased;
                told = &mut shutdown => break told,
                Some(_) = connections.join_next() => {}
                (permit, stream) = acceptor.next(&room) => {
                    let connection = serve(stream, Serving(serving.clone()));
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
            }
        };
        drop(acceptor);
        sender.send_replace(false);
        tokio::select! {
            () = all_gone(&mut connections) => {}
            () = tokio::time::sleep(self.shutdown_deadline) => {}
            () = hurry(told) => {}
        }
        let _ = tokio::time::timeout(ABORT_TIMEOUT, connections.shutdown()).await;
        Ok(())
    }
}

async fn all_gone(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

fn cannot_listen(address: &impl std::fmt::Debug, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot listen on {address:?}: {error}"),
    )
}

/// Whether nobody listens at this file any more.
#[cfg(unix)]
fn is_left_over(path: &Path) -> bool {
    UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// A listener in the runtime.
enum Acceptor {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(
        tokio::net::UnixListener,
        #[expect(dead_code, reason = "it is for its end")] Option<SocketFile>,
    ),
}

impl Acceptor {
    fn new(listener: Listener) -> io::Result<Acceptor> {
        Ok(match listener {
            Listener::Tcp(listener) => Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?),
            #[cfg(unix)]
            Listener::Unix(listener, file) => {
                Acceptor::Unix(tokio::net::UnixListener::from_std(listener)?, file)
            }
        })
    }

    /// The next connection, once there is room for it: those beyond wait in the system's queue.
    async fn next(
        &self,
        room: &Arc<Semaphore>,
    ) -> (Option<tokio::sync::OwnedSemaphorePermit>, Box<dyn Stream>) {
        // It is never closed.
        let permit = room.clone().acquire_owned().await.ok();
        loop {
            match self.accept().await {
                Ok(stream) => return (permit, stream),
                Err(error) => pause_after(&error).await,
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Acceptor::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Without it, the last small segment of an answer waits for the peer's acknowledgement.
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
            #[cfg(unix)]
            Acceptor::Unix(listener, _) => Box::new(listener.accept().await?.0),
        })
    }
}

/// Waits where accepting failed for want of descriptors or memory, which other connections give back in time.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    ) {
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Ctrl-C, and SIGTERM where there is one.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn watch() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "the same signature everywhere")]
    fn watch() -> io::Result<Signals> {
        Ok(Signals {})
    }

    async fn next(&mut self) {
        // Where it cannot be watched, Ctrl-C ends the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_left_is_removed_and_one_in_use_is_not() {
        let folder =
            std::env::temp_dir().join(format!("enfilade-listening-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let left = UnixListener::bind(&path).unwrap();
        drop(left);
        assert!(path.exists());
        let first = Listening::bind_unix(&path).unwrap();
        let error = Listening::bind_unix(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with("cannot listen on \""));
        drop(first);
        assert!(!path.exists());
        std::fs::write(&path, "no socket").unwrap();
        assert!(Listening::bind_unix(&path).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_descriptor_says_what_it_is() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let listening = Listening::of_descriptor(tcp.into()).unwrap();
        assert_eq!(listening.local_addr(), Some(address));
        let path = std::env::temp_dir().join(format!("enfilade-descriptor-{}", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        assert_eq!(
            Listening::of_descriptor(unix.into()).unwrap().local_addr(),
            None
        );
        std::fs::remove_file(&path).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let error = Listening::of_descriptor(file.into()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("standard input is no listening socket: ")
        );
    }
}
