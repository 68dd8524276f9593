//! Reads the body of a request in code that blocks.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use enfilade_core::Body;

/// The body of a request as `Read` and `BufRead`, for code that may block; WSGI's `wsgi.input`.
///
/// It ends with the body. If the client aborts the body, reading fails with `ConnectionAborted`, so that a part is
/// never taken for the whole. It has no limit: limit what you keep, with [`Read::take`] or a
/// [`BodyLimit`](crate::middleware::BodyLimit). Trailers are dropped.
///
/// ```
/// use std::io::Read;
///
/// use enfilade::{Body, BodyReader};
///
/// let mut text = String::new();
/// BodyReader::new(Body::from("roses")).read_to_string(&mut text)?;
/// assert_eq!(text, "roses");
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct BodyReader {
    body: Body,
    current: Bytes,
}

impl BodyReader {
    /// Reads this body.
    ///
    /// Use it in code that may block, such as in [`blocking`](crate::blocking()), and not on an event loop.
    #[must_use]
    pub fn new(body: Body) -> BodyReader {
        BodyReader {
            body,
            current: Bytes::new(),
        }
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match pollster::block_on(self.body.frame()) {
                Some(Ok(frame)) => self.current = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, error));
                }
                None => break,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.fill_buf()?;
        let count = ready.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
