//! Upgrades: an application that goes on with another protocol on the connection of its request.

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

/// What a request may have in its extensions: the protocols that its client offers, on a gateway that can change to one.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) protocols: Arc<[Box<str>]>,
    /// Whether the body that came with the request was read to its end: what is left of one would be read as the other
    /// protocol.
    is_read: Arc<AtomicBool>,
}

impl Offer {
    /// An offer that stands once `body` is read.
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

/// The change of a connection to another protocol, which a client asked for and the gateway can do.
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

    /// The response that changes the connection to the other protocol: `run` gets it once the head of the response is
    /// written.
    ///
    /// It is an ordinary response with the status 101: wrappers see it, log it and may add headers. Its body ends when
    /// the future of `run` ends, so whatever waits for the end of a body (a log, a limit) waits for the end of the
    /// conversation: `Ok` is [`Outcome::Complete`], the error of a client that went away [`Outcome::Dropped`], any other
    /// error [`Outcome::Failed`]. The gateway writes `Connection` and `Upgrade`, or 200 over HTTP/2 (RFC 8441, section
    /// 5).
    ///
    /// The built-in server drops the future when the client resets the connection, so one that waits for other things than
    /// the client does not outlive it. A client that only closes its side may still read.
    ///
    /// A server that stops drops the future at its deadline. What has to say goodbye before waits for
    /// [`Connection::shutting_down`](crate::Connection::shutting_down).
    ///
    /// If a wrapper replaces the response or its status, `run` is not called.
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
