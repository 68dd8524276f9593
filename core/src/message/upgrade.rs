//! Upgrades: an application that goes on with another protocol on the connection of its request.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use http::StatusCode;
use sync_wrapper::SyncWrapper;

use crate::message::body::Body;
use crate::message::body::end::{Outcome, Watch};
use crate::message::error::BodyError;
use crate::message::response::Response;
use crate::message::unwind::{Panic, drop_quietly};

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
        let run: Run = Box::new(move |upgraded| Box::pin(run(upgraded)));
        let mut response = Response::new(Body::from(UpgradeTask {
            protocol: self.protocol,
            run: SyncWrapper::new(run),
            watch: Watch::none(),
        }));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
    }
}

type Conversation = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;
type Run = Box<dyn FnOnce(Upgraded) -> Conversation + Send>;

trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// A connection that has left HTTP: bytes both ways.
///
/// It has the traits of `futures-io`, and needs no runtime; `enfilade::TokioStream` gives it those of tokio. Dropping it
/// closes the connection.
///
/// ```
/// use enfilade_core::{Request, Response};
/// use http::StatusCode;
///
/// # use enfilade_core::IntoResponse;
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
    passed: Arc<Passed>,
}

/// How many bytes were read and written.
#[derive(Debug, Default)]
struct Passed {
    read: AtomicU64,
    written: AtomicU64,
}

impl Upgraded {
    /// A connection over whatever carries bytes, as gateways and tests make it.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Upgraded {
        Upgraded {
            io: Box::pin(io),
            passed: Arc::default(),
        }
    }

    /// Reads what came into `buffer`, and returns how many bytes that is; 0 if the client sends no more.
    ///
    /// It can be dropped before it is ready, in a `select!` say: no byte is lost.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| Pin::new(&mut *self).poll_read(context, buffer)).await
    }

    /// Writes all of `bytes`. They may wait in a buffer until [`flush`](Upgraded::flush).
    ///
    /// If it is dropped before it is ready, a part of them may be written.
    ///
    /// # Errors
    ///
    /// If the connection is broken, or the client does not read for longer than the server waits.
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

    /// Sends what was written.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| Pin::new(&mut *self).poll_flush(context)).await
    }

    /// Sends what was written, and says that nothing follows. What the client still sends can be read.
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

/// What an application does with a connection that leaves HTTP: the body of the response that [`Upgrade::respond`] makes.
///
/// A gateway takes it with [`Body::take_upgrade`], writes the head, and [runs](UpgradeTask::run) it. If it is dropped,
/// the end of the body is reported as [`Outcome::Dropped`].
pub struct UpgradeTask {
    protocol: Box<str>,
    run: SyncWrapper<Run>,
    pub(in crate::message) watch: Watch,
}

impl UpgradeTask {
    /// The protocol.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Hands the connection to the application, and lasts as long as that needs it.
    ///
    /// The end is reported before the future is ready; a future that is dropped before reports that it was dropped.
    pub fn run(mut self, io: impl AsyncRead + AsyncWrite + Send + 'static) -> UpgradeFuture {
        let upgraded = Upgraded::new(io);
        let passed = upgraded.passed.clone();
        let run = std::mem::replace(&mut self.run, SyncWrapper::new(Box::new(ended)));
        UpgradeFuture {
            state: State::Beginning(run, upgraded),
            passed,
            watch: std::mem::replace(&mut self.watch, Watch::none()),
        }
    }
}

fn ended(_: Upgraded) -> Conversation {
    Box::pin(std::future::ready(Ok(())))
}

impl Drop for UpgradeTask {
    fn drop(&mut self) {
        if !self.watch.is_done() {
            let run = std::mem::replace(&mut self.run, SyncWrapper::new(Box::new(ended)));
            drop_quietly(run);
            self.watch.end(Outcome::Dropped);
        }
    }
}

impl fmt::Debug for UpgradeTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpgradeTask").field(&self.protocol).finish()
    }
}

/// The future that [`UpgradeTask::run`] returns.
///
/// It has an error if the application's part ended with one, of the kind
/// [`Panicked`](crate::BodyErrorKind::Panicked) if it panicked.
#[must_use = "nothing happens until it is awaited"]
pub struct UpgradeFuture {
    state: State,
    passed: Arc<Passed>,
    watch: Watch,
}

enum State {
    Beginning(SyncWrapper<Run>, Upgraded),
    Running(SyncWrapper<Conversation>),
    Ended,
}

impl UpgradeFuture {
    fn end(&mut self, outcome: Outcome) {
        // The application's part is gone, and the connection with it, before anybody hears of the end.
        drop_quietly(std::mem::replace(&mut self.state, State::Ended));
        let (read, written) = (&self.passed.read, &self.passed.written);
        self.watch.passed(
            read.load(Ordering::Relaxed),
            written.load(Ordering::Relaxed),
        );
        self.watch.end(outcome);
    }
}

impl Future for UpgradeFuture {
    type Output = Result<(), BodyError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Beginning(..) = &self.state
            && let State::Beginning(run, upgraded) =
                std::mem::replace(&mut self.state, State::Ended)
        {
            match Panic::catch(|| run.into_inner()(upgraded)) {
                Ok(running) => self.state = State::Running(SyncWrapper::new(running)),
                Err(panic) => {
                    self.end(Outcome::Failed);
                    return Poll::Ready(Err(BodyError::panicked(panic)));
                }
            }
        }
        let State::Running(running) = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let ended = match Panic::catch(|| running.get_mut().as_mut().poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(ended)) => {
                ended.map_err(|error| (outcome_of(&error), BodyError::new(error)))
            }
            Err(panic) => Err((Outcome::Failed, BodyError::panicked(panic))),
        };
        let outcome = ended
            .as_ref()
            .map_or_else(|(outcome, _)| *outcome, |()| Outcome::Complete);
        self.end(outcome);
        Poll::Ready(ended.map_err(|(_, error)| error))
    }
}

/// A client that is gone is no failure of the application.
fn outcome_of(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => Outcome::Dropped,
        _ => Outcome::Failed,
    }
}

impl Drop for UpgradeFuture {
    fn drop(&mut self) {
        if !matches!(self.state, State::Ended) {
            self.end(Outcome::Dropped);
        }
    }
}

impl fmt::Debug for UpgradeFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpgradeFuture").field(&self.passed).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::Waker;

    use super::*;
    use crate::message::body::BodyEnd;
    use crate::message::error::BodyErrorKind;

    /// Reads a few bytes, and then the end; takes all that is written, two bytes at a time.
    struct Peer(io::Cursor<&'static [u8]>);

    impl AsyncRead for Peer {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(io::Read::read(&mut self.0, buffer))
        }
    }

    impl AsyncWrite for Peer {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len().min(2)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }
    }

    fn peer() -> Peer {
        Peer(io::Cursor::new(b"Hello"))
    }

    /// The task of an upgrade, and its end.
    fn task<F>(
        run: impl FnOnce(Upgraded) -> F + Send + 'static,
    ) -> (UpgradeTask, mpsc::Receiver<BodyEnd>)
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let (sender, ends) = mpsc::channel();
        let mut response = Upgrade::new("x")
            .respond(run)
            .map(|body| body.on_end(move |end| sender.send(end).unwrap()));
        assert!(response.body().known_length().is_none() && !response.body().is_finished());
        let task = response.body_mut().take_upgrade().unwrap();
        drop(response);
        assert!(ends.try_recv().is_err());
        (task, ends)
    }

    async fn read(mut connection: Upgraded) -> io::Result<()> {
        let mut buffer = [0; 3];
        assert_eq!(connection.read(&mut buffer).await?, 3);
        connection.write_all(b"Hi, ").await?;
        assert_eq!(connection.read(&mut buffer).await?, 2);
        connection.write_all(b"Bob").await?;
        assert_eq!(connection.read(&mut buffer).await?, 0);
        connection.flush().await
    }

    #[test]
    fn the_end_says_how_much_passed_and_how_it_went() {
        let end = |ended: Result<(), BodyErrorKind>, run: fn(Upgraded) -> Conversation| {
            let (task, ends) = task(run);
            let found = pollster::block_on(task.run(peer()));
            assert_eq!(found.map_err(|error| error.kind()), ended);
            let end = ends.recv().unwrap();
            (end.received(), end.bytes(), end.outcome())
        };
        let failed = Err(BodyErrorKind::Failed);
        assert_eq!(
            end(Ok(()), |io| Box::pin(read(io))),
            (5, 7, Outcome::Complete)
        );
        let gone = end(failed, |mut io| Box::pin(async move { io.close().await }));
        assert_eq!(gone, (0, 0, Outcome::Dropped));
        let other = end(failed, |_| {
            Box::pin(async { Err(io::Error::other("other")) })
        });
        assert_eq!(other, (0, 0, Outcome::Failed));
        let panicked = Err(BodyErrorKind::Panicked);
        let later = end(panicked, |_| Box::pin(async { panic!("boom") }));
        assert_eq!(later.2, Outcome::Failed);
        assert_eq!(end(panicked, |_| panic!("boom")).2, Outcome::Failed);
    }

    #[test]
    fn what_is_dropped_says_so_once_the_application_is_gone() {
        let (dropped, drops) = mpsc::channel();
        let (unused, ends) = task(async |_: Upgraded| Ok(()));
        drop(unused);
        assert_eq!(ends.recv().unwrap().outcome(), Outcome::Dropped);
        let (begun, ends) = task(async move |_: Upgraded| {
            let _dropped = dropped;
            std::future::pending().await
        });
        let mut running = begun.run(peer());
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut running).poll(&mut context).is_pending());
        drop(running);
        assert_eq!(
            drops.try_recv(),
            Err::<(), _>(mpsc::TryRecvError::Disconnected)
        );
        assert_eq!(ends.recv().unwrap().outcome(), Outcome::Dropped);
        assert!(ends.recv().is_err());
    }

    #[test]
    fn as_content_it_fails() {
        let response = Upgrade::new("x").respond(async |_: Upgraded| Ok(()));
        let body = response.into_body().with_trailers(http::HeaderMap::new());
        assert!(body.is_upgrade() && !body.is_in_memory());
        assert!(pollster::block_on(body.collect(10)).is_err());
    }
}
