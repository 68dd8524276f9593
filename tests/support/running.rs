//! A server on a thread of this process.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use enfilade::{IntoHandler, Server};
use tokio::sync::oneshot;

/// A server that runs until it is dropped.
pub(crate) struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Running {
    /// Serves `app`.
    pub(crate) fn serve<M>(server: Server, app: impl IntoHandler<M>) -> Running {
        let app = app.into_application();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(server.serve_until(app, async {
                let _ = stopped.await;
            }))
        });
        Running {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it to stop, and does not wait.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !std::thread::panicking() {
                result.unwrap().unwrap();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        self.join();
    }
}
