//! The result of a tree: at once, or later.

use std::fmt;
use std::io;
use std::pin::Pin;

use sync_wrapper::SyncWrapper;

/// The result of a [`FileTree`](crate::FileTree): at once if the tree has it in memory, or a future.
///
/// So a tree in memory, and the entries in a cache, cost no future and no hop to another thread.
#[must_use = "a result that is not awaited or returned is lost"]
pub struct TreeReply<T>(State<T>);

enum State<T> {
    Ready(io::Result<T>),
    Pending(SyncWrapper<TreeFuture<T>>),
}

type TreeFuture<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl<T: Send + 'static> TreeReply<T> {
    /// A result that is ready.
    pub fn new(result: io::Result<T>) -> TreeReply<T> {
        TreeReply(State::Ready(result))
    }

    /// A result that comes later: of a disk, or over a network.
    pub fn from_future(
        future: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> TreeReply<T> {
        TreeReply(State::Pending(SyncWrapper::new(Box::pin(future))))
    }

    /// Waits for the result, unless it is ready.
    ///
    /// # Errors
    ///
    /// Those of the tree.
    pub async fn wait(self) -> io::Result<T> {
        match self.0 {
            State::Ready(result) => result,
            State::Pending(future) => future.into_inner().await,
        }
    }

    /// The result if it is ready, or the reply.
    pub(super) fn into_ready(self) -> Result<io::Result<T>, TreeReply<T>> {
        match self.0 {
            State::Ready(result) => Ok(result),
            State::Pending(_) => Err(self),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for TreeReply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Ready(result) => f.debug_tuple("Ready").field(result).finish(),
            State::Pending(_) => f.write_str("Pending"),
        }
    }
}
