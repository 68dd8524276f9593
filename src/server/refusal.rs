//! Requests and connections that the server rejects by itself, before any application.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;

/// A request or a connection that the server rejected by itself, so that no application's log has it.
///
/// Its text is one line for a log, without any text from the client:
///
/// ```text
/// 192.0.2.7:4711 refused: 408 Request Timeout (timed out reading the head)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    peer: Option<SocketAddr>,
    status: Option<StatusCode>,
    reason: &'static str,
}

impl Refusal {
    /// The [reason](Refusal::reason) of a connection that was closed while it was idle, to accept another.
    pub const TOO_MANY_FILES: &'static str =
        "closed while idle, because there are too many open files";

    pub(super) fn new(
        peer: Option<SocketAddr>,
        status: Option<StatusCode>,
        reason: &'static str,
    ) -> Refusal {
        Refusal {
            peer,
            status,
            reason,
        }
    }

    /// The address of the peer; `None` on a Unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The status sent to the client; `None` if the connection was closed without a response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The reason, in a few words that are always the same for one cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{peer} refused: ")?,
            None => f.write_str("a local client refused: ")?,
        }
        match self.status {
            Some(status) => write!(f, "{status} ({})", self.reason),
            None => f.write_str(self.reason),
        }
    }
}

type Hook = dyn Fn(&Refusal) + Send + Sync;

/// The hooks that are called for refusals.
#[derive(Clone, Default)]
pub(super) struct RefusalHooks(Vec<Arc<Hook>>);

impl RefusalHooks {
    pub(super) fn add(&mut self, hook: impl Fn(&Refusal) + Send + Sync + 'static) {
        self.0.push(Arc::new(hook));
    }

    pub(super) fn report(&self, refusal: &Refusal) {
        for hook in &self.0 {
            hook(refusal);
        }
    }
}

impl fmt::Debug for RefusalHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusalHooks({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_line() {
        let peer = Some("192.0.2.7:4711".parse().unwrap());
        for (refusal, expected) in [
            (
                Refusal::new(peer, Some(StatusCode::BAD_REQUEST), "no HTTP"),
                "192.0.2.7:4711 refused: 400 Bad Request (no HTTP)",
            ),
            (
                Refusal::new(None, None, "a flood"),
                "a local client refused: a flood",
            ),
        ] {
            assert_eq!(refusal.to_string(), expected);
        }
    }
}
