//! Limits the time until a response.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{
    Application, Body, BodyError, Description, HttpError, IntoResponse, Middleware, Reply, Request,
    Response, Wrapper, wrapped,
};
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use sync_wrapper::SyncWrapper;

use crate::protect::delay::{Sleep, Sleeping};

/// Returns 503 if the application does not respond in time, and drops its work.
///
/// The time is from the call to the head of the response. By default there is no limit on body duration, because
/// downloads and event streams need time. [`body_idle`](Timeout::body_idle) limits pauses of the response body: a
/// longer pause makes the body fail, so that the client notices that it is incomplete.
/// [`request_idle`](Timeout::request_idle) does the same for the request body.
///
/// A future is dropped at its next `await`. A closure that blocks cannot be interrupted, and delays other requests: run
/// it with `enfilade::blocking`. Then the client gets its 503 in time, and the closure itself runs to its end.
///
/// # Order
///
/// Inside logs and error pages, so that they see the response. Outside everything that may be slow.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::time::Duration;
///
/// use enfilade::middleware::Timeout;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(async |_: Request| std::future::pending::<&str>().await);
/// let client = Client::new(app.wrap(Timeout::new(Duration::from_millis(20))));
/// let response = client.get("/").send();
/// assert_eq!((response.status().as_u16(), &*response.text()), (503, "Service Unavailable"));
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Timeout {
    head: Duration,
    body_idle: Option<Duration>,
    request_idle: Option<Duration>,
    make_response: Arc<dyn Fn() -> Response + Send + Sync>,
    sleep: Sleep,
}

impl Timeout {
    /// Limits the time until the head of the response.
    pub fn new(head: Duration) -> Self {
        let response = move || {
            let cause = format!("no response within {head:?}");
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE)
                .caused_by(cause)
                .into_response()
        };
        Timeout {
            head,
            body_idle: None,
            request_idle: None,
            make_response: Arc::new(response),
            sleep: Sleep::default(),
        }
    }

    /// Sets the response instead of the 503: `|| StatusCode::GATEWAY_TIMEOUT`, or a whole response.
    pub fn response<R: IntoResponse>(
        mut self,
        response: impl Fn() -> R + Send + Sync + 'static,
    ) -> Self {
        self.make_response = Arc::new(move || response().into_response());
        self
    }

    /// Sets how long the response body may pause; no limit by default.
    ///
    /// Only the time in which the server waits for the body counts, not the time in which the client is slow to receive
    /// it. An upgraded connection may pause without a limit.
    pub fn body_idle(mut self, duration: Duration) -> Self {
        self.body_idle = Some(duration);
        self
    }

    /// Sets how long the client may pause while the application reads the request body; no limit by default.
    ///
    /// Then reading fails with an error that `?` turns into a 408.
    pub fn request_idle(mut self, duration: Duration) -> Self {
        self.request_idle = Some(duration);
        self
    }

    /// Sets the sleep function, such as the runtime's; by default a thread is the timer, and no runtime is needed.
    pub fn sleep<F>(mut self, sleep: impl Fn(Duration) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.sleep = Sleep::new(sleep);
        self
    }

    fn watch(&self, body: Body, limit: Option<Duration>) -> Body {
        match limit {
            // An upgraded connection has its own rules for pauses, and no frames.
            Some(limit) if !body.is_in_memory() && !body.is_upgrade() => {
                Body::new(IdleTimeoutBody {
                    body,
                    limit,
                    sleep: self.sleep.clone(),
                    sleeping: None,
                })
            }
            _ => body,
        }
    }

    fn watch_response(&self, response: Response) -> Response {
        response.map(|body| self.watch(body, self.body_idle))
    }
}

impl Middleware for Timeout {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("head", &self.head)
            .field("body_idle", &self.body_idle)
            .field("request_idle", &self.request_idle)
            .finish_non_exhaustive()
    }
}

impl Wrapper for Timeout {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        if let Some(limit) = self.request_idle {
            let body = request.take_body();
            *request.body_mut() = self.watch(body, Some(limit));
        }
        match inner.call(request).try_into_response() {
            Ok(response) => self.watch_response(response).into(),
            Err(pending) => {
                let response = self.sleep.timeout(self.head, pending.into_future());
                let options = self.clone();
                Reply::from_future(async move {
                    match response.await {
                        Some(response) => options.watch_response(response),
                        None => (options.make_response)(),
                    }
                })
            }
        }
    }

    fn describe(&self) -> Description {
        Description::new("Timeout")
            .option("head", self.head)
            .option("body idle", self.body_idle)
            .option("request idle", self.request_idle)
    }
}

/// A stream that fails if it pauses for too long.
struct IdleTimeoutBody {
    body: Body,
    limit: Duration,
    sleep: Sleep,
    /// While it pauses.
    sleeping: Option<SyncWrapper<Sleeping>>,
}

impl HttpBody for IdleTimeoutBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(next) = Pin::new(&mut this.body).poll_frame(context) {
            this.sleeping = None;
            return Poll::Ready(next);
        }
        let (sleep, limit) = (&this.sleep, this.limit);
        let begin = || SyncWrapper::new(sleep.start(limit));
        let sleeping = this.sleeping.get_or_insert_with(begin).get_mut();
        sleeping.as_mut().poll(context).map(|()| {
            // Its source stops.
            this.body = Body::empty();
            Some(Err(BodyError::timed_out()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
