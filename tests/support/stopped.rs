//! A server whose clock stands still until a test moves it: seconds of the server take no time in the test.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use enfilade::{IntoHandler, Server};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::yield_now;

/// The step of the clock, if a test does not set another.
const STEP: Duration = Duration::from_millis(10);

/// A server that runs until it is dropped, by a clock of its own.
pub(crate) struct Stopped {
    address: SocketAddr,
    steps: Option<UnboundedSender<(Duration, mpsc::Sender<()>)>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Stopped {
    /// Serves `app`.
    pub(crate) fn serve<M>(server: Server, app: impl IntoHandler<M>) -> Stopped {
        let app = app.into_application();
        let address = server.local_addr();
        let (steps, mut wanted) = unbounded_channel::<(Duration, mpsc::Sender<()>)>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()?;
            runtime.block_on(async {
                // A paused clock jumps to the next timer when there is nothing to do, but not while a task blocks.
                let (is_over, over) = mpsc::channel::<()>();
                let blocking = tokio::task::spawn_blocking(move || over.recv());
                let stopped = async move {
                    while let Some((step, taken)) = wanted.recv().await {
                        settle().await;
                        tokio::time::advance(step).await;
                        settle().await;
                        let _ = taken.send(());
                    }
                    // From here on only the test moves the clock.
                    drop(is_over);
                    let _ = blocking.await;
                };
                server.serve_until(app, stopped).await
            })
        });
        Stopped {
            address,
            steps: Some(steps),
            thread: Some(thread),
        }
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Moves the clock after the server has read what clients sent, and waits until it has done all that is due then.
    pub(crate) fn advance(&self, step: Duration) {
        let (taken, is_taken) = mpsc::channel();
        let steps = self.steps.as_ref().expect("it is there until the drop");
        steps.send((step, taken)).expect("the server runs");
        is_taken.recv().expect("the server runs");
    }

    /// Moves the clock while `wait` waits for something, and returns the time.
    pub(crate) fn advance_while<T: Send>(&self, wait: impl FnOnce() -> T + Send) -> (T, Duration) {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(wait);
            let mut gone = Duration::ZERO;
            while !waiting.is_finished() {
                self.advance(STEP);
                gone += STEP;
            }
            let waited = waiting.join();
            (
                waited.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                gone,
            )
        })
    }
}

/// Lets all tasks run until they wait, and polls all sockets each time.
async fn settle() {
    for _ in 0..32 {
        yield_now().await;
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.steps.take());
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !std::thread::panicking() {
                result.unwrap().unwrap();
            }
        }
    }
}
