//! The connection of a request.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, RwLock};

use crate::lock::unpoisoned;

/// The connection that a request arrived on: shared by all its requests, and cheap to clone.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Connection, Scheme};
///
/// let connection = Connection::new(Scheme::Http).with_peer("192.0.2.7:4711".parse().unwrap());
/// assert_eq!(connection.peer().unwrap().port(), 4711);
///
/// // A slot holds one value of its type for the life of the connection.
/// struct Greeted(&'static str);
/// assert_eq!(connection.slot(|| Greeted("first")).0, "first");
/// assert_eq!(connection.slot(|| Greeted("second")).0, "first");
/// ```
#[derive(Clone)]
pub struct Connection(Arc<Facts>);

#[derive(Clone)]
struct Facts {
    scheme: Scheme,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    tls: Option<Tls>,
    shutdown: Option<Shutdown>,
    spawner: Option<Spawner>,
    slots: Slots,
}

type Shutdown = Arc<dyn Fn() -> Waiting + Send + Sync>;
type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;
type Spawner = Arc<dyn Fn(Waiting) + Send + Sync>;

type Slot = Arc<dyn Any + Send + Sync>;
type Slots = Arc<RwLock<HashMap<TypeId, Slot>>>;

/// Whether a connection is encrypted; `wsgi.url_scheme` in WSGI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scheme {
    /// Plain HTTP.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The scheme as URLs write it: `http` or `https`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The default port of this scheme, which URLs leave out.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl Connection {
    /// A connection with only its scheme known.
    #[must_use]
    pub fn new(scheme: Scheme) -> Connection {
        Connection(Arc::new(Facts {
            scheme,
            peer: None,
            local: None,
            tls: None,
            shutdown: None,
            spawner: None,
            slots: Slots::default(),
        }))
    }

    /// Sets the address of the peer.
    #[must_use]
    pub fn with_peer(self, peer: SocketAddr) -> Connection {
        self.with(|facts| facts.peer = Some(peer))
    }

    /// Sets the local address.
    #[must_use]
    pub fn with_local(self, local: SocketAddr) -> Connection {
        self.with(|facts| facts.local = Some(local))
    }

    /// Replaces the scheme, for a connection that starts TLS after it was accepted.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Connection {
        self.with(|facts| facts.scheme = scheme)
    }

    /// Sets the facts of its TLS session.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Connection {
        self.with(|facts| facts.tls = Some(tls))
    }

    /// Sets how to wait until the server is asked to stop: `wait` is called once for each waiter.
    #[must_use]
    pub fn with_shutdown<F>(self, wait: impl Fn() -> F + Send + Sync + 'static) -> Connection
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let wait: Shutdown = Arc::new(move || Box::pin(wait()));
        self.with(|facts| facts.shutdown = Some(wait))
    }

    /// Sets how to run futures that outlive a response: `spawn` is called with each of them.
    ///
    /// A gateway runs them until its own end. A gateway without a runtime runs them after the response.
    #[must_use]
    pub fn with_spawner(
        self,
        spawn: Arc<dyn Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync>,
    ) -> Connection {
        self.with(|facts| facts.spawner = Some(spawn))
    }

    /// Whether [`spawn`](Connection::spawn) can run a future.
    #[must_use]
    pub fn can_spawn(&self) -> bool {
        self.0.spawner.is_some()
    }

    fn with(mut self, change: impl FnOnce(&mut Facts)) -> Connection {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The scheme of this connection; for the client's scheme see [`Request::scheme`](crate::Request::scheme).
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The address of the peer, if the transport has one; a Unix socket has none.
    ///
    /// It is the address of the socket, whatever a header says. For the client's address see
    /// [`Request::client_address`](crate::Request::client_address).
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// The local address, if the transport has one.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.0.local
    }

    /// The facts of its TLS session; `None` without TLS, or if a proxy terminates it.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.0.tls.as_ref()
    }

    /// Waits until the server of this connection is asked to stop; forever if the connection cannot tell.
    ///
    /// Use it to end responses that would go on forever, such as a stream of events. The client then connects again
    /// elsewhere, and the server need not abort the response at its deadline.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Connection, Scheme};
    ///
    /// let connection = Connection::new(Scheme::Http).with_shutdown(|| std::future::ready(()));
    /// pollster::block_on(connection.shutting_down());
    /// ```
    pub fn shutting_down(&self) -> impl Future<Output = ()> + Send + use<> {
        let waiting = self.0.shutdown.as_ref().map(|wait| wait());
        async move {
            match waiting {
                Some(waiting) => waiting.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Runs `future` beside the response, and to its end even if the client disconnects.
    ///
    /// Use it to fill a cache or to send a message, for example. The built-in server runs the future at once, as do
    /// FastCGI, SCGI and tower services on a tokio runtime. CGI runs it after its response. When a server stops, it
    /// waits for the future until its deadline, and drops it then; it drops at once what is spawned later. To end a
    /// future that goes on forever, use [`shutting_down`](Connection::shutting_down). A panic in the future ends only
    /// that future. Nothing limits how many run at a time.
    ///
    /// # Errors
    ///
    /// Returns the future if this connection cannot run it, for example in a test without a gateway. Then await it, or
    /// do without it.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Reply, Request};
    ///
    /// async fn send_mail() { /* .. */ }
    ///
    /// fn order(request: Request) -> Reply {
    ///     match request.connection().spawn(send_mail()) {
    ///         Ok(()) => Reply::new("Thank you"),
    ///         Err(mail) => Reply::from_future(async {
    ///             mail.await;
    ///             "Thank you"
    ///         }),
    ///     }
    /// }
    /// # assert_eq!(pollster::block_on(order(Request::get("/"))).status(), 200);
    /// ```
    pub fn spawn<F>(&self, future: F) -> Result<(), F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match &self.0.spawner {
            Some(spawn) => {
                spawn(Box::pin(future));
                Ok(())
            }
            None => Err(future),
        }
    }

    /// The connection's value of type `T`, made by `make` on first use.
    ///
    /// Use it to keep a value for all requests of a connection. Use a type of your own, so that the value cannot
    /// collide with another component's.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a slot is stored under the identity of its own type"
    )]
    pub fn slot<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let key = TypeId::of::<T>();
        // A panic cannot leave the map half changed.
        let found = unpoisoned(self.0.slots.read()).get(&key).cloned();
        let slot = found.unwrap_or_else(|| {
            let made: Slot = Arc::new(make());
            let mut slots = unpoisoned(self.0.slots.write());
            slots.entry(key).or_insert(made).clone()
        });
        slot.downcast()
            .expect("a slot is stored under the identity of its own type")
    }
}

/// The facts of a connection's TLS session.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::Tls;
///
/// let tls = Tls::new("TLSv1.3").with_server_name("example.org").with_peer_certificates([b"DER".to_vec()]);
/// assert_eq!((tls.version(), tls.server_name()), ("TLSv1.3", Some("example.org")));
/// assert_eq!(tls.peer_certificates(), [b"DER".to_vec()]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    version: &'static str,
    server_name: Option<String>,
    peer_certificates: Vec<Vec<u8>>,
}

impl Tls {
    /// A TLS session of this version, such as `TLSv1.3`.
    #[must_use]
    pub fn new(version: &'static str) -> Tls {
        Tls {
            version,
            server_name: None,
            peer_certificates: Vec::new(),
        }
    }

    /// Sets the name that the client requested (SNI, RFC 6066, section 3).
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Tls {
        self.server_name = Some(name.into());
        self
    }

    /// Sets the client's certificates, verified: its own first, each in DER.
    #[must_use]
    pub fn with_peer_certificates(mut self, chain: impl IntoIterator<Item = Vec<u8>>) -> Tls {
        self.peer_certificates = chain.into_iter().collect();
        self
    }

    /// The version, such as `TLSv1.3`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The name that the client requested.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The client's certificates, its own first, each in DER; empty if the server did not ask for one.
    #[must_use]
    pub fn peer_certificates(&self) -> &[Vec<u8>] {
        &self.peer_certificates
    }
}

impl Default for Connection {
    fn default() -> Connection {
        Connection::new(Scheme::Http)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("scheme", &self.scheme())
            .field("peer", &self.peer())
            .field("local", &self.local())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_shared_by_clones_and_told_apart_by_type() {
        let connection = Connection::default();
        let clone = connection.clone();
        assert_eq!(*connection.slot(|| 1_u32), 1);
        assert_eq!(*clone.slot(|| 2_u32), 1);
        assert_eq!(*clone.slot(|| "text"), "text");
    }

    #[test]
    fn an_address_can_be_added_to_a_connection_that_is_in_use() {
        let first = Connection::default();
        let second = first.clone().with_local("127.0.0.1:80".parse().unwrap());
        assert_eq!(first.local(), None);
        assert_eq!(second.local().unwrap().port(), 80);
    }
}
