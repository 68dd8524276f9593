//! Why the server closes connections.

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum CloseReason {
    /// A head is not whole in time.
    SlowHead,
    /// The first line of a head is too long.
    LongLine,
    /// The target has a fragment.
    Fragment,
    /// Too much of a chunked body is no content.
    Overhead,
    /// There are too many frames that ask for nothing.
    CheapFrames,
    /// Nothing was asked for too long.
    Idle,
    /// The client has reset the connection, or left in the middle of a request.
    Gone,
}
