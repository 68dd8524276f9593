//! A real server on the loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use enfilade::{Application, Server};
use tokio::sync::oneshot;

use crate::observed::Log;
use crate::verdict::{Check, Trouble};

/// The timeout for a response to begin or to continue.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A server that runs until this is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// The panics of its thread.
    pub(crate) panics: Log,
    _stop: oneshot::Sender<()>,
}

pub(crate) fn serve(app: Application) -> Check<Running> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let failed = |error: std::io::Error| Trouble::Failed(format!("the server: {error}"));
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel();
    let name = format!("server {}", COUNT.fetch_add(1, Ordering::Relaxed));
    let panics = crate::panics::of_thread(&name);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let run = move || {
        let stopped = async {
            // Dropping the sender stops the server.
            let _ = stopped.await;
        };
        let server = server.shutdown_deadline(Duration::ZERO);
        runtime.block_on(server.serve_until(app, stopped))
    };
    let thread = std::thread::Builder::new().name(name).spawn(run);
    thread.map_err(failed)?;
    Ok(Running {
        address,
        panics,
        _stop: stop,
    })
}
