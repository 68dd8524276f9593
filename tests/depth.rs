//! A deep stack of wrappers fits into the stack of a thread.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

use std::io::Write;
use std::sync::{Arc, Mutex};

use enfilade::middleware::{AccessLog, Compression, Headers, NotFound};
use enfilade::{Application, Pipeline, Reply, Request, around};
use enfilade_testing::Client;

/// The default of tokio for its workers, and of Rust for its threads.
const STACK: usize = 2 * 1024 * 1024;
const WRAPPERS: usize = 500;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn synchronous(app: Application) -> Application {
    app.wrap(around("synchronous", |inner, request| {
        inner.call(request).map(|mut response| {
            let one = "1".parse().unwrap();
            response.headers_mut().append("x-synchronous", one);
            response
        })
    }))
}

/// Calls the inner application in the future, so that calling is as deep as polling.
fn asynchronous(app: Application) -> Application {
    app.wrap(around("asynchronous", |inner, request| {
        let inner = inner.clone();
        Reply::from_future(async move {
            let mut response = inner.call(request).await;
            let one = "1".parse().unwrap();
            response.headers_mut().append("x-asynchronous", one);
            response
        })
    }))
}

/// Five wrappers, each of which changes every response.
fn five(log: &AccessLog) -> Pipeline {
    let headers = Headers::new().append("x-headers", "1").unwrap();
    Pipeline::new()
        .with(synchronous)
        .with(asynchronous)
        .with(headers)
        .with(log.clone())
        .with(Compression::new())
}

fn build(log: &AccessLog, app: Application) -> Application {
    (0..WRAPPERS / 5).fold(app, |app, _| app.wrap(five(log)))
}

/// Runs `test` on a thread with a stack of the usual size; an overflow ends the process.
fn on_a_thread(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(test).unwrap().join().unwrap();
}

fn check(app: Application) {
    let memory = Memory::default();
    let log = AccessLog::common().writer(memory.clone());
    let app = build(&log, app);
    drop(log);

    let response = Client::new(app.clone())
        .get("/")
        .header("accept-encoding", "gzip")
        .send();
    assert_eq!(response.status(), 200);
    for name in ["x-synchronous", "x-asynchronous", "x-headers"] {
        let count = response.headers().get_all(name).iter().count();
        assert_eq!(count, WRAPPERS / 5, "{name}");
    }
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.header("vary"), Some("accept-encoding"));

    let tree = app.describe().to_string();
    assert_eq!(tree.lines().count(), WRAPPERS + 1);
    assert!(tree.starts_with("synchronous\n└─ asynchronous\n   └─ Headers"));

    drop(app);
    let written = memory.0.lock().unwrap();
    let lines = written.split(|&byte| byte == b'\n');
    assert_eq!(lines.filter(|line| !line.is_empty()).count(), WRAPPERS / 5);
}

#[test]
fn five_hundred_wrappers_around_a_ready_response() {
    on_a_thread(|| check(Application::new(|_: Request| "la ".repeat(1000))));
}

#[test]
fn five_hundred_wrappers_around_a_pending_response() {
    on_a_thread(|| {
        check(Application::new(|_: Request| async {
            tokio::task::yield_now().await;
            "la ".repeat(1000)
        }));
    });
}

#[test]
fn a_request_that_is_dropped_inside_five_hundred_wrappers() {
    on_a_thread(|| {
        let memory = Memory::default();
        let log = AccessLog::common().writer(memory.clone());
        let app = Application::new(|_: Request| async { std::future::pending::<()>().await });
        let app = build(&log, app);
        drop(log);
        let mut reply = app.call(Request::get("/")).into_future();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(
            std::pin::Pin::new(&mut reply)
                .poll(&mut context)
                .is_pending()
        );
        drop((reply, app));
        let written = memory.0.lock().unwrap();
        let text = std::str::from_utf8(&written).unwrap();
        assert_eq!(
            text.matches("\"GET / HTTP/1.1\" 499 -\n").count(),
            WRAPPERS / 5
        );
    });
}

#[test]
fn as_many_wrappers_of_one_kind() {
    let log = AccessLog::common().writer(std::io::sink());
    let headers = Headers::new().set("x-headers", "1").unwrap();
    let missing = Application::new(|_: Request| "missing");
    // The size of a level in a debug build, if the innermost reply is pending: 3.4 KiB if a future calls and awaits,
    // 4.7 KiB in a fallback, so that 400 of these fit; less than 1 KiB in the others.
    let kinds = [
        (WRAPPERS, Pipeline::new().with(synchronous)),
        (WRAPPERS, Pipeline::new().with(asynchronous)),
        (WRAPPERS, Pipeline::new().with(headers)),
        (WRAPPERS, Pipeline::new().with(log)),
        (WRAPPERS, Pipeline::new().with(Compression::new())),
        (300, Pipeline::new().with(NotFound::new(missing))),
    ];
    for (count, kind) in kinds {
        on_a_thread(move || {
            let app = Application::new(|_: Request| async { "pending" });
            let app = (0..count).fold(app, |app, _| app.wrap(kind.clone()));
            let response = Client::new(app.clone()).get("/").send();
            assert_eq!(response.text(), "pending");
            assert!(app.describe().to_string().lines().count() > count);
        });
    }
}
