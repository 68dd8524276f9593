//! Limits the number of concurrent requests.

mod fair_semaphore;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::headers::retry_after;
use enfilade_core::{
    Application, Description, HttpError, IntoResponse, Middleware, Reply, Request, Response,
    Wrapper, wrapped,
};
use http::StatusCode;
use http::header::RETRY_AFTER;

use self::fair_semaphore::{Acquired, FairSemaphore, Permit};
use crate::protect::delay::Sleep;

/// How long a request waits in the queue by default.
const WAIT: Duration = Duration::from_secs(1);
/// The default `Retry-After`.
const RETRY: Duration = Duration::from_secs(1);

/// Limits concurrent requests, queues some more, and rejects the rest with 503 and `Retry-After`.
///
/// A request counts from the call of the application to the end of the response body: sent, failed, or aborted by the
/// client.
///
/// # Order
///
/// Inside logs and metrics, so that they see rejected requests. Outside the applications to protect: one in a tree, or
/// all. Clones of one `ConcurrencyLimit` share the limit.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::ConcurrencyLimit;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|_: Request| "x").wrap(ConcurrencyLimit::new(1));
/// let first = pollster::block_on(app.call(Request::get("/")));
/// let client = Client::new(app);
/// // The first response's body is not sent yet.
/// let refused = client.get("/").send();
/// assert_eq!((refused.status().as_u16(), refused.header("retry-after")), (503, Some("1")));
/// drop(first);
/// assert_eq!(client.get("/").send().status(), 200);
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct ConcurrencyLimit {
    limit: usize,
    semaphore: Arc<FairSemaphore>,
    backlog: usize,
    wait: Duration,
    retry_after: Duration,
    sleep: Sleep,
}

impl ConcurrencyLimit {
    /// Allows `limit` concurrent requests, without a queue.
    pub fn new(limit: usize) -> Self {
        ConcurrencyLimit {
            limit,
            semaphore: FairSemaphore::new(limit),
            backlog: 0,
            wait: WAIT,
            retry_after: RETRY,
            sleep: Sleep::default(),
        }
    }

    /// Sets how many more requests may wait in a queue, first come, first served; 0 by default.
    pub fn backlog(mut self, requests: usize) -> Self {
        self.backlog = requests;
        self
    }

    /// Sets how long a request waits before it is rejected; one second by default.
    pub fn wait(mut self, duration: Duration) -> Self {
        self.wait = duration;
        self
    }

    /// Sets `Retry-After` of rejected requests, in whole seconds, rounded up; one second by default.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = delay;
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

    fn refuse(&self) -> Response {
        let cause = format!("the limit of {} concurrent requests is reached", self.limit);
        let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE).caused_by(cause);
        let mut response = error.into_response();
        let value = retry_after(self.retry_after);
        response.headers_mut().insert(RETRY_AFTER, value);
        response
    }
}

impl Middleware for ConcurrencyLimit {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl fmt::Debug for ConcurrencyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("limit", &self.limit)
            .field("backlog", &self.backlog)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

impl Wrapper for ConcurrencyLimit {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let waiting = match self.semaphore.acquire(self.backlog) {
            Acquired::Now(permit) => return call_with_permit(inner, request, permit),
            Acquired::Never => return self.refuse().into(),
            Acquired::Later(waiting) => waiting,
        };
        let (app, options) = (inner.clone(), self.clone());
        Reply::from_future(async move {
            match options.sleep.timeout(options.wait, waiting).await {
                Some(permit) => call_with_permit(&app, request, permit).await,
                None => options.refuse(),
            }
        })
    }

    fn describe(&self) -> Description {
        Description::new("ConcurrencyLimit")
            .option("limit", self.limit)
            .option("backlog", self.backlog)
            .option("wait", self.wait)
    }
}

/// Keeps the permit until the body has ended; a call that is aborted or panics drops it too.
fn call_with_permit(app: &Application, request: Request, permit: Permit) -> Reply {
    let reply = app.call(request);
    reply.map(move |response| response.map(|body| body.on_end(move |_| drop(permit))))
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use enfilade_core::Body;
    use enfilade_testing::{Client, Lint};

    use super::*;

    fn stack(limit: ConcurrencyLimit) -> Application {
        let app = Application::new(|request: Request| match request.path() {
            "/panic" => panic!("on purpose"),
            "/stream" => Body::from_iterator(["a", "b"]),
            _ => Body::from("x"),
        });
        app.wrap(limit).wrap(Lint::new())
    }

    fn status(app: &Application) -> u16 {
        Client::new(app.clone()).get("/").send().status().as_u16()
    }

    #[test]
    fn a_permit_is_kept_until_the_body_has_ended_however_that_is() {
        let app = stack(ConcurrencyLimit::new(1).retry_after(Duration::from_secs(7)));
        for target in ["/", "/stream"] {
            let response = pollster::block_on(app.call(Request::get(target)));
            let refused = Client::new(app.clone()).get("/").send();
            assert_eq!(
                (refused.status().as_u16(), refused.header("retry-after")),
                (503, Some("7"))
            );
            pollster::block_on(response.into_body().collect(10)).unwrap();
            assert_eq!(status(&app), 200);
        }
        // A body dropped halfway, a request aborted before the response, and a panic.
        drop(pollster::block_on(app.call(Request::get("/stream"))));
        assert_eq!(status(&app), 200);
        let call = std::panic::AssertUnwindSafe(|| drop(app.call(Request::get("/panic"))));
        assert!(std::panic::catch_unwind(call).is_err());
        assert_eq!(status(&app), 200);
    }

    #[test]
    fn some_wait_for_their_turn_and_no_more_than_that() {
        let limit = ConcurrencyLimit::new(1)
            .backlog(1)
            .sleep(|_| std::future::pending());
        let app = stack(limit);
        let first = pollster::block_on(app.call(Request::get("/")));
        let mut second = app.call(Request::get("/")).into_future();
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut second).poll(&mut context).is_pending());
        assert_eq!(status(&app), 503);
        drop(first);
        let Poll::Ready(response) = Pin::new(&mut second).poll(&mut context) else {
            panic!("it is its turn")
        };
        assert_eq!(response.status(), 200);
        drop(response);
        assert_eq!(status(&app), 200);
    }

    #[test]
    fn a_newcomer_does_not_overtake_who_waits() {
        let limit = ConcurrencyLimit::new(1)
            .backlog(2)
            .sleep(|_| std::future::pending());
        let app = stack(limit);
        let mut context = Context::from_waker(Waker::noop());
        let first = pollster::block_on(app.call(Request::get("/")));
        let mut second = app.call(Request::get("/")).into_future();
        assert!(Pin::new(&mut second).poll(&mut context).is_pending());
        drop(first);
        // A permit is free, and it belongs to the second.
        let mut third = app.call(Request::get("/")).into_future();
        assert!(Pin::new(&mut third).poll(&mut context).is_pending());
        let Poll::Ready(response) = Pin::new(&mut second).poll(&mut context) else {
            panic!("it is its turn")
        };
        drop(response);
        assert!(Pin::new(&mut third).poll(&mut context).is_ready());
    }

    #[test]
    fn who_waits_too_long_is_refused_and_who_leaves_frees_the_place() {
        let app = stack(
            ConcurrencyLimit::new(1)
                .backlog(1)
                .sleep(|_| std::future::ready(())),
        );
        let first = pollster::block_on(app.call(Request::get("/")));
        assert_eq!(status(&app), 503);
        drop(app.call(Request::get("/")));
        assert_eq!(status(&app), 503);
        drop(first);
        assert_eq!(status(&app), 200);
        assert_eq!(status(&stack(ConcurrencyLimit::new(0))), 503);
    }

    #[test]
    fn keeps_the_laws() {
        enfilade_testing::laws::check(ConcurrencyLimit::new(1_000));
    }
}
