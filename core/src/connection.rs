//! What is known of the connection that a request came over.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

/// The connection that a request came over: shared by all its requests, and cheap to clone.
///
/// ```
/// use enfilade_core::{Connection, Scheme};
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
    slots: Slots,
}

type Slot = Arc<dyn Any + Send + Sync>;
type Slots = Arc<RwLock<HashMap<TypeId, Slot>>>;

/// Whether a connection is encrypted; what WSGI calls `wsgi.url_scheme`.
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

    /// The port that URLs of this scheme leave out.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl Connection {
    /// A connection of which only the scheme is known.
    #[must_use]
    pub fn new(scheme: Scheme) -> Connection {
        Connection(Arc::new(Facts {
            scheme,
            peer: None,
            local: None,
            slots: Slots::default(),
        }))
    }

    /// The same connection with the address of the other end.
    #[must_use]
    pub fn with_peer(self, peer: SocketAddr) -> Connection {
        self.with(|facts| facts.peer = Some(peer))
    }

    /// The same connection with the address of this end.
    #[must_use]
    pub fn with_local(self, local: SocketAddr) -> Connection {
        self.with(|facts| facts.local = Some(local))
    }

    fn with(mut self, change: impl FnOnce(&mut Facts)) -> Connection {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The scheme of this connection; see [`Request::scheme`](crate::Request::scheme) for the one that the client used.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The address of the other end, where the transport has one; a Unix socket has none.
    ///
    /// It is that of the socket whatever any header says. Who the client is says
    /// [`Request::client_address`](crate::Request::client_address).
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// The address of this end, where the transport has one.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.0.local
    }

    /// The connection's value of type `T`, made by `make` where there is none yet.
    ///
    /// It is what a component wants to keep for all requests of a connection. Use a type of your own, so that nobody
    /// else's value is in the same place.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a slot is stored under the identity of its own type"
    )]
    pub fn slot<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let key = TypeId::of::<T>();
        // A panic cannot leave the map half changed, so a poisoned lock is used as it is.
        let found = self
            .0
            .slots
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(&key)
            .cloned();
        let slot = found.unwrap_or_else(|| {
            let made: Slot = Arc::new(make());
            let mut slots = self
                .0
                .slots
                .write()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            slots.entry(key).or_insert(made).clone()
        });
        slot.downcast()
            .expect("a slot is stored under the identity of its own type")
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
