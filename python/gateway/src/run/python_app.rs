//! Runs a WSGI callable as an application.

use std::sync::Arc;

use enfilade::{Application, Description, Handler, HttpError, IntoResponse, Reply, Request};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, EXPECT};
use pyo3::prelude::*;

use crate::call::chunked::ChunkedBodies;
use crate::callable::pulled::{self, CallerEnviron};
use crate::run::executor;
use crate::run::pool::Pool;
use crate::run::received;
use crate::run::submission::submit;

/// Bodies up to this size, in bytes, are received before Python is called.
///
/// So a slow small body never holds a Python thread.
const SMALL: u64 = 64 * 1024;

/// Makes an application of a WSGI callable, for the servers of this crate.
///
/// Behind a server of another crate, it runs on a pool of Python threads, which starts when it is first needed.
///
/// # Errors
///
/// A `TypeError` if the object is not callable.
pub fn from_callable(callable: &Bound<'_, PyAny>) -> PyResult<Application> {
    application(callable, None)
}

/// Makes an application of a callable. Its threads are used unless a server of this crate has its own.
pub(crate) fn application(
    callable: &Bound<'_, PyAny>,
    pool: Option<Arc<Pool>>,
) -> PyResult<Application> {
    if !callable.is_callable() {
        let kind = callable.get_type().name()?;
        let why =
            format!("a WSGI application must be callable, and an object of type {kind} is not");
        return Err(pyo3::exceptions::PyTypeError::new_err(why));
    }
    let name = callable_name(callable)?;
    let callable = callable.clone().unbind();
    Ok(Application::from_handler(PythonApp {
        callable: Arc::new(callable),
        name,
        pool,
    }))
}

/// Returns the name of a callable: its own name if it has one, else that of its type.
fn callable_name(callable: &Bound<'_, PyAny>) -> PyResult<String> {
    let own = callable.getattr_opt("__qualname__")?;
    match own {
        Some(name) => name.extract(),
        None => Ok(callable.get_type().fully_qualified_name()?.to_string()),
    }
}

struct PythonApp {
    callable: Arc<Py<PyAny>>,
    name: String,
    pool: Option<Arc<Pool>>,
}

impl Handler for PythonApp {
    fn call(&self, request: Request) -> Reply {
        if let Some(environ) = request.extensions().get::<CallerEnviron>().cloned() {
            return Python::attach(|py| {
                pulled::respond(py, self.callable.bind(py), request, &environ)
            });
        }
        let executor = match executor::current(self.pool.as_ref()) {
            Ok(executor) => executor,
            Err(error) => {
                return Reply::new(
                    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR).caused_by(error),
                );
            }
        };
        let callable = self.callable.clone();
        if let ChunkedBodies::Received { limit } = executor.chunked()
            && received::has_no_length(&request)
        {
            return received::receive(callable, executor, limit, request);
        }
        if !is_collected(&request) {
            return submit(callable, request, &executor);
        }
        Reply::from_future(async move {
            match collected(request).await {
                Ok(request) => submit(callable, request, &executor).await,
                Err(error) => HttpError::from(error).into_response(),
            }
        })
    }

    fn describe(&self) -> Description {
        Description::new(self.name.clone()).option("form", "Python")
    }
}

/// Whether the body is received before Python is called.
///
/// It is, if it is small and the client does not wait for 100 (Continue).
fn is_collected(request: &Request) -> bool {
    if request.body().is_finished() || request.headers().contains_key(EXPECT) {
        return false;
    }
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length <= SMALL)
}

/// Returns the request with its body in memory.
async fn collected(mut request: Request) -> Result<Request, enfilade::BodyError> {
    let body = request.take_body().collect(usize::MAX).await?;
    *request.body_mut() = body.into();
    Ok(request)
}
