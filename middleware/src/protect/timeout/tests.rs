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
    Application::new(move |request: Request| -> Response { pollster::block_on(app.call(request)) })
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
