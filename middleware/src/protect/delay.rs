//! Timers that work with any runtime.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The sleep function of an option; by default one thread serves all timers, so that no runtime is needed.
#[derive(Clone, Default)]
pub(crate) struct Sleep(Option<Arc<dyn Fn(Duration) -> Sleeping + Send + Sync>>);

/// A future that completes after the time.
pub(crate) type Sleeping = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Sleep {
    /// Uses any runtime's sleep, or one that a test controls.
    pub(crate) fn new<F>(sleep: impl Fn(Duration) -> F + Send + Sync + 'static) -> Sleep
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Sleep(Some(Arc::new(move |duration| Box::pin(sleep(duration)))))
    }

    pub(crate) fn start(&self, duration: Duration) -> Sleeping {
        match &self.0 {
            Some(sleep) => sleep(duration),
            None => Box::pin(futures_timer::Delay::new(duration)),
        }
    }

    /// Returns the output of `future`, or `None` if it is late; dropping this drops the future.
    pub(crate) fn timeout<F: Future + Unpin>(
        &self,
        duration: Duration,
        mut future: F,
    ) -> impl Future<Output = Option<F::Output>> + use<F> {
        let mut sleeping = self.start(duration);
        std::future::poll_fn(move |context: &mut Context<'_>| {
            if let Poll::Ready(output) = Pin::new(&mut future).poll(context) {
                return Poll::Ready(Some(output));
            }
            sleeping.as_mut().poll(context).map(|()| None)
        })
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sleep")
    }
}
