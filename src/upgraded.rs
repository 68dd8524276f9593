//! Adapts upgraded connections between the traits of tokio and of `futures-io`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use enfilade_core::Upgraded;
use enfilade_core::gateway::Upgradable;
use futures_io::{AsyncRead as FuturesRead, AsyncWrite as FuturesWrite};
use http::Version;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// An [`Upgraded`] connection with tokio's traits, for code that reads and writes through them.
///
/// ```
/// use enfilade::{Request, Response, TokioStream, IntoResponse};
/// use enfilade::http::StatusCode;
/// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
///
/// fn shout(request: Request) -> Response {
///     let Some(upgrade) = request.upgrade("shout") else {
///         return (StatusCode::UPGRADE_REQUIRED, [("upgrade", "shout")], "").into_response();
///     };
///     upgrade.respond(async |connection| {
///         let mut lines = BufReader::new(TokioStream::new(connection));
///         let mut line = String::new();
///         while lines.read_line(&mut line).await? > 0 {
///             lines.write_all(line.to_uppercase().as_bytes()).await?;
///             line.clear();
///         }
///         lines.shutdown().await
///     })
/// }
/// # assert_eq!(shout(Request::get("/")).status(), 426);
/// ```
#[derive(Debug)]
pub struct TokioStream(Upgraded);

impl TokioStream {
    /// Wraps the connection for tokio.
    #[must_use]
    pub fn new(connection: Upgraded) -> TokioStream {
        TokioStream(connection)
    }

    /// Returns the connection.
    #[must_use]
    pub fn into_inner(self) -> Upgraded {
        self.0
    }
}

impl AsyncRead for TokioStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled();
        let count = ready!(Pin::new(&mut self.0).poll_read(context, room))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TokioStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}

/// A stream of tokio, with the traits of `futures-io`.
#[derive(Debug)]
pub(crate) struct FuturesStream<S>(pub(crate) S);

impl<S: AsyncRead + Unpin> FuturesRead for FuturesStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<S: AsyncWrite + Unpin> FuturesWrite for FuturesStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// A connection that returns to its owner when its user drops it.
#[derive(Debug)]
pub(crate) struct Lent<S> {
    stream: Option<S>,
    back: Option<oneshot::Sender<S>>,
}

impl<S> Lent<S> {
    pub(crate) fn new(stream: S) -> (Lent<S>, oneshot::Receiver<S>) {
        let (sender, receiver) = oneshot::channel();
        let lent = Lent {
            stream: Some(stream),
            back: Some(sender),
        };
        (lent, receiver)
    }
}

impl<S: Unpin> Lent<S> {
    fn stream(&mut self) -> Pin<&mut S> {
        Pin::new(
            self.stream
                .as_mut()
                .expect("the stream stays until the drop"),
        )
    }
}

impl<S> Drop for Lent<S> {
    fn drop(&mut self) {
        if let (Some(stream), Some(back)) = (self.stream.take(), self.back.take()) {
            // The receiver may have been dropped.
            let _ = back.send(stream);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(S::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}

/// hyper's part of an upgrade to another protocol that a request asks for.
#[derive(Default)]
pub(crate) struct OfferedUpgrade {
    version: Version,
    #[cfg(feature = "http2")]
    protocol: Option<hyper::ext::Protocol>,
    connection: Option<OnUpgrade>,
}

impl OfferedUpgrade {
    pub(crate) fn of(parts: &mut Parts) -> OfferedUpgrade {
        OfferedUpgrade {
            version: parts.version,
            #[cfg(feature = "http2")]
            protocol: parts.extensions.get().cloned(),
            connection: parts.extensions.remove(),
        }
    }

    pub(crate) fn upgradable(&self) -> Upgradable<'_> {
        #[cfg(feature = "http2")]
        if let (Some(protocol), Version::HTTP_2) = (&self.protocol, self.version) {
            return Upgradable::ExtendedConnect(protocol.as_str());
        }
        match self.connection.is_some() && self.version == Version::HTTP_11 {
            true => Upgradable::Switching,
            false => Upgradable::Never,
        }
    }

    /// Whether it is an extended CONNECT.
    #[cfg(feature = "server")]
    pub(crate) fn is_connect(&self) -> bool {
        matches!(self.upgradable(), Upgradable::ExtendedConnect(_))
    }

    /// Returns the future that is ready when the head is written.
    #[cfg(any(feature = "http2", feature = "tower"))]
    pub(crate) fn into_inner(self) -> Option<OnUpgrade> {
        self.connection
    }
}
