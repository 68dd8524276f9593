//! One call of an application, from its environ to the end of its response.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enfilade::middleware::SpooledBody;
use enfilade::{Body, BodyErrorKind, HttpError, IntoResponse, Request, Response};
use http::header::EXPECT;
use http::{Method, StatusCode};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use smallvec::smallvec;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::call::blocks;
use crate::call::environ::Template;
use crate::call::exchange::{Exchange, SendOutcome};
use crate::call::file_wrapper::{FileWrapper, RegularFile};
use crate::call::input::Input;
use crate::call::report::report;
use crate::run::process::{self, Process};
use crate::run::{activity, reactor};

/// The limits of size and time for receiving an unread body, so that the client reads the response.
pub(crate) const LINGER: usize = 16 * 1024 * 1024;
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);

/// A request that waits for Python.
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) callable: Arc<Py<PyAny>>,
    pub(crate) respond: oneshot::Sender<Response>,
    /// The runtime of its connection, if that is tokio.
    pub(crate) runtime: Option<Handle>,
}

/// Calls the application and sends its response.
///
/// A process that the application has forked never returns from here.
///
/// # Errors
///
/// If it was interrupted (Ctrl-C): the response is aborted, and the server must stop.
pub(crate) fn run(py: Python<'_>, job: Job, template: &Template) -> PyResult<()> {
    let Job {
        mut request,
        callable,
        respond,
        runtime,
    } = job;
    if respond.is_closed() {
        return Ok(());
    }
    let _running = activity::running();
    let is_head = request.method() == Method::HEAD;
    let body = request.take_body();
    let input = match body.is_finished() {
        true => None,
        false => Some(Bound::new(py, Input::new(body))?),
    };
    let exchange = Bound::new(py, Exchange::new(is_head, respond))?;
    let process = Process::current();
    let produced = call(py, callable.bind(py), &exchange, || {
        template.fill(py, &request, input.as_ref())
    });
    if let Err(forked) = process.check() {
        process::end(py, &produced.err().unwrap_or(forked));
    }
    let outcome = produced.or_else(|error| fail(py, exchange.get(), input.as_ref(), error));
    if let Some(input) = input {
        let is_received = request.extensions().get::<SpooledBody>().is_some();
        let waits = request.headers().contains_key(EXPECT);
        match is_received {
            true => drop(input.get().detach()),
            false => finish(input.get(), waits, runtime.as_ref()),
        }
    }
    outcome
}

fn call<'py>(
    py: Python<'py>,
    callable: &Bound<'py, PyAny>,
    exchange: &Bound<'py, Exchange>,
    environ: impl FnOnce() -> PyResult<Bound<'py, pyo3::types::PyDict>>,
) -> PyResult<()> {
    let start_response = exchange.getattr(intern!(py, "start_response"))?;
    let iterable = callable.call1((environ()?, start_response))?;
    produce(&iterable, exchange.get())
}

/// Sends the iterable that the application returned.
fn produce(iterable: &Bound<'_, PyAny>, exchange: &Exchange) -> PyResult<()> {
    if let Ok(list) = iterable.cast_exact::<PyList>() {
        return send_all(list.iter(), exchange, iterable.py());
    }
    if let Ok(tuple) = iterable.cast_exact::<PyTuple>() {
        return send_all(tuple.iter(), exchange, iterable.py());
    }
    let closing = CloseCall::new(iterable)?;
    let sent = match iterable.cast_exact::<FileWrapper>() {
        Ok(wrapper) => send_file(wrapper, exchange),
        Err(_) => send_each(iterable, exchange),
    };
    let sent = sent.and_then(|()| exchange.end());
    if sent.is_err() {
        // Only the first failure is reported, not another one from closing.
        let _ = closing.close();
        return sent;
    }
    closing.close()
}

/// Sends blocks that are all in memory: at once, if nothing was sent before them.
fn send_all<'py>(
    blocks: impl Iterator<Item = Bound<'py, PyAny>>,
    exchange: &Exchange,
    py: Python<'_>,
) -> PyResult<()> {
    if exchange.may_be_whole() {
        let blocks = blocks.map(|item| blocks::block(&item));
        let blocks = blocks.collect::<PyResult<_>>()?;
        return exchange.send_whole(blocks).map(drop);
    }
    for item in blocks {
        let block = blocks::block(&item)?;
        if block.is_empty() {
            continue;
        }
        if exchange.send(py, block)? != SendOutcome::Taken {
            break;
        }
    }
    exchange.end()
}

/// Sends blocks as they are made.
fn send_each(iterable: &Bound<'_, PyAny>, exchange: &Exchange) -> PyResult<()> {
    let py = iterable.py();
    let mut items = iterable.try_iter()?;
    while let Some(item) = items.next() {
        let block = blocks::block(&item?)?;
        if block.is_empty() {
            continue;
        }
        if exchange.is_whole(block.len()) {
            let sent = exchange.send_whole(smallvec![block])?;
            if let Some(reactor) = reactor::current() {
                reactor.run_ready();
            }
            // Also runs the code after the last block, unless there were blocks beyond the length.
            if sent == SendOutcome::Taken {
                items.next().transpose()?;
            }
            break;
        }
        if exchange.send(py, block)? != SendOutcome::Taken {
            break;
        }
    }
    Ok(())
}

/// Sends a regular file without the interpreter, and anything else in blocks.
fn send_file(wrapper: &Bound<'_, FileWrapper>, exchange: &Exchange) -> PyResult<()> {
    let py = wrapper.py();
    if exchange.may_be_whole()
        && let Some(file) = wrapper.get().regular_file(py)?
    {
        return match file {
            RegularFile::Small(bytes) => exchange.send_whole(smallvec![bytes]).map(drop),
            RegularFile::Large(rest) => exchange.send_body(rest),
        };
    }
    send_each(wrapper.as_any(), exchange)
}

/// The `close` method of an application's iterable, which is called exactly once.
pub(crate) struct CloseCall<'py>(Option<Bound<'py, PyAny>>);

impl<'py> CloseCall<'py> {
    pub(crate) fn new(iterable: &Bound<'py, PyAny>) -> PyResult<CloseCall<'py>> {
        iterable
            .getattr_opt(intern!(iterable.py(), "close"))
            .map(CloseCall)
    }

    pub(crate) fn into_inner(mut self) -> Option<Py<PyAny>> {
        self.0.take().map(Bound::unbind)
    }

    pub(crate) fn close(mut self) -> PyResult<()> {
        match self.0.take() {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }
}

/// Reports an exception to the operator, and responds with it or aborts the response.
fn fail(
    py: Python<'_>,
    exchange: &Exchange,
    input: Option<&Bound<'_, Input>>,
    error: PyErr,
) -> PyResult<()> {
    // A failure of the client's body gets its 4xx status, and not a 500.
    let blamed = input.and_then(|input| input.get().failure());
    let blamed = blamed.filter(|_| error.is_instance_of::<pyo3::exceptions::PyOSError>(py));
    let status = match blamed {
        Some(BodyErrorKind::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        Some(BodyErrorKind::TimedOut) => StatusCode::REQUEST_TIMEOUT,
        Some(_) => StatusCode::BAD_REQUEST,
        None => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        exchange.break_off(|| HttpError::new(status).into_response());
        return Err(error);
    }
    let cause = error.to_string();
    exchange.break_off(|| HttpError::new(status).caused_by(cause).into_response());
    report(py, &error);
    Ok(())
}

/// Detaches the body. Reads the rest of it, within limits, so that the client reads the response.
fn finish(input: &Input, waits: bool, runtime: Option<&Handle>) {
    let Some((body, is_touched)) = input.detach() else {
        return;
    };
    // A client that waits for 100 (Continue), and did not get one, sends no body (RFC 9110, section 10.1.1).
    if body.is_finished() || (waits && !is_touched) {
        return;
    }
    if let Some(reactor) = reactor::current() {
        reactor.spawn_until(Box::pin(linger(body)), LINGER_TIME);
    } else if let Some(runtime) = runtime {
        runtime.spawn(async move {
            // At the timeout the rest is given up.
            let _ = tokio::time::timeout(LINGER_TIME, linger(body)).await;
        });
    }
}

async fn linger(mut body: Body) {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > LINGER {
            break;
        }
    }
}
