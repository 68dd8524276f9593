//! A WSGI callable as an application.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use enfilade::headers::retry_after;
use enfilade::{
    Application, Description, Handler, HttpError, IntoResponse, Reply, Request, Response,
};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, EXPECT, RETRY_AFTER};
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::call::job::Job;
use crate::callable::pulled::{self, CallerEnviron};
use crate::run::executor::{self, Executor};
use crate::run::pool::Pool;

/// Bodies up to so many bytes are there before Python is called: a slow small one never holds a Python thread.
const SMALL: u64 = 64 * 1024;

/// Makes an application of a WSGI callable, for the servers of this crate.
///
/// Behind one of another crate it is called on a pool of Python threads that is started when it is first needed.
///
/// # Errors
///
/// A `TypeError` where the object cannot be called.
pub fn from_callable(callable: &Bound<'_, PyAny>) -> PyResult<Application> {
    application(callable, None)
}

/// An application of a callable, with the threads that call it where no server of this crate says otherwise.
pub(crate) fn application(
    callable: &Bound<'_, PyAny>,
    pool: Option<Arc<Pool>>,
) -> PyResult<Application> {
    if !callable.is_callable() {
        let kind = callable.get_type().name()?;
        let why = format!("a WSGI application can be called, and this {kind} cannot");
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

/// What a callable is called by: its own name where it has one, else its type's.
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

/// Whether the body is read before Python is called: where it is small, and the client does not wait to be asked for it.
fn is_collected(request: &Request) -> bool {
    if request.body().is_finished() || request.headers().contains_key(EXPECT) {
        return false;
    }
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length <= SMALL)
}

/// The request with its body in memory.
async fn collected(mut request: Request) -> Result<Request, enfilade::BodyError> {
    let body = request.take_body().collect(usize::MAX).await?;
    *request.body_mut() = body.into();
    Ok(request)
}

fn submit(callable: Arc<Py<PyAny>>, request: Request, executor: &Executor) -> Reply {
    let (respond, response) = oneshot::channel();
    let runtime = match request.body().is_finished() {
        true => None,
        // What nobody reads of the body is read there.
        false => Handle::try_current().ok(),
    };
    let job = Job {
        request,
        callable,
        respond,
        runtime,
    };
    match executor.run(job) {
        Ok(()) => Reply::from_future(ResponseReceiver(response)),
        Err(_) => Reply::new(busy()),
    }
}

/// The answer that Python gives.
struct ResponseReceiver(oneshot::Receiver<Response>);

impl Future for ResponseReceiver {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(response) => Poll::Ready(response),
            Err(_) => {
                let error = HttpError::new(StatusCode::INTERNAL_SERVER_ERROR);
                Poll::Ready(error.caused_by("the call was broken off").into_response())
            }
        }
    }
}

/// All threads are busy, and as many requests wait as may.
fn busy() -> Response {
    let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = error.into_response();
    let value = retry_after(Duration::from_secs(1));
    response.headers_mut().insert(RETRY_AFTER, value);
    response
}
