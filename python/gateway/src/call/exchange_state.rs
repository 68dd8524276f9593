//! How far the response of a call is.

use std::sync::Arc;

use bytes::Bytes;
use enfilade::{Body, Response};
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::call::blocks::{BlockStream, Progress};
use crate::call::head::ResponseHead;

pub(super) enum ExchangeState {
    /// Nothing was sent. `start_response` may have been called.
    Waiting {
        head: Option<ResponseHead>,
        respond: oneshot::Sender<Response>,
    },
    /// The head was sent, and blocks follow.
    ///
    /// `left` of the bytes that `Content-Length` announced are not sent yet.
    Streaming {
        blocks: mpsc::UnboundedSender<Bytes>,
        progress: Arc<Progress>,
        left: Option<u64>,
    },
    /// The response is pulled: written bytes are kept until the next pull.
    Pulled {
        head: Option<ResponseHead>,
        written: Vec<Bytes>,
        is_sent: bool,
    },
    /// The whole response was sent, or the client does not read it any more.
    Over,
}

impl ExchangeState {
    /// Returns an error if there is no head.
    pub(super) fn check_started(&self) -> PyResult<()> {
        match self {
            ExchangeState::Waiting { head: None, .. }
            | ExchangeState::Pulled {
                head: None,
                is_sent: false,
                ..
            } => Err(not_started()),
            _ => Ok(()),
        }
    }

    /// Sends the head if it was not sent yet, with a body that follows.
    pub(super) fn begin_streaming(&mut self) -> PyResult<()> {
        self.check_started()?;
        match std::mem::replace(self, ExchangeState::Over) {
            ExchangeState::Waiting {
                head: Some(head),
                respond,
            } => {
                let (blocks, receiver) = mpsc::unbounded_channel();
                let (progress, left) = (Arc::new(Progress::new()), head.length);
                let body = Body::new(BlockStream::new(receiver, progress.clone()));
                // If the client has disconnected, sending the first block fails.
                let _ = respond.send(head.into_response(body));
                *self = ExchangeState::Streaming {
                    blocks,
                    progress,
                    left,
                };
            }
            other => *self = other,
        }
        Ok(())
    }
}

pub(super) fn not_started() -> PyErr {
    PyAssertionError::new_err("start_response was not called before the first byte")
}
