//! An application as a WSGI callable: its components run on the calling thread, and what it answers is pulled.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade::{
    Application, Body, BoxError, Connection, HttpError, IntoResponse, Reply, Request, Response,
    Scheme, gateway, path,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use http_body::Frame;
use hyper::ext::ReasonPhrase;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple};

use crate::environ;
use crate::exchange::{self, Exchange, body_of, cut, has_body, too_short};
use crate::ffi::latin1;
use crate::input::Input;
use crate::job::Closing;
use crate::wait::wait;

/// How much is read of a foreign `wsgi.input` at a time.
const BLOCK: usize = 64 * 1024;

thread_local! {
    /// The environ of the call in which this thread polls an application.
    static ENVIRON: RefCell<Option<Py<PyDict>>> = const { RefCell::new(None) };
}

/// The environ that the application was called with, where it is called as a WSGI callable.
pub(crate) fn environ() -> Option<Py<PyDict>> {
    ENVIRON.with_borrow(|environ| {
        environ
            .as_ref()
            .map(|environ| Python::attach(|py| environ.clone_ref(py)))
    })
}

/// Calls an application as PEP 3333 calls one: gives an iterable of byte strings.
///
/// # Errors
///
/// The exception that a Python application inside raised, as the same object; a `ValueError` where the environ is no
/// request.
pub fn call<'py>(
    app: &Application,
    environ: &Bound<'py, PyAny>,
    start_response: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = environ.py();
    let environ = environ::checked(environ)?;
    let request = request(&environ)?;
    let environ = environ.unbind();
    let answer = inside(environ.clone_ref(py), || gateway::answer(app, request));
    let mut answer = pin!(Inside { answer, environ });
    let mut response = wait(py, poll_fn(|context| answer.as_mut().poll(context)))?;
    if let Some(raised) = response.extensions_mut().remove::<Raised>() {
        return Err(raised.0.clone_ref(py));
    }
    let (status, headers) = head(py, &response)?;
    start_response.call1((status, headers))?;
    let body = std::mem::take(response.body_mut());
    match body.try_into_bytes() {
        Ok(bytes) if bytes.is_empty() => Ok(PyList::empty(py).into_any()),
        Ok(bytes) => Ok(PyList::new(py, [PyBytes::new(py, &bytes)])?.into_any()),
        Err(body) => Ok(Bound::new(py, Answer::new(body))?.into_any()),
    }
}

/// An answer that is polled with its environ at hand, and not between: meanwhile this thread may serve others.
struct Inside {
    answer: gateway::Answer,
    environ: Py<PyDict>,
}

impl Future for Inside {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let environ = Python::attach(|py| self.environ.clone_ref(py));
        inside(environ, || Pin::new(&mut self.answer).poll(context))
    }
}

/// Does something with the environ at hand.
fn inside<T>(environ: Py<PyDict>, act: impl FnOnce() -> T) -> T {
    let outside = ENVIRON.replace(Some(environ));
    let done = act();
    ENVIRON.set(outside);
    done
}

/// The exception of a Python application, on its way out of the components around it.
#[derive(Clone)]
struct Raised(std::sync::Arc<PyErr>);

/// What a Python application inside answers.
pub(crate) fn answer(
    py: Python<'_>,
    callable: &Bound<'_, PyAny>,
    request: Request,
    environ: &Bound<'_, PyDict>,
) -> Reply {
    match pull(py, callable, request, environ) {
        Ok(response) => Reply::new(response),
        Err(error) => {
            let cause = error.to_string();
            let failure = HttpError::new(StatusCode::INTERNAL_SERVER_ERROR).caused_by(cause);
            let mut response = failure.into_response();
            response
                .extensions_mut()
                .insert(Raised(std::sync::Arc::new(error)));
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
    let answer = callable.call1((environ, start_response))?;
    let mut pulled = Pulled {
        items: None,
        close: Closing::new(&answer)?.into_inner(),
        exchange: exchange.clone().unbind(),
        ready: VecDeque::new(),
        left: None,
        is_head,
    };
    let is_list =
        answer.is_exact_instance_of::<PyList>() || answer.is_exact_instance_of::<PyTuple>();
    pulled.items = Some(answer.try_iter()?.unbind());
    // The head waits for the first byte, and a list is small enough to be taken whole.
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

/// The blocks of a Python iterable, each made when it is asked for.
struct Pulled {
    items: Option<Py<PyIterator>>,
    close: Option<Py<PyAny>>,
    exchange: Py<Exchange>,
    ready: VecDeque<Bytes>,
    left: Option<u64>,
    is_head: bool,
}

impl Pulled {
    /// Takes one more block; false at the end, when all is closed.
    fn advance(&mut self, py: Python<'_>) -> PyResult<bool> {
        let next = match &self.items {
            Some(items) => items.bind(py).clone().next(),
            None => return Ok(false),
        };
        let is_over = next.is_none();
        let block = next
            .transpose()
            .and_then(|item| item.map(|item| exchange::block(&item)).transpose());
        let block = match block {
            Ok(block) => block,
            Err(error) => {
                self.close(py);
                return Err(error);
            }
        };
        // What was written meanwhile stands before the block.
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
            crate::job::report(py, &error);
        }
    }

    fn next(&mut self) -> PyResult<Option<Bytes>> {
        Python::attach(|py| {
            loop {
                if let Some(block) = self.ready.pop_front() {
                    let (block, fits) = cut(block, &mut self.left);
                    if !fits {
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

impl http_body::Body for Pulled {
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

impl Drop for Pulled {
    fn drop(&mut self) {
        if self.close.is_some() {
            Python::attach(|py| self.close(py));
        }
    }
}

/// What is left of an answer, as a WSGI iterable.
#[pyclass(frozen, module = "enfilade._native", name = "Answer")]
#[derive(Debug)]
pub struct Answer(Mutex<Option<Body>>);

impl Answer {
    fn new(body: Body) -> Answer {
        Answer(Mutex::new(Some(body)))
    }

    fn take(&self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl Answer {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(mut body) = self.take() else {
            return Ok(None);
        };
        loop {
            match wait(py, body.frame())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(exception(py, &error)),
                Some(Ok(frame)) => {
                    // Trailers are nothing that WSGI could say.
                    let data = frame.into_data().unwrap_or_default();
                    if !data.is_empty() {
                        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
                        return Ok(Some(PyBytes::new(py, &data)));
                    }
                }
            }
        }
    }

    /// Ends what the answer comes from.
    fn close(&self) {
        drop(self.take());
    }
}

/// The exception that a body failed of, as the same object where it was one of Python.
fn exception(py: Python<'_>, error: &(dyn std::error::Error + 'static)) -> PyErr {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(raised) = error.downcast_ref::<PyErr>() {
            return raised.clone_ref(py);
        }
        cause = error.source();
    }
    PyRuntimeError::new_err(error.to_string())
}

/// The request of an environ.
fn request(environ: &Bound<'_, PyDict>) -> PyResult<Request> {
    let text = |name: &str| -> PyResult<String> {
        let value = environ.get_item(name)?;
        value.map_or_else(|| Ok(String::new()), |value| value.extract())
    };
    let invalid = |what: &str| PyValueError::new_err(format!("the environ has no {what}"));
    let method = Method::from_bytes(text("REQUEST_METHOD")?.as_bytes());
    let method = method.map_err(|_| invalid("valid REQUEST_METHOD"))?;
    let script = encoded(&text("SCRIPT_NAME")?);
    let rest = encoded(&text("PATH_INFO")?);
    let query = text("QUERY_STRING")?;
    let mut target = match script.is_empty() && rest.is_empty() {
        true => "/".to_owned(),
        false => format!("{script}{rest}"),
    };
    if !query.is_empty() {
        target = format!("{target}?{}", path::repair(&query));
    }
    let uri = Uri::try_from(target).map_err(|_| invalid("valid PATH_INFO"))?;
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method;
    parts.uri = uri;
    parts.headers = headers(environ)?;
    parts.version = match (
        &*text("SERVER_PROTOCOL")?,
        parts.headers.contains_key("host"),
    ) {
        // Only a newer one needs a host, and it is for the server around to ask for it.
        ("HTTP/1.0", _) | (_, false) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let scheme = match &*text("wsgi.url_scheme")? {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    };
    let mut connection = Connection::new(scheme);
    if let Ok(address) = text("REMOTE_ADDR")?.parse::<IpAddr>() {
        let port = text("REMOTE_PORT")?.parse().unwrap_or_default();
        connection = connection.with_peer(SocketAddr::new(address, port));
    }
    let body = body(environ, &parts.headers)?;
    let mut request = Request::from_parts(parts, body, connection);
    if !request.advance(script.len()) {
        return Err(invalid("SCRIPT_NAME that ends where PATH_INFO begins"));
    }
    Ok(request)
}

/// The characters of a native string are bytes.
fn encoded(text: &str) -> String {
    let bytes: Vec<u8> = text
        .chars()
        .map(|character| u8::try_from(character).unwrap_or(b'?'))
        .collect();
    let mut coded = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'/' => coded.push('/'),
            byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) => {
                coded.push(char::from(byte))
            }
            byte => coded.push_str(&format!("%{byte:02X}")),
        }
    }
    coded
}

fn headers(environ: &Bound<'_, PyDict>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(environ.len());
    for (key, value) in environ.iter() {
        let (Ok(key), Ok(value)) = (key.cast::<PyString>(), value.cast::<PyString>()) else {
            continue;
        };
        let key = key.to_str()?;
        let name = match key.strip_prefix("HTTP_") {
            Some(name) => name,
            None if key == "CONTENT_TYPE" || key == "CONTENT_LENGTH" => key,
            None => continue,
        };
        let value = value.to_str().unwrap_or_default();
        if value.is_empty() && !key.starts_with("HTTP_") {
            continue;
        }
        let bytes: Option<Vec<u8>> = value
            .chars()
            .map(|character| u8::try_from(character).ok())
            .collect();
        let name = HeaderName::try_from(name.replace('_', "-"));
        let value = bytes.and_then(|bytes| HeaderValue::try_from(bytes).ok());
        // What is no header cannot have come as one.
        if let (Ok(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

/// The body, read from `wsgi.input` when it is asked for, and never beyond its length.
fn body(environ: &Bound<'_, PyDict>, headers: &HeaderMap) -> PyResult<Body> {
    let py = environ.py();
    let length = headers.get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let ends = environ.get_item("wsgi.input_terminated")?;
    let ends = ends.map_or(Ok(false), |ends| ends.is_truthy())?;
    let left = match length {
        Some(0) | None if !ends => return Ok(Body::empty()),
        length => length,
    };
    let Some(input) = environ.get_item(intern!(py, "wsgi.input"))? else {
        return Ok(Body::empty());
    };
    Ok(Body::new(Foreign {
        input: input.unbind(),
        left,
    }))
}

/// A foreign `wsgi.input`.
struct Foreign {
    input: Py<PyAny>,
    left: Option<u64>,
}

impl Foreign {
    fn read(&mut self) -> PyResult<Option<Bytes>> {
        let left = self.left.and_then(|left| usize::try_from(left).ok());
        let size = left.unwrap_or(BLOCK).min(BLOCK);
        if size == 0 {
            return Ok(None);
        }
        Python::attach(|py| {
            let read = self
                .input
                .bind(py)
                .call_method1(intern!(py, "read"), (size,))?;
            let block = exchange::block(&read)?;
            if let Some(left) = &mut self.left {
                if block.is_empty() {
                    return Err(pyo3::exceptions::PyConnectionAbortedError::new_err(
                        "the client broke off in the request's body",
                    ));
                }
                *left = left.saturating_sub(block.len() as u64);
            }
            Ok(Some(block).filter(|block| !block.is_empty()))
        })
    }
}

impl http_body::Body for Foreign {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = self.read().transpose();
        Poll::Ready(next.map(|block| block.map(Frame::data).map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.left.map_or_else(
            http_body::SizeHint::default,
            http_body::SizeHint::with_exact,
        )
    }
}

/// The head of an answer, as `start_response` takes it.
fn head<'py>(
    py: Python<'py>,
    response: &Response,
) -> PyResult<(Bound<'py, PyString>, Bound<'py, PyList>)> {
    let status = response.status();
    let reason = match response.extensions().get::<ReasonPhrase>() {
        Some(reason) => reason.as_bytes(),
        None => status.canonical_reason().unwrap_or("Unknown").as_bytes(),
    };
    let line = [status.as_str().as_bytes(), b" ", reason].concat();
    let headers = PyList::empty(py);
    for (name, value) in response.headers() {
        headers.append((name.as_str(), latin1(py, value.as_bytes())?))?;
    }
    Ok((latin1(py, &line)?, headers))
}
