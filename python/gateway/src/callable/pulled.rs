//! A Python application inside an application that is called.
//!
//! Its response is pulled from its iterable.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade::{Body, BoxError, HttpError, IntoResponse, Reply, Request, Response};
use http::{Method, StatusCode};
use http_body::Frame;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyTuple};

use crate::call::blocks::{block, body_of, cut};
use crate::call::environ;
use crate::call::exchange::{Exchange, has_body, too_short};
use crate::call::input::Input;
use crate::call::job::CloseCall;

/// The environ of the WSGI call, as an extension of the request that was made of it.
///
/// Python applications inside are called on the same thread with this environ.
#[derive(Clone)]
pub(crate) struct CallerEnviron(Arc<Py<PyDict>>);

impl CallerEnviron {
    pub(super) fn new(environ: Py<PyDict>) -> CallerEnviron {
        CallerEnviron(Arc::new(environ))
    }
}

/// The exception of a Python application, on its way out through the components around it.
#[derive(Clone)]
pub(super) struct Raised(pub(super) Arc<PyErr>);

/// Returns the response of a Python application inside.
pub(crate) fn respond(
    py: Python<'_>,
    callable: &Bound<'_, PyAny>,
    request: Request,
    environ: &CallerEnviron,
) -> Reply {
    match pull(py, callable, request, environ.0.bind(py)) {
        Ok(response) => Reply::new(response),
        Err(error) => {
            let cause = error.to_string();
            let failure = HttpError::new(StatusCode::INTERNAL_SERVER_ERROR).caused_by(cause);
            let mut response = failure.into_response();
            response.extensions_mut().insert(Raised(Arc::new(error)));
            Reply::new(response)
        }
    }
}

fn pull(
    py: Python<'_>,
    callable: &Bound<'_, PyAny>,
    mut request: Request,
    environ: &Bound<'_, PyDict>,
) -> PyResult<Response> {
    let is_head = request.method() == Method::HEAD;
    let input = Bound::new(py, Input::new(request.take_body()))?;
    let environ = environ::refill(environ, &request, &input)?;
    let exchange = Bound::new(py, Exchange::pulled(is_head))?;
    let start_response = exchange.getattr(intern!(py, "start_response"))?;
    let iterable = callable.call1((environ, start_response))?;
    let mut pulled = PulledBody {
        items: None,
        close: CloseCall::new(&iterable)?.into_inner(),
        exchange: exchange.clone().unbind(),
        ready: VecDeque::new(),
        left: None,
        is_head,
    };
    let is_list =
        iterable.is_exact_instance_of::<PyList>() || iterable.is_exact_instance_of::<PyTuple>();
    pulled.items = Some(iterable.try_iter()?.unbind());
    // The head waits for the first byte; a list is small enough to be read completely.
    let mut is_over = false;
    while !is_over && (is_list || pulled.ready.is_empty()) {
        is_over = !pulled.advance(py)?;
    }
    let head = exchange.get().take_head()?;
    if is_over {
        let length: u64 = pulled.ready.iter().map(|block| block.len() as u64).sum();
        let announced = head.length.unwrap_or(length);
        if length < announced && has_body(is_head, head.status) {
            return Err(too_short());
        }
        let mut left = Some(announced);
        let ready = std::mem::take(&mut pulled.ready);
        let blocks = ready.into_iter().map(|block| cut(block, &mut left).0);
        return Ok(head.into_response(body_of(blocks.filter(|block| !block.is_empty()).collect())));
    }
    pulled.left = head.length;
    Ok(head.into_response(Body::new(pulled)))
}

/// The blocks of a Python iterable. Each block is made when it is requested.
struct PulledBody {
    items: Option<Py<PyIterator>>,
    close: Option<Py<PyAny>>,
    exchange: Py<Exchange>,
    ready: VecDeque<Bytes>,
    left: Option<u64>,
    is_head: bool,
}

impl PulledBody {
    /// Reads one more block. Returns false at the end, when all is closed.
    fn advance(&mut self, py: Python<'_>) -> PyResult<bool> {
        let next = match &self.items {
            Some(items) => items.bind(py).clone().next(),
            None => return Ok(false),
        };
        let is_over = next.is_none();
        let block = next
            .transpose()
            .and_then(|item| item.map(|item| block(&item)).transpose());
        let block = match block {
            Ok(block) => block,
            Err(error) => {
                self.close(py);
                return Err(error);
            }
        };
        // Bytes that were written meanwhile come before the block.
        self.ready.extend(self.exchange.get().take_written());
        self.ready.extend(block);
        self.ready.retain(|block| !block.is_empty());
        if is_over {
            self.items = None;
            if let Some(close) = self.close.take() {
                close.call0(py)?;
            }
        }
        Ok(!is_over)
    }

    fn close(&mut self, py: Python<'_>) {
        self.items = None;
        if let Some(close) = self.close.take()
            && let Err(error) = close.call0(py)
        {
            crate::call::report::report(py, &error);
        }
    }

    fn next(&mut self) -> PyResult<Option<Bytes>> {
        Python::attach(|py| {
            loop {
                if let Some(block) = self.ready.pop_front() {
                    let (block, is_whole) = cut(block, &mut self.left);
                    if !is_whole {
                        self.close(py);
                        self.ready.clear();
                    }
                    if !block.is_empty() {
                        return Ok(Some(block));
                    }
                } else if !self.advance(py)? && self.ready.is_empty() {
                    let is_short = self.left.is_some_and(|left| left > 0) && !self.is_head;
                    return if is_short { Err(too_short()) } else { Ok(None) };
                }
            }
        })
    }
}

impl http_body::Body for PulledBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = self.next().transpose();
        Poll::Ready(next.map(|block| block.map(Frame::data).map_err(BoxError::from)))
    }
}

impl Drop for PulledBody {
    fn drop(&mut self) {
        if self.close.is_some() {
            Python::attach(|py| self.close(py));
        }
    }
}
