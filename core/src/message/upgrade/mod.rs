//! Upgrades: an application continues with another protocol on the connection of its request.

pub(crate) mod task;
pub(crate) mod upgraded;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;

use crate::message::body::Body;
use crate::message::body::end::Outcome;
use crate::message::response::Response;
use crate::message::upgrade::task::UpgradeTask;
use crate::message::upgrade::upgraded::Upgraded;

/// A request extension: the protocols that its client offers, on a gateway that can change to one.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) protocols: Arc<[Box<str>]>,
    /// Whether the body of the request was read to its end: the rest of it would be read as the other protocol.
    is_read: Arc<AtomicBool>,
}

impl Offer {
    /// An offer that is valid once `body` is read.
    pub(crate) fn behind(body: &mut Body, protocols: Arc<[Box<str>]>) -> Offer {
        let is_read = Arc::new(AtomicBool::new(body.is_finished()));
        if !body.is_finished() {
            let is_complete = is_read.clone();
            *body = std::mem::take(body).on_end(move |end| {
                is_complete.store(end.outcome() == Outcome::Complete, Ordering::Release);
            });
        }
        Offer { protocols, is_read }
    }

    pub(crate) fn is_body_read(&self) -> bool {
        self.is_read.load(Ordering::Acquire)
    }
}

/// A change of the connection to another protocol, which client and gateway support.
///
/// [`Request::upgrade`](crate::Request::upgrade) returns it, and [`respond`](Upgrade::respond) makes the response.
#[must_use = "nothing changes until `respond` makes the response"]
#[derive(Debug)]
pub struct Upgrade {
    protocol: Box<str>,
}

impl Upgrade {
    pub(crate) fn new(protocol: &str) -> Upgrade {
        Upgrade {
            protocol: protocol.into(),
        }
    }

    /// The protocol, as the client writes it.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// A response that changes the connection to the other protocol, and calls `run` with the connection.
    ///
    /// `run` is called once the head of the response is written. If a wrapper replaces the response or its status,
    /// `run` is not called.
    ///
    /// The response is an ordinary one with the status 101: wrappers see it, log it and may add headers. The gateway
    /// writes `Connection` and `Upgrade`, or 200 over HTTP/2 (RFC 8441, section 5).
    ///
    /// Its body ends when the future of `run` ends, so components that wait for the end of a body (a log, a limit) wait
    /// for the end of the conversation. `Ok` is reported as [`Outcome::Complete`], an error because the client
    /// disconnected as [`Outcome::Dropped`], any other error as [`Outcome::Failed`].
    ///
    /// The built-in server drops the future when the client resets the connection, so a future that waits for something
    /// else does not outlive the client. A client that only closes its sending side may still read.
    ///
    /// A server that stops drops the future at its deadline. To send a last message before, wait for
    /// [`Connection::shutting_down`](crate::Connection::shutting_down).
    pub fn respond<F>(self, run: impl FnOnce(Upgraded) -> F + Send + 'static) -> Response
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let task = UpgradeTask::new(self.protocol, run);
        let mut response = Response::new(Body::from(task));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
    }
}

#[cfg(test)]
mod tests;
