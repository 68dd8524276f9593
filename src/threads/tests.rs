use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use enfilade_core::{Application, Body, HttpError};
use enfilade_middleware::CatchPanic;
use enfilade_testing::{Client, Lint};

use super::*;

/// Returns a gate that a closure waits at, and the sender that opens it.
fn gate() -> (impl Fn() + Send + Sync + 'static, mpsc::Sender<()>) {
    let (open, opened) = mpsc::channel();
    let opened = Mutex::new(opened);
    let wait = move || {
        let _ = opened.lock().unwrap().recv();
    };
    (wait, open)
}

#[test]
fn runs_on_another_thread_and_reads_the_body_there() {
    let caller = std::thread::current().id();
    let app = blocking(move |mut request: Request| -> Result<String, HttpError> {
        assert_ne!(std::thread::current().id(), caller);
        let mut text = String::new();
        BodyReader::new(request.take_body()).read_to_string(&mut text)?;
        Ok(text)
    });
    let client = Client::new(Application::new(app).wrap(Lint::new()));
    let body = Body::from_iterator(["ro", "", "ses"]);
    assert_eq!(client.post("/").body(body).send().text(), "roses");
    let broken = Body::new(Broken);
    let response = client.post("/").body(broken).send();
    assert_eq!(response.status(), 400, "the client aborted the body");
}

/// A body that fails at once.
struct Broken;

impl http_body::Body for Broken {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Ready(Some(Err(std::io::Error::other("gone"))))
    }
}

#[test]
fn requests_beyond_the_backlog_get_a_503_with_retry_after() {
    let (wait, open) = gate();
    let app = blocking(move |_: Request| {
        wait();
        "done"
    });
    let app = Application::new(app.threads(1).backlog(1));
    let running = app.call(Request::get("/"));
    let waiting = app.call(Request::get("/"));
    let response = app.call(Request::get("/")).try_into_response().unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    drop(waiting);
    let next = app.call(Request::get("/"));
    assert!(
        !next.is_ready(),
        "the place of a dropped future is free again"
    );
    open.send(()).unwrap();
    open.send(()).unwrap();
    for reply in [running, next] {
        let response = pollster::block_on(reply);
        assert_eq!(response.body().as_bytes().unwrap(), "done");
    }
}

#[test]
fn a_request_dropped_while_it_waits_is_not_called() {
    let calls = Arc::new(AtomicUsize::new(0));
    let app = Application::new(blocking({
        let calls = calls.clone();
        move |_: Request| calls.fetch_add(1, Ordering::SeqCst).to_string()
    }));
    drop(app.call(Request::get("/")));
    let response = pollster::block_on(app.call(Request::get("/")));
    assert_eq!(response.body().as_bytes().unwrap(), "0");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panic_is_a_500_for_that_request_only() {
    let app = blocking(|request: Request| match request.path() {
        "/panic" => panic!("boom"),
        _ => "well",
    });
    let app = Application::new(app.threads(1));
    for app in [app.clone(), app.wrap(CatchPanic::new())] {
        let client = Client::new(app);
        assert_eq!(client.get("/panic").send().status(), 500);
        assert_eq!(client.get("/").send().text(), "well");
    }
}

#[test]
fn clones_share_their_threads() {
    let app = blocking(|_: Request| "x").threads(1).backlog(0);
    let taken = app.clone().call(Request::get("/"));
    let response = app.call(Request::get("/")).try_into_response().unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(pollster::block_on(taken).status(), 200);
}

#[test]
fn is_described_by_its_function() {
    fn report(_: Request) -> &'static str {
        "x"
    }
    let tree = Application::new(blocking(report).threads(2)).describe();
    assert_eq!(tree.to_string(), "report (form: blocking, threads: 2)\n");
}

/// A response whose body panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("boom");
    }
}

#[test]
fn a_response_that_panics_when_dropped_frees_its_thread() {
    let (wait, open) = gate();
    let app = blocking(move |request: Request| {
        if request.path() == "/bomb" {
            wait();
            let bomb = Bomb;
            return Body::from("x").on_end(move |_| drop(bomb));
        }
        Body::from("done")
    });
    let app = Application::new(app.threads(1).backlog(0));
    let mut bomb = app.call(Request::get("/bomb")).into_future();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(
        std::pin::Pin::new(&mut bomb)
            .poll(&mut context)
            .is_pending()
    );
    // The client has disconnected, so the response is dropped on the thread.
    drop(bomb);
    open.send(()).unwrap();
    loop {
        let response = pollster::block_on(app.call(Request::get("/")));
        match response.status().as_u16() {
            200 => break,
            status => assert_eq!(status, 503),
        }
        std::thread::yield_now();
    }
}
