//! A WSGI callable as an application.

use std::sync::Arc;

use enfilade::{Application, Description, Handler, HttpError, Reply, Request};
use http::HeaderValue;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, EXPECT, RETRY_AFTER};
use pyo3::prelude::*;
use tokio::sync::oneshot;

use crate::executor::{self, Executor};
use crate::here;
use crate::job::Job;
use crate::pool::Pool;

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
    leaf(callable, None)
}

/// An application of a callable, with the threads that call it where no server of this crate says otherwise.
pub(crate) fn leaf(callable: &Bound<'_, PyAny>, pool: Option<Arc<Pool>>) -> PyResult<Application> {
    if !callable.is_callable() {
        let kind = callable.get_type().name()?;
        let why = format!("a WSGI application can be called, and this {kind} cannot");
        return Err(pyo3::exceptions::PyTypeError::new_err(why));
    }
    let name = callable_name(callable)?;
    let callable = callable.clone().unbind();
    Ok(Application::from_handler(Leaf {
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

/// The callable that an application is made of, where it is nothing else.
#[must_use]
pub fn callable(app: &Application) -> bool {
    app.describe()
        .options()
        .any(|option| option == ("form", "Python"))
}

struct Leaf {
    callable: Arc<Py<PyAny>>,
    name: String,
    pool: Option<Arc<Pool>>,
}

impl Handler for Leaf {
    fn call(&self, request: Request) -> Reply {
        if let Some(environ) = here::environ() {
            return Python::attach(|py| {
                here::answer(py, self.callable.bind(py), request, environ.bind(py))
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
        Reply::from_future(async move {
            match ready(request).await {
                Ok(request) => answer(callable, request, executor).await,
                Err(error) => enfilade::IntoResponse::into_response(HttpError::from(error)),
            }
        })
    }

    fn describe(&self) -> Description {
        Description::new(self.name.clone()).option("form", "Python")
    }
}

/// The request with its body in memory, where that is small and the client does not wait to be asked for it.
async fn ready(mut request: Request) -> Result<Request, enfilade::Error> {
    if request.body().is_finished() || request.headers().contains_key(EXPECT) {
        return Ok(request);
    }
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length <= SMALL) {
        let body = request.take_body().collect(usize::MAX).await?;
        *request.body_mut() = body.into();
    }
    Ok(request)
}

async fn answer(
    callable: Arc<Py<PyAny>>,
    request: Request,
    executor: Executor,
) -> enfilade::Response {
    let (respond, response) = oneshot::channel();
    let job = Job {
        request,
        callable,
        respond,
        runtime: tokio::runtime::Handle::try_current().ok(),
    };
    if executor.run(job).is_err() {
        return busy();
    }
    match response.await {
        Ok(response) => response,
        Err(_) => enfilade::IntoResponse::into_response(
            HttpError::new(StatusCode::INTERNAL_SERVER_ERROR).caused_by("the call was broken off"),
        ),
    }
}

/// All threads are busy, and as many requests wait as may.
fn busy() -> enfilade::Response {
    let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = enfilade::IntoResponse::into_response(error);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
