//! One call of an application: what it started, and how much of its response was sent.

use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use enfilade::{Body, Outcome, Response, unpoisoned};
use http::StatusCode;
use pyo3::exceptions::{PyAssertionError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tokio::sync::oneshot;

use crate::call::blocks::{Blocks, block, body_of, cut, transmit};
use crate::call::exchange_state::{ExchangeState, not_started};
use crate::call::head::ResponseHead;
use crate::call::report::report;
use crate::run::process::Process;

/// The state that a call shares with its `start_response` and `write`.
///
/// This object is `write`, and has the other.
///
/// The lock is never held during a wait: another Python thread would hold the interpreter while it waits for the lock.
#[pyclass(frozen, module = "enfilade._native", name = "write")]
pub(crate) struct Exchange {
    state: Mutex<ExchangeState>,
    is_head: bool,
    process: Process,
}

/// The result of sending bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    Taken,
    /// There were more bytes than `Content-Length` announced; the surplus was cut off.
    TooMany,
    /// The client does not read them any more.
    Gone,
}

#[pymethods]
impl Exchange {
    /// Begins the response. May be called again with `exc_info` as long as nothing was sent.
    #[pyo3(signature = (status, headers, exc_info = None, /))]
    fn start_response<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyAny>,
        headers: &Bound<'py, PyAny>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        slf.get().start(status, headers, exc_info)?;
        Ok(slf.clone())
    }

    /// Sends bytes at once, before those of the iterable.
    #[pyo3(signature = (data, /))]
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.send(py, block(data)?)? {
            SendOutcome::TooMany => Err(PyAssertionError::new_err(
                "write was called with more bytes than Content-Length says",
            )),
            SendOutcome::Taken | SendOutcome::Gone => Ok(()),
        }
    }
}

impl Exchange {
    /// Returns a call that has not begun, whose response is sent to `respond`.
    pub(crate) fn new(is_head: bool, respond: oneshot::Sender<Response>) -> Exchange {
        let head = None;
        Exchange {
            state: Mutex::new(ExchangeState::Waiting { head, respond }),
            is_head,
            process: Process::current(),
        }
    }

    /// Returns a call whose response is pulled.
    pub(crate) fn pulled(is_head: bool) -> Exchange {
        let state = ExchangeState::Pulled {
            head: None,
            written: Vec::new(),
            is_sent: false,
        };
        Exchange {
            state: Mutex::new(state),
            is_head,
            process: Process::current(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ExchangeState> {
        unpoisoned(self.state.lock())
    }

    fn start(
        &self,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let exc_info = exc_info.filter(|info| !info.is_none());
        if let Some(info) = exc_info.filter(|_| self.is_begun()) {
            return Err(raised(info)?);
        }
        let new = ResponseHead::parse(status, headers)?;
        match &mut *self.lock() {
            ExchangeState::Waiting { head, .. }
            | ExchangeState::Pulled {
                head,
                is_sent: false,
                ..
            } if exc_info.is_some() || head.is_none() => {
                *head = Some(new);
                Ok(())
            }
            ExchangeState::Over => Err(PyAssertionError::new_err("the request is over")),
            _ => Err(PyAssertionError::new_err(
                "start_response was called twice: pass exc_info after an error",
            )),
        }
    }

    /// Whether a part of the response was sent.
    fn is_begun(&self) -> bool {
        match &*self.lock() {
            ExchangeState::Waiting { .. } => false,
            ExchangeState::Pulled { is_sent, .. } => *is_sent,
            ExchangeState::Streaming { .. } | ExchangeState::Over => true,
        }
    }

    /// Whether this many bytes are the whole body, by `Content-Length`, and nothing was sent before them.
    pub(crate) fn is_whole(&self, length: usize) -> bool {
        match &*self.lock() {
            ExchangeState::Waiting { head, .. } => head
                .as_ref()
                .and_then(|head| head.length)
                .is_some_and(|announced| length as u64 >= announced),
            _ => false,
        }
    }

    /// Whether the head is here and nothing was sent, so that the response can still be sent at once.
    pub(crate) fn may_be_whole(&self) -> bool {
        matches!(&*self.lock(), ExchangeState::Waiting { head: Some(_), .. })
    }

    /// Sends bytes, and before the first of them the head. More bytes may follow.
    pub(crate) fn send(&self, py: Python<'_>, bytes: Bytes) -> PyResult<SendOutcome> {
        self.process.check()?;
        let (blocks, progress, bytes, is_whole, is_last) = {
            let mut state = self.lock();
            if let ExchangeState::Pulled {
                head,
                written,
                is_sent,
            } = &mut *state
                && (head.is_some() || *is_sent)
            {
                let before = written.iter().map(|block| block.len() as u64).sum::<u64>();
                let announced = head.as_ref().and_then(|head| head.length);
                let is_too_much = announced.is_some_and(|most| before + bytes.len() as u64 > most);
                written.push(bytes);
                return Ok(if is_too_much {
                    SendOutcome::TooMany
                } else {
                    SendOutcome::Taken
                });
            }
            if bytes.is_empty() {
                return state.check_started().map(|()| SendOutcome::Taken);
            }
            state.begin_streaming()?;
            let ExchangeState::Streaming {
                blocks,
                progress,
                left,
            } = &mut *state
            else {
                return Ok(SendOutcome::Gone);
            };
            let (bytes, is_whole) = cut(bytes, left);
            (
                blocks.clone(),
                progress.clone(),
                bytes,
                is_whole,
                *left == Some(0),
            )
        };
        // A client that has all announced bytes may stop reading: it counts as served.
        if !bytes.is_empty() && !transmit(py, &blocks, &progress, bytes)? && !is_last {
            *self.lock() = ExchangeState::Over;
            return Ok(SendOutcome::Gone);
        }
        Ok(if is_whole {
            SendOutcome::Taken
        } else {
            SendOutcome::TooMany
        })
    }

    /// Sends the whole response at once. Returns `Gone` if there is no head, or if it was sent before.
    pub(crate) fn send_whole(&self, mut blocks: Blocks) -> PyResult<SendOutcome> {
        self.process.check()?;
        let mut state = self.lock();
        let ExchangeState::Waiting {
            head: Some(head), ..
        } = &mut *state
        else {
            return Ok(SendOutcome::Gone);
        };
        let length = blocks.iter().map(|block| block.len() as u64).sum::<u64>();
        let announced = head.length.unwrap_or(length);
        if length < announced && has_body(self.is_head, head.status) {
            return Err(too_short());
        }
        let mut left = Some(announced);
        for block in &mut blocks {
            *block = cut(std::mem::take(block), &mut left).0;
        }
        if let ExchangeState::Waiting {
            head: Some(head),
            respond,
        } = std::mem::replace(&mut *state, ExchangeState::Over)
        {
            // If the client has disconnected by now, it does not need it.
            let _ = respond.send(head.into_response(body_of(blocks)));
        }
        Ok(match length > announced {
            true => SendOutcome::TooMany,
            false => SendOutcome::Taken,
        })
    }

    /// Sends the whole response with this content, which the gateway reads by itself.
    ///
    /// The application need not wait for it, and a slow client holds no thread. Fails if the content is too short.
    pub(crate) fn send_body(&self, content: Body) -> PyResult<()> {
        self.process.check()?;
        let mut state = self.lock();
        let ExchangeState::Waiting {
            head: Some(head), ..
        } = &*state
        else {
            return Ok(());
        };
        let length = content.known_length().unwrap_or_default();
        let announced = head.length.unwrap_or(length);
        if length < announced && has_body(self.is_head, head.status) {
            return Err(too_short());
        }
        let body = content.slice(..announced.min(length));
        let body = body.map_err(|error| PyOSError::new_err(error.to_string()))?;
        let body = body.on_end(|end| {
            if end.outcome() == Outcome::Failed {
                let what = "the file could not be read to its end while it was sent";
                // Without an interpreter there is no report.
                Python::try_attach(|py| report(py, &PyOSError::new_err(what)));
            }
        });
        if let ExchangeState::Waiting {
            head: Some(head),
            respond,
        } = std::mem::replace(&mut *state, ExchangeState::Over)
        {
            // If the client has disconnected by now, it does not need it.
            let _ = respond.send(head.into_response(body));
        }
        Ok(())
    }

    /// Ends the response. Fails if the response is not complete.
    pub(crate) fn end(&self) -> PyResult<()> {
        self.process.check()?;
        if self.may_be_whole() {
            return self.send_whole(Blocks::new()).map(drop);
        }
        let mut state = self.lock();
        state.check_started()?;
        if let ExchangeState::Streaming { progress, left, .. } = &*state {
            if left.is_some_and(|left| left > 0) && !self.is_head {
                return Err(too_short());
            }
            progress.end();
        }
        // Dropping the sender ends the body.
        *state = ExchangeState::Over;
        Ok(())
    }

    /// Aborts the response.
    ///
    /// Sends this one if nothing was sent, else ends the body so that the client sees it as incomplete.
    pub(crate) fn break_off(&self, make_response: impl FnOnce() -> Response) {
        match std::mem::replace(&mut *self.lock(), ExchangeState::Over) {
            ExchangeState::Waiting { respond, .. } => drop(respond.send(make_response())),
            ExchangeState::Streaming { .. }
            | ExchangeState::Pulled { .. }
            | ExchangeState::Over => {}
        }
    }

    /// For a pulled response: returns the head, once there is one, and marks it as sent.
    pub(crate) fn take_head(&self) -> PyResult<ResponseHead> {
        match &mut *self.lock() {
            ExchangeState::Pulled { head, is_sent, .. } => {
                *is_sent = true;
                // The rest of the state shows that the response was started.
                head.take().ok_or_else(not_started)
            }
            _ => Err(not_started()),
        }
    }

    /// For a pulled response: returns the bytes that were written since the last call.
    pub(crate) fn take_written(&self) -> Vec<Bytes> {
        match &mut *self.lock() {
            ExchangeState::Pulled { written, .. } => std::mem::take(written),
            _ => Vec::new(),
        }
    }
}

/// HTTP sends no body in a response to HEAD, in a 204 and in a 304 (RFC 9110, section 6.4.1).
pub(crate) fn has_body(is_head: bool, status: StatusCode) -> bool {
    !is_head && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// Returns the exception of an `exc_info`, to raise it again.
fn raised(info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let info = info.cast::<PyTuple>()?;
    let (value, traceback) = (info.get_item(1)?, info.get_item(2)?);
    value.call_method1(pyo3::intern!(info.py(), "with_traceback"), (traceback,))?;
    Ok(PyErr::from_value(value))
}

pub(crate) fn too_short() -> PyErr {
    PyAssertionError::new_err("the body is shorter than its Content-Length")
}
