//! Waiting, whatever runtime there is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Makes a future that is ready after so long.
pub(crate) type Sleep = Arc<dyn Fn(Duration) -> Sleeping + Send + Sync>;

/// A future that is ready when it is time.
pub(crate) type Sleeping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The system's time, kept by a thread for all, so that no runtime is needed.
pub(crate) fn system() -> Sleep {
    Arc::new(|duration| Box::pin(futures_timer::Delay::new(duration)))
}

/// As an option: any runtime's sleep, or one that a test decides.
pub(crate) fn of<F>(sleep: impl Fn(Duration) -> F + Send + Sync + 'static) -> Sleep
where
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |duration| Box::pin(sleep(duration)))
}

/// The output of `future`, or nothing where it is not there in time; it is dropped with this.
pub(crate) async fn timeout<F: Future + Unpin>(
    mut sleeping: Sleeping,
    mut future: F,
) -> Option<F::Output> {
    std::future::poll_fn(|context: &mut Context<'_>| {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(context) {
            return Poll::Ready(Some(output));
        }
        sleeping.as_mut().poll(context).map(|()| None)
    })
    .await
}
