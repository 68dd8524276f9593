//! Passes a request to the Python thread that runs it, and waits for its response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use enfilade::headers::retry_after;
use enfilade::{HttpError, IntoResponse, Reply, Request, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::call::job::Job;
use crate::run::executor::Executor;

/// Passes the request to Python.
pub(super) fn submit(callable: Arc<Py<PyAny>>, request: Request, executor: &Executor) -> Reply {
    let (respond, response) = oneshot::channel();
    let runtime = match request.body().is_finished() {
        true => None,
        // The rest of an unread body is received on this runtime.
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

/// The response that Python sends.
struct ResponseReceiver(oneshot::Receiver<Response>);

impl Future for ResponseReceiver {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(response) => Poll::Ready(response),
            Err(_) => {
                let error = HttpError::new(StatusCode::INTERNAL_SERVER_ERROR);
                Poll::Ready(
                    error
                        .caused_by("the call ended without a response")
                        .into_response(),
                )
            }
        }
    }
}

/// The response if all threads are busy and the backlog is full.
fn busy() -> Response {
    let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = error.into_response();
    let value = retry_after(Duration::from_secs(1));
    response.headers_mut().insert(RETRY_AFTER, value);
    response
}
