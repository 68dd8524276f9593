//! The signals that stop a server, and SIGHUP.

use std::fmt;
use std::io;
use std::sync::Arc;

#[cfg(unix)]
use crate::race::{First, race};

/// The hooks for SIGHUP, which tells a server to reopen its files.
#[derive(Clone, Default)]
pub(crate) struct Hooks(Vec<Arc<dyn Fn() + Send + Sync>>);

impl Hooks {
    #[cfg(feature = "server")]
    pub(crate) fn add(&mut self, hook: impl Fn() + Send + Sync + 'static) {
        self.0.push(Arc::new(hook));
    }

    /// Calls all of them on a thread that may block; a panic ends only its own hook.
    #[cfg(unix)]
    fn call(&self) {
        for hook in &self.0 {
            let hook = hook.clone();
            drop(tokio::task::spawn_blocking(move || hook()));
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooks", self.0.len())
    }
}

/// Ctrl-C, SIGTERM if the system has it, and SIGHUP if there are hooks.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: Option<(tokio::signal::unix::Signal, Hooks)>,
}

#[cfg(unix)]
impl Signals {
    /// Starts to watch; from now on the signals do not end the process by themselves.
    pub(crate) fn watch(hooks: Hooks) -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = match hooks.0.is_empty() {
            true => None,
            false => Some((signal(SignalKind::hangup())?, hooks)),
        };
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    /// Waits for the next signal that stops the server, and calls the hooks on SIGHUP.
    pub(crate) async fn next(&mut self) {
        loop {
            let stops = race(self.interrupt.recv(), self.terminate.recv());
            if let First::Left(_) = race(stops, hung_up(&mut self.hangup)).await {
                return;
            }
        }
    }
}

#[cfg(unix)]
async fn hung_up(hangup: &mut Option<(tokio::signal::unix::Signal, Hooks)>) {
    match hangup {
        Some((signal, hooks)) => match signal.recv().await {
            Some(()) => hooks.call(),
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

#[cfg(not(unix))]
impl Signals {
    /// Watches from the first wait on.
    pub(crate) fn watch(_: Hooks) -> io::Result<Signals> {
        Ok(Signals {})
    }

    /// Waits for Ctrl-C; forever if it cannot be watched.
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
