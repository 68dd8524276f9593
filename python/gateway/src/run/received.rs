//! Receives a request body without a length before the application is called, so that it has one.

use std::sync::Arc;

use enfilade::middleware::{Spool, SpooledBody};
use enfilade::{Application, Handler, Middleware, Reply, Request};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use pyo3::prelude::*;

use crate::run::executor::Executor;
use crate::run::submission::submit;

/// Bodies up to this size, in bytes, are kept in memory, and longer ones in a temporary file.
const IN_MEMORY: usize = 256 * 1024;

/// Whether the length of the body is not known.
pub(super) fn has_no_length(request: &Request) -> bool {
    !request.body().is_finished() && !request.headers().contains_key(CONTENT_LENGTH)
}

/// Receives the body, and calls the application then. Responds with 413 to one that is longer than the limit.
pub(super) fn receive(
    callable: Arc<Py<PyAny>>,
    executor: Executor,
    limit: u64,
    request: Request,
) -> Reply {
    let spool = Spool::new(limit).memory(IN_MEMORY);
    let app = Application::from_handler(Received { callable, executor });
    spool.wrap(app).call(request)
}

/// Calls the application with a body that was received.
struct Received {
    callable: Arc<Py<PyAny>>,
    executor: Executor,
}

impl Handler for Received {
    fn call(&self, mut request: Request) -> Reply {
        let length = request
            .extensions()
            .get::<SpooledBody>()
            .map(SpooledBody::len);
        if let Some(length) = length {
            let headers = request.headers_mut();
            headers.remove(TRANSFER_ENCODING);
            headers.insert(CONTENT_LENGTH, length.into());
        }
        submit(self.callable.clone(), request, &self.executor)
    }
}
