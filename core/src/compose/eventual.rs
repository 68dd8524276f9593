//! Values that are there, or come later.

use std::fmt;
use std::pin::Pin;

use sync_wrapper::SyncWrapper;

/// A value that is there at once, or a future of it.
///
/// For traits whose implementations may be in memory or behind a network, such as trees of files and stores: what is in
/// memory costs no future.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::Eventual;
///
/// let now = Eventual::new(3);
/// let later = Eventual::from_future(async { 4 });
/// # pollster::block_on(async {
/// assert_eq!(now.wait().await + later.wait().await, 7);
/// # });
/// assert_eq!(Eventual::new(3).try_into_ready().ok(), Some(3));
/// ```
#[must_use = "a value that is not awaited or returned is lost"]
pub struct Eventual<T>(State<T>);

enum State<T> {
    Ready(T),
    Pending(SyncWrapper<Pending<T>>),
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T> Eventual<T> {
    /// A value that is there.
    pub fn new(value: T) -> Eventual<T> {
        Eventual(State::Ready(value))
    }

    /// A value that comes later: from a disk, or over a network.
    pub fn from_future(future: impl Future<Output = T> + Send + 'static) -> Eventual<T> {
        Eventual(State::Pending(SyncWrapper::new(Box::pin(future))))
    }

    /// Waits for the value, unless it is there.
    pub async fn wait(self) -> T {
        match self.0 {
            State::Ready(value) => value,
            State::Pending(future) => future.into_inner().await,
        }
    }

    /// The value if it is there.
    ///
    /// # Errors
    ///
    /// Returns this if the value is not there yet.
    pub fn try_into_ready(self) -> Result<T, Eventual<T>> {
        match self.0 {
            State::Ready(value) => Ok(value),
            State::Pending(_) => Err(self),
        }
    }

    /// Changes the value, at once or when it comes.
    pub fn map<U>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Eventual<U>
    where
        T: Send + 'static,
    {
        match self.0 {
            State::Ready(value) => Eventual::new(change(value)),
            State::Pending(future) => {
                Eventual::from_future(async move { change(future.into_inner().await) })
            }
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Eventual<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Ready(value) => f.debug_tuple("Ready").field(value).finish(),
            State::Pending(_) => f.write_str("Pending"),
        }
    }
}
