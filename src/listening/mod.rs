//! The common parts of all servers: listeners, sockets, and signals.

mod listener;
mod signals;
mod socket;
#[cfg(any(feature = "fastcgi", feature = "scgi"))]
pub(crate) mod web_server;

use std::time::Duration;

pub use self::listener::Listener;
pub(crate) use self::signals::{Hooks, Signals};
#[cfg(feature = "server")]
pub(crate) use self::socket::Watch;
pub(crate) use self::socket::{Accepting, Socket, pause_after};

/// How long requests in flight may take to finish once a server is stopped.
pub(crate) const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(30);
/// How long dropping the aborted requests may take.
pub(crate) const ABORT_TIMEOUT: Duration = Duration::from_secs(1);
