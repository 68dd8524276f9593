//! How the servers run that a web server connects to.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::listening::{
    ABORT_TIMEOUT, Accepting, Hooks, Listener, SHUTDOWN_DEADLINE, Signals, Socket, pause_after,
};
use crate::race::{First, race};

/// How many connections are served at a time.
const MAX_CONNECTIONS: usize = 1024;

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

impl Listening {
    pub(crate) fn new(listener: Listener) -> Listening {
        Listening {
            listener,
            max_connections: MAX_CONNECTIONS,
            shutdown_deadline: SHUTDOWN_DEADLINE,
        }
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until Ctrl-C or SIGTERM, on a runtime of its own.
    pub(crate) fn serve_forever<F>(self, serve: impl Fn(Socket, Serving) -> F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(async {
            let mut signals = Signals::watch(Hooks::default())?;
            let first = async move {
                signals.next().await;
                signals
            };
            self.run(first, async |mut signals| signals.next().await, serve)
                .await
        });
        runtime.shutdown_timeout(ABORT_TIMEOUT);
        result
    }

    /// Serves until `shutdown`, then waits for what is in flight.
    pub(crate) async fn serve_until<F>(
        self,
        shutdown: impl Future<Output = ()>,
        serve: impl Fn(Socket, Serving) -> F,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hurry = async |()| std::future::pending().await;
        self.run(shutdown, hurry, serve).await
    }

    async fn run<F, T>(
        self,
        shutdown: impl Future<Output = T>,
        hurry: impl AsyncFnOnce(T),
        serve: impl Fn(Socket, Serving) -> F,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let accepting = Accepting::start(self.listener.into_bare()?)?;
        let room = Arc::new(Semaphore::new(
            self.max_connections.min(Semaphore::MAX_PERMITS),
        ));
        let (sender, serving) = watch::channel(true);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        let told = loop {
            let (permit, socket) = match race(&mut shutdown, next(&accepting, &room)).await {
                First::Left(told) => break told,
                First::Right(accepted) => accepted,
            };
            while connections.try_join_next().is_some() {}
            let connection = serve(socket, Serving(serving.clone()));
            connections.spawn(async move {
                connection.await;
                drop(permit);
            });
        };
        drop(accepting);
        sender.send_replace(false);
        let finished = race(all_gone(&mut connections), hurry(told));
        let _ = tokio::time::timeout(self.shutdown_deadline, finished).await;
        let _ = tokio::time::timeout(ABORT_TIMEOUT, connections.shutdown()).await;
        Ok(())
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
