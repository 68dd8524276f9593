//! How request bodies without a length reach the application: those in chunks, and some of HTTP/2.
//!
//! PEP 3333 has no way to read them: an application reads `CONTENT_LENGTH` bytes, and takes a missing one for 0. So Bottle
//! and Django see an empty body. Received first, the body has a length, and each framework works.

/// The default limit of a body without a length, in bytes; waitress has the same for each body.
pub(crate) const LIMIT: u64 = 1024 * 1024 * 1024;

/// How bodies without a length reach the application.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ChunkedBodies {
    /// They are received first, up to a limit in bytes, and have a length then.
    Received { limit: u64 },
    /// The application reads them as they come, to the end of `wsgi.input` (`wsgi.input_terminated`).
    Streamed,
}

impl Default for ChunkedBodies {
    fn default() -> ChunkedBodies {
        ChunkedBodies::Received { limit: LIMIT }
    }
}
