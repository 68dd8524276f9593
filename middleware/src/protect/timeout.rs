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
/// use std::time::Duration;
///
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::Timeout;
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
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::Waker;

    use enfilade_testing::{Client, Lint};

    use super::*;

    /// A clock that the test advances.
    #[derive(Clone, Default)]
    struct Clock(Arc<Mutex<(bool, Vec<Waker>)>>);

    impl Clock {
        fn strike(&self) {
            let mut clock = self.0.lock().unwrap();
            clock.0 = true;
            clock.1.drain(..).for_each(Waker::wake);
        }

        fn timeout(&self) -> Timeout {
            let clock = self.clone();
            Timeout::new(Duration::from_secs(30)).sleep(move |_| {
                let clock = clock.clone();
                std::future::poll_fn(move |context| {
                    let mut clock = clock.0.lock().unwrap();
                    clock.1.push(context.waker().clone());
                    if clock.0 {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
            })
        }
    }

    /// Reports whether it was dropped.
    struct Held(Arc<AtomicBool>);

    impl Drop for Held {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_late_response_is_never_sent_and_its_work_is_dropped() {
        let clock = Clock::default();
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = dropped.clone();
        let app = Application::new(move |_: Request| {
            let held = Held(flag.clone());
            async move {
                let _held = held;
                std::future::pending::<&str>().await
            }
        });
        let mut reply = app
            .wrap(clock.timeout())
            .call(Request::get("/"))
            .into_future();
        assert!(poll(&mut reply).is_pending());
        assert!(!dropped.load(Ordering::SeqCst));
        clock.strike();
        let Poll::Ready(response) = poll(&mut reply) else {
            panic!("it is time")
        };
        drop(reply);
        assert_eq!(response.status(), 503);
        assert!(dropped.load(Ordering::SeqCst));
        let error = response.extensions().get::<Arc<HttpError>>().unwrap();
        assert_eq!(
            error.source().unwrap().to_string(),
            "no response within 30s"
        );
    }

    #[test]
    fn responds_in_time_and_with_a_custom_response() {
        let clock = Clock::default();
        clock.strike();
        let now = Application::new(|_: Request| "now").wrap(clock.timeout());
        assert_eq!(Client::new(now).get("/").send().text(), "now");
        let soon = Application::new(async |_: Request| "soon").wrap(clock.timeout());
        assert_eq!(Client::new(soon).get("/").send().text(), "soon");
        let never = Application::new(async |_: Request| std::future::pending::<&str>().await);
        let own = clock.timeout().response(|| StatusCode::GATEWAY_TIMEOUT);
        let response = Client::new(never.wrap(own).wrap(Lint::new()))
            .get("/")
            .send();
        assert_eq!((response.status().as_u16(), &*response.text()), (504, ""));
    }

    /// A body with one chunk that then waits forever.
    struct Stuck(bool);

    impl HttpBody for Stuck {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            match std::mem::replace(&mut self.0, true) {
                true => Poll::Pending,
                false => Poll::Ready(Some(Ok(Frame::data("begun".into())))),
            }
        }
    }

    #[test]
    fn a_body_that_pauses_too_long_fails_and_one_may_pause_by_default() {
        for (limit, expected) in [
            (None, None),
            (
                Some(Duration::from_secs(9)),
                Some("timed out reading the body"),
            ),
        ] {
            let clock = Clock::default();
            let mut timeout = clock.timeout();
            timeout.body_idle = limit;
            let app = Application::new(|_: Request| Body::new(Stuck(false))).wrap(timeout);
            let response = pollster::block_on(app.call(Request::get("/")));
            let mut body = response.into_body();
            assert!(poll(&mut Box::pin(body.frame())).is_ready());
            assert!(poll(&mut Box::pin(body.frame())).is_pending());
            clock.strike();
            let next = poll(&mut Box::pin(body.frame()));
            let error = match next {
                Poll::Ready(Some(Err(error))) => Some(error.to_string()),
                _ => None,
            };
            assert_eq!(error.as_deref(), expected);
        }
    }

    #[test]
    fn a_client_that_sends_nothing_is_told_408() {
        let clock = Clock::default();
        clock.strike();
        let timeout = clock.timeout().request_idle(Duration::from_secs(9));
        let app = Application::new(|mut request: Request| async move {
            let content = request.take_body().collect(100).await?;
            Ok::<_, HttpError>(content)
        });
        // The wait for the head ends at once too, so the body is polled in the call.
        let app = around_reading(app).wrap(timeout);
        let mut request = Request::get("/");
        *request.body_mut() = Body::new(Stuck(false));
        let response = pollster::block_on(app.call(request));
        assert_eq!(response.status(), 408);
    }

    /// The same application, but it is ready when its body is.
    fn around_reading(app: Application) -> Application {
        Application::new(move |request: Request| -> Response {
            pollster::block_on(app.call(request))
        })
    }

    #[test]
    fn an_upgrade_stays_one_whatever_the_limits() {
        let app = Application::new(|request: Request| {
            let upgrade = request.upgrade("x").expect("the client asks for it");
            upgrade.respond(async |mut connection| connection.write_all(b"Hello").await)
        });
        let hour = Duration::from_secs(3600);
        let client = Client::new(app.wrap(Timeout::new(hour).body_idle(hour)));
        let (response, connection) = pollster::block_on(client.get("/").upgrade("x"));
        assert_eq!(response.status(), 101);
        let mut connection = connection.expect("an upgrade");
        let mut greeting = [0; 5];
        assert_eq!(
            pollster::block_on(connection.read(&mut greeting)).unwrap(),
            5
        );
        assert_eq!(&greeting, b"Hello");
    }

    #[test]
    fn keeps_the_laws() {
        let hour = Duration::from_secs(3600);
        enfilade_testing::laws::check(Timeout::new(hour).body_idle(hour).request_idle(hour));
    }
}
