//! The task that takes over an upgraded connection.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use sync_wrapper::SyncWrapper;

use crate::message::body::end::{Outcome, Watch};
use crate::message::error::BodyError;
use crate::message::unwind::{Panic, drop_quietly};
use crate::message::upgrade::upgraded::{Passed, Upgraded};

pub(super) type Conversation = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;
type Run = Box<dyn FnOnce(Upgraded) -> Conversation + Send>;

/// The task that takes over an upgraded connection.
///
/// It is the body of the response of [`Upgrade::respond`](crate::Upgrade::respond). A gateway takes it with
/// [`Body::take_upgrade`](crate::Body::take_upgrade), writes the head, and [runs](UpgradeTask::run) it. If it is
/// dropped, the end of the body is reported as [`Outcome::Dropped`].
pub struct UpgradeTask {
    protocol: Box<str>,
    run: SyncWrapper<Run>,
    pub(in crate::message) watch: Watch,
}

impl UpgradeTask {
    pub(super) fn new<F>(
        protocol: Box<str>,
        run: impl FnOnce(Upgraded) -> F + Send + 'static,
    ) -> UpgradeTask
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let run: Run = Box::new(move |upgraded| Box::pin(run(upgraded)));
        UpgradeTask {
            protocol,
            run: SyncWrapper::new(run),
            watch: Watch::none(),
        }
    }

    /// The protocol.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Passes the connection to the application, and completes when the application is done with it.
    ///
    /// The end is reported before the future is ready. A future that is dropped earlier reports that it was dropped.
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

/// The future of [`UpgradeTask::run`].
///
/// It returns an error if the application's part ended with one. The kind is
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
        // Drop the application's part, and the connection with it, before the end is reported.
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

/// A client that disconnected is not a failure of the application.
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
