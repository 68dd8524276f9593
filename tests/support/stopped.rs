//! A server whose clock stands still until a test moves it: what takes seconds for the server takes none for the test.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use enfilade::{IntoHandler, Server};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::yield_now;

/// By how much the clock moves at once where a test does not say it.
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
                // A paused clock goes to the next timer when there is nothing to do, but not while something blocks.
                let (is_over, over) = mpsc::channel::<()>();
                let blocking = tokio::task::spawn_blocking(move || over.recv());
                let stopped = async move {
                    while let Some((step, taken)) = wanted.recv().await {
                        settle().await;
                        tokio::time::advance(step).await;
                        settle().await;
                        let _ = taken.send(());
                    }
                    // From here on nobody moves the clock.
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

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Moves the clock, after the server has read what clients have sent, and waits until it has done what is due then.
    pub(crate) fn advance(&self, step: Duration) {
        let (taken, is_taken) = mpsc::channel();
        let steps = self.steps.as_ref().expect("it is there until the drop");
        steps.send((step, taken)).expect("the server runs");
        is_taken.recv().expect("the server runs");
    }

    /// Moves the clock while `wait` waits for something, and tells how far it went.
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

/// Lets all tasks do what they can, and looks at all sockets each time.
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
