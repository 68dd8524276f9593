//! The client's end of an upgraded connection.

use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use enfilade_core::{BodyError, UpgradeFuture, UpgradeTask, Upgraded, unpoisoned};
use futures_io::{AsyncRead, AsyncWrite};

use crate::client::pipe::Pipe;

/// A client's end, which polls the application's end on each read or write: no runtime or thread runs it.
struct ClientEnd {
    pipe: Pipe,
    // The application's future need not be `Sync`.
    application: Mutex<Option<UpgradeFuture>>,
}

/// Connects a client's end to an application that runs this task.
pub(super) fn connect(task: UpgradeTask) -> Upgraded {
    let (near, far) = Pipe::new();
    Upgraded::new(ClientEnd {
        pipe: near,
        application: Mutex::new(Some(task.run(far))),
    })
}

impl ClientEnd {
    /// Runs the application as far as possible, and fails with its panic.
    fn run(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let mut application = unpoisoned(self.application.lock());
        let Some(future) = application.as_mut() else {
            return Ok(());
        };
        match Pin::new(future).poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(ended) => {
                *application = None;
                ended.map_err(|error: BodyError| io::Error::other(error))
            }
        }
    }
}

impl AsyncRead for ClientEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.run(context)?;
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientEnd {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.run(context)?;
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.run(context)?;
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.pipe).poll_close(context);
        // The application sees the end.
        self.run(context)?;
        closed
    }
}
