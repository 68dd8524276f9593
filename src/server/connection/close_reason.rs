//! Why the server closes connections.

use http::StatusCode;

/// The reason why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// A head is not complete in time.
    SlowHead,
    /// The first line of a head is too long.
    LongLine,
    /// The target has a fragment.
    Fragment,
    /// A chunked body has too much overhead for its content.
    Overhead,
    /// The client sends too many frames that request nothing.
    CheapFrames,
    /// There was no request for too long.
    Idle,
    /// The client has reset the connection, or disconnected in the middle of a request.
    Gone,
}

impl CloseReason {
    /// The status sent to a client whose connection is over, if any.
    ///
    /// Its head was too slow (RFC 9110, section 15.5.9), its target too long (section 15.5.15) or invalid.
    #[must_use]
    pub fn status(self) -> Option<StatusCode> {
        match self {
            CloseReason::SlowHead => Some(StatusCode::REQUEST_TIMEOUT),
            CloseReason::LongLine => Some(StatusCode::URI_TOO_LONG),
            CloseReason::Fragment => Some(StatusCode::BAD_REQUEST),
            CloseReason::Overhead
            | CloseReason::CheapFrames
            | CloseReason::Idle
            | CloseReason::Gone => None,
        }
    }
}
