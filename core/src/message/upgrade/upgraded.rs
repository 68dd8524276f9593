//! A connection after an upgrade.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// An upgraded connection, which no longer speaks HTTP: bytes in both directions.
///
/// It implements the traits of `futures-io`, and needs no runtime. `enfilade::TokioStream` adds the traits of tokio.
/// Dropping it closes the connection.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{IntoResponse, Request, Response};
/// use enfilade::http::StatusCode;
///
/// fn echo(request: Request) -> Response {
///     let Some(upgrade) = request.upgrade("echo") else {
///         return (StatusCode::UPGRADE_REQUIRED, [("upgrade", "echo")], "").into_response();
///     };
///     upgrade.respond(async |mut connection| {
///         let mut buffer = [0; 1024];
///         loop {
///             match connection.read(&mut buffer).await? {
///                 0 => return connection.close().await,
///                 count => connection.write_all(&buffer[..count]).await?,
///             }
///             connection.flush().await?;
///         }
///     })
/// }
/// # assert_eq!(echo(Request::get("/")).status(), 426);
/// ```
pub struct Upgraded {
    io: Pin<Box<dyn Duplex>>,
    pub(super) passed: Arc<Passed>,
}

/// The numbers of bytes read and written.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) read: AtomicU64,
    pub(super) written: AtomicU64,
}

impl Upgraded {
    /// Makes one from any byte transport, as gateways and tests do.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Upgraded {
        Upgraded {
            io: Box::pin(io),
            passed: Arc::default(),
        }
    }

    /// Reads received bytes into `buffer`, and returns their number; 0 if the client sends no more.
    ///
    /// It is cancel-safe, in a `select!` for example: dropping it before it is ready loses no byte.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| Pin::new(&mut *self).poll_read(context, buffer)).await
    }

    /// Writes all of `bytes`; they may stay in a buffer until [`flush`](Upgraded::flush).
    ///
    /// If it is dropped before it is ready, part of them may have been written.
    ///
    /// # Errors
    ///
    /// If the connection is broken, or the client does not read within the server's timeout.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = poll_fn(|context| Pin::new(&mut *self).poll_write(context, bytes));
            match write.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => bytes = bytes.get(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Sends all that was written.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| Pin::new(&mut *self).poll_flush(context)).await
    }

    /// Sends all that was written, and ends this direction; data from the client can still be read.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
    pub async fn close(&mut self) -> io::Result<()> {
        poll_fn(|context| Pin::new(&mut *self).poll_close(context)).await
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.io.as_mut().poll_read(context, buffer))?;
        self.passed.read.fetch_add(count as u64, Ordering::Relaxed);
        Poll::Ready(Ok(count))
    }
}

impl Upgraded {
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written {
            let passed = &self.passed.written;
            passed.fetch_add(count as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.io.as_mut().poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.io.as_mut().poll_write_vectored(context, slices);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_close(context)
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upgraded").field(&self.passed).finish()
    }
}
