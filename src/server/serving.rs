//! A server that runs: it accepts connections, then finishes requests in flight.
//!
//! Nothing here is generic over the application or the future that stops the server: its futures are boxed, so that
//! this crate compiles them, with hyper's and tokio's for connections, and not each program that calls it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use enfilade_core::Application;
use http::StatusCode;

use crate::background::{Background, Spawner, Task};
use crate::failures::FailureHooks;
use crate::listening::{
    Accepting, Hooks, Listener, SHUTDOWN_DEADLINE, Signals, Socket, pause_after,
};
use crate::race::race;
use crate::server::admission::Admission;
use crate::server::connection::lifetime::Lifetime;
use crate::server::connection::limits::Limits;
use crate::server::connection::{self, ServeContext};
use crate::server::crowd::{Crowd, is_shortage};
#[cfg(feature = "proxy-protocol")]
use crate::server::proxy_protocol::Proxies;
use crate::server::refusal::{Refusal, RefusalHooks};
#[cfg(feature = "tls")]
use crate::server::tls::Certificates;

/// The maximum number of clients that get a 503 at the same time; further ones get no response.
const MAX_REFUSALS: usize = 64;

/// A future whose type does not matter to its caller.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Returns a future that delays the next connection after one was accepted.
#[derive(Clone)]
pub(super) struct AfterAccept(pub(super) Arc<dyn Fn() -> Boxed<'static, ()> + Send + Sync>);

impl std::fmt::Debug for AfterAccept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AfterAccept")
    }
}

/// The settings of a server, but for its listeners and threads.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) shutdown_deadline: Duration,
    #[cfg(all(unix, feature = "systemd"))]
    pub(super) notifies: bool,
    pub(super) after_accept: Option<AfterAccept>,
    pub(super) on_hangup: Hooks,
    pub(super) refusals: RefusalHooks,
    pub(super) failures: FailureHooks,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            limits: Limits::default(),
            shutdown_deadline: SHUTDOWN_DEADLINE,
            #[cfg(all(unix, feature = "systemd"))]
            notifies: false,
            after_accept: None,
            on_hangup: Hooks::default(),
            refusals: RefusalHooks::default(),
            failures: FailureHooks::default(),
        }
    }
}

/// Serves until Ctrl-C or SIGTERM; a second signal aborts the requests in flight.
pub(super) fn until_signal(
    listeners: Vec<Listener>,
    settings: Settings,
    app: Application,
) -> Boxed<'static, io::Result<()>> {
    Box::pin(async move {
        let mut signals = Signals::watch(settings.on_hangup.clone())?;
        let serving = Serving::start(listeners, settings, app)?;
        race(signals.next(), serving.accept()).await;
        let hurry = async { signals.next().await };
        serving.finish(Box::pin(hurry)).await;
        Ok(())
    })
}

/// The state of a server that runs. If it is dropped, the requests in flight are aborted.
pub(super) struct Serving {
    listeners: Vec<BoundListener>,
    /// The listener whose turn it is.
    next: AtomicUsize,
    app: Application,
    settings: Settings,
    admission: Arc<Admission>,
    /// The clients that get a 503.
    goodbyes: Arc<Admission>,
    crowd: Arc<Crowd>,
    lifetime: Lifetime,
    background: Background,
    spawner: Spawner,
}

impl Serving {
    /// Opens the listeners, in the current runtime.
    pub(super) fn start(
        listeners: Vec<Listener>,
        settings: Settings,
        app: Application,
    ) -> io::Result<Serving> {
        let listeners = listeners.into_iter().map(BoundListener::open);
        let listeners = listeners.collect::<io::Result<_>>()?;
        let background = Background::new();
        #[cfg(all(unix, feature = "systemd"))]
        if settings.notifies {
            // If the service manager cannot be reached, the server still serves; the service manager has a timeout of
            // its own.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        }
        let limits = &settings.limits;
        let admission = Admission::new(limits.max_connections, limits.max_connections_per_peer);
        Ok(Serving {
            listeners,
            next: AtomicUsize::new(0),
            app,
            admission: Arc::new(admission),
            goodbyes: Arc::new(Admission::new(MAX_REFUSALS, None)),
            settings,
            crowd: Arc::default(),
            lifetime: Lifetime::new(),
            spawner: background.spawner(),
            background,
        })
    }

    /// Accepts connections for as long as it is polled.
    pub(super) fn accept(&self) -> Boxed<'_, Infallible> {
        Box::pin(async move {
            loop {
                let (listener, accepted) = accept(&self.listeners, &self.next).await;
                match accepted {
                    Ok((socket, peer)) => {
                        self.serve(listener, socket, peer);
                        if let Some(after_accept) = &self.settings.after_accept {
                            (after_accept.0)().await;
                        }
                    }
                    Err(error) if is_shortage(&error) && self.make_room() => {
                        // The task of the closed connection is dropped first.
                        tokio::task::yield_now().await;
                    }
                    Err(error) => pause_after(&error).await,
                }
            }
        })
    }

    /// Closes an idle connection for a new one; returns whether there was one.
    fn make_room(&self) -> bool {
        let closed = self.crowd.close_longest_idle();
        if let Some(seat) = &closed {
            let refusal = Refusal::new(seat.peer, None, Refusal::TOO_MANY_FILES);
            self.settings.refusals.report(&refusal);
        }
        closed.is_some()
    }

    /// Serves a connection in a task of its own, unless there are too many.
    fn serve(&self, listener: &BoundListener, socket: Socket, peer: Option<SocketAddr>) {
        let Some(admitted) = self.admission.admit(peer.map(|peer| peer.ip())) else {
            let is_told = turn_away(socket, listener, &self.goodbyes, self.settings.limits);
            let status = is_told.then_some(StatusCode::SERVICE_UNAVAILABLE);
            let reason = "too many connections";
            return self
                .settings
                .refusals
                .report(&Refusal::new(peer, status, reason));
        };
        let context = ServeContext {
            limits: self.settings.limits,
            app: self.app.clone(),
            refusals: self.settings.refusals.clone(),
            failures: self.settings.failures.clone(),
            spawner: self.spawner.clone(),
            #[cfg(feature = "tls")]
            certificates: listener.tls.clone(),
            #[cfg(feature = "proxy-protocol")]
            proxies: listener.proxies.clone(),
        };
        let seat = self.crowd.seat(peer);
        let task: Task =
            Box::pin(context.drive(socket, peer, admitted, seat.clone(), self.lifetime.share()));
        seat.runs(tokio::spawn(task).abort_handle());
    }

    /// Accepts no more, and waits for requests in flight: until the deadline, or until `hurry`.
    ///
    /// Connections that wait to be accepted may have sent a request already, so they are served.
    pub(super) fn finish<'a>(self, hurry: Boxed<'a, ()>) -> Boxed<'a, ()> {
        Box::pin(async move {
            for listener in &self.listeners {
                while let Some((socket, peer)) = listener.socket.accept_waiting() {
                    self.serve(listener, socket, peer);
                }
            }
            let (lifetime, background) = (self.lifetime, self.background);
            drop((self.listeners, self.app, self.spawner));
            #[cfg(all(unix, feature = "systemd"))]
            if self.settings.notifies {
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            }
            let finished = async {
                lifetime.finish().await;
                background.finished().await;
            };
            let finished = race(finished, hurry);
            let _ = tokio::time::timeout(self.settings.shutdown_deadline, finished).await;
            lifetime.break_off().await;
            background.break_off().await;
        })
    }
}

/// Spawns a task; tokio compiles a good deal for each type of them, so all are boxed.
fn spawn(task: Task) {
    drop(tokio::spawn(task));
}

/// A listener that accepts connections.
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

/// The next connection of any listener; they take turns, from the one at `next` on.
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

/// Sends a 503 to a client beyond the limit, if few such clients are being served; returns whether it does.
fn turn_away(
    socket: Socket,
    listener: &BoundListener,
    goodbyes: &Arc<Admission>,
    limits: Limits,
) -> bool {
    // A TLS handshake with a rejected client would help attackers: it is expensive.
    let place = match listener.is_plain() {
        true => goodbyes.admit(None),
        false => None,
    };
    let is_told = place.is_some();
    if let Some(place) = place {
        spawn(Box::pin(async move {
            connection::goodbye::refuse(socket, &limits).await;
            drop(place);
        }));
    }
    is_told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;

    /// What a caller holds is small, so that its program does not compile the state of a server.
    #[tokio::test]
    async fn the_futures_of_a_server_are_boxed() {
        let server = || Server::bind("127.0.0.1:0").unwrap();
        let app = || Application::new(|_: enfilade_core::Request| "x");
        let held = size_of::<Server>() + size_of::<Application>();
        let serve = size_of_val(&server().serve(app()));
        let serve_until = size_of_val(&server().serve_until(app(), std::future::ready(())));
        assert!(serve <= 4 * held, "{serve} bytes");
        assert!(serve_until <= 4 * held, "{serve_until} bytes");
    }

    #[tokio::test]
    async fn a_future_of_a_server_may_be_sent_if_that_which_stops_it_may() {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let app = Application::new(|_: enfilade_core::Request| "x");
        let served = tokio::spawn(server.serve_until(app, std::future::ready(())));
        served.await.unwrap().unwrap();
        // It need not be.
        let (server, local) = (Server::bind("127.0.0.1:0").unwrap(), std::rc::Rc::new(()));
        let app = Application::new(|_: enfilade_core::Request| "x");
        let stop = async move { drop(local) };
        server.serve_until(app, stop).await.unwrap();
    }

    #[tokio::test]
    async fn listeners_take_turns() {
        let listeners = [0; 3].map(|_| Listener::tcp("127.0.0.1:0").unwrap());
        let clients: Vec<_> = listeners
            .iter()
            .flat_map(|listener| [listener.local_addr().unwrap(); 3])
            .map(|address| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let listeners = listeners.map(|listener| BoundListener::open(listener).unwrap());
        // The runtime notices all of them.
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
