//! Why the server closes connections.

/// The reason why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum CloseReason {
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
