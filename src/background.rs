//! Runs tasks beside the responses of a server, and lets them finish when it stops.

use std::pin::Pin;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::race::race;

/// The timeout for dropping the tasks that are left.
#[cfg(any(feature = "server", feature = "fastcgi", feature = "scgi"))]
const BREAK_OFF_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Boxed: for each type of future that is spawned, tokio compiles a task of its own.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The server's side. If it is dropped, so are the tasks.
#[derive(Debug)]
pub(crate) struct Background(Arc<watch::Sender<bool>>);

impl Background {
    pub(crate) fn new() -> Background {
        Background(Arc::new(watch::Sender::new(false)))
    }

    /// Returns a spawner for the runtime of the caller.
    pub(crate) fn spawner(&self) -> Spawner {
        let (runtime, is_over) = (Handle::current(), self.0.clone());
        Arc::new(move |task| {
            let mut is_over = is_over.subscribe();
            if *is_over.borrow_and_update() {
                // Otherwise a task that spawns the next one would go on as long as the runtime.
                return;
            }
            let task: Task = Box::pin(async move {
                race(task, is_over.wait_for(|is_over| *is_over)).await;
            });
            runtime.spawn(task);
        })
    }

    /// Waits until no task is left.
    pub(crate) async fn finished(&self) {
        self.0.closed().await;
    }

    #[cfg(any(feature = "server", feature = "fastcgi", feature = "scgi"))]
    /// Drops the tasks that are left.
    ///
    /// A task that blocks cannot be dropped, so the wait for it has a timeout.
    pub(crate) async fn break_off(self) {
        self.0.send_replace(true);
        let _ = tokio::time::timeout(BREAK_OFF_TIMEOUT, self.finished()).await;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Spawns a future on the server's runtime, from any thread.
///
/// The future runs until its end or the server's.
pub(crate) type Spawner = Arc<dyn Fn(Task) + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_end_with_the_server() {
        let background = Background::new();
        let (spawner, is_over) = (background.spawner(), background.0.clone());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        spawner(Box::pin(async { sender.send(1).unwrap() }));
        background.finished().await;
        assert_eq!(receiver.await, Ok(1));
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        spawner(Box::pin(async move {
            let _sender = sender;
            std::future::pending().await
        }));
        // From a thread outside the runtime.
        let other = spawner.clone();
        let thread = std::thread::spawn(move || other(Box::pin(std::future::pending())));
        thread.join().unwrap();
        drop(background);
        assert!(receiver.await.is_err());
        is_over.closed().await;
    }

    /// Each task is polled once before it learns of the end, which is enough to spawn another.
    #[cfg(any(feature = "server", feature = "fastcgi", feature = "scgi"))]
    #[tokio::test(start_paused = true)]
    async fn a_task_that_spawns_itself_anew_ends_with_the_server() {
        fn again(spawner: Spawner) -> Task {
            Box::pin(async move { spawner(again(spawner.clone())) })
        }
        let background = Background::new();
        let (spawner, is_over) = (background.spawner(), background.0.clone());
        spawner(again(spawner.clone()));
        tokio::task::yield_now().await;
        background.break_off().await;
        assert_eq!(is_over.receiver_count(), 0);
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        spawner(Box::pin(async move { drop(sender) }));
        assert!(receiver.await.is_err() && is_over.receiver_count() == 0);
    }
}
