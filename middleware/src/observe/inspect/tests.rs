use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};

use enfilade_core::{Body, IntoResponse};
use enfilade_testing::{Client, Lint, laws};

use super::*;

#[derive(Clone, Default)]
struct RecordedLines(Arc<Mutex<Vec<String>>>);

impl RecordedLines {
    fn record(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn line(exchange: &Exchange) -> String {
    let status = exchange
        .status()
        .map_or("-".to_owned(), |status| status.as_u16().to_string());
    let (method, uri) = (exchange.method(), exchange.uri());
    format!("{method} {uri} {status} {}s", exchange.elapsed().as_secs())
}

/// Tells of every station; each look at the time takes a second.
fn inspect(recorded: &RecordedLines) -> Inspect {
    let seconds = AtomicU32::new(0);
    let timer = move || Duration::from_secs(seconds.fetch_add(1, Ordering::Relaxed).into());
    let (first, second, third, fourth) = (
        recorded.clone(),
        recorded.clone(),
        recorded.clone(),
        recorded.clone(),
    );
    Inspect::new()
        .timer(timer)
        .on_request(move |request| first.record(format!("request {}", request.path())))
        .on_response(move |exchange, response| {
            let length = response.body().known_length();
            second.record(format!("head {} {length:?}", line(exchange)));
        })
        .on_body_end(move |exchange, end| {
            third.record(format!(
                "end {} {:?} {}",
                line(exchange),
                end.outcome(),
                end.bytes()
            ));
        })
        .on_error(move |exchange, failure| {
            fourth.record(format!("error {} {failure}", line(exchange)));
        })
}

fn linted(app: Application, recorded: &RecordedLines) -> Client {
    let app = app
        .wrap(Lint::new())
        .wrap(inspect(recorded))
        .wrap(Lint::new());
    Client::new(app)
}

#[test]
fn every_station_is_called_once_and_in_order() {
    let recorded = RecordedLines::default();
    let ready = Application::new(|_: Request| "text");
    let pending = Application::new(async |_: Request| Body::from_iterator(["te", "xt"]));
    for (app, length) in [(ready, "Some(4)"), (pending, "None")] {
        linted(app, &recorded).get("/a?b").send();
        let expected = [
            "request /a".to_owned(),
            format!("head GET /a?b 200 1s {length}"),
            "end GET /a?b 200 2s Complete 4".to_owned(),
        ];
        assert_eq!(recorded.lines(), expected);
    }
    linted(Application::new(|_: Request| "text"), &recorded)
        .head("/")
        .send();
    assert_eq!(recorded.lines()[2], "end HEAD / 200 2s Complete 0");
}

#[test]
fn an_error_response_is_reported_with_its_status() {
    let recorded = RecordedLines::default();
    let app = Application::new(|request: Request| {
        let missing = request.path() == "/missing";
        match missing {
            true => StatusCode::NOT_FOUND.into_response(),
            false => HttpError::new(StatusCode::CONFLICT)
                .message("taken")
                .caused_by("a secret")
                .into_response(),
        }
    });
    let client = linted(app, &recorded);
    assert_eq!(client.get("/").send().text(), "taken");
    assert_eq!(
        recorded.lines()[1],
        "error GET / 409 1s responded with 409 taken"
    );
    client.get("/missing").send();
    assert!(
        recorded
            .lines()
            .iter()
            .all(|line| !line.starts_with("error"))
    );
}

struct Failing;

impl http_body::Body for Failing {
    type Data = bytes::Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> enfilade_core::NextFrame {
        Poll::Ready(Some(Err(BodyError::new("cable cut"))))
    }
}

#[test]
fn a_body_that_fails_is_told_once_with_its_cause() {
    let recorded = RecordedLines::default();
    let app = Application::new(|_: Request| Body::new(Failing));
    let response = linted(app, &recorded).get("/").send();
    assert!(response.body_error().is_some());
    assert_eq!(
        recorded.lines()[2..],
        [
            "error GET / 200 2s the body could not be read to its end",
            "end GET / 200 3s Failed 0",
        ]
    );
}

#[test]
fn a_client_that_has_gone_is_no_failure_of_the_body() {
    let recorded = RecordedLines::default();
    let app = Application::new(|_: Request| Body::from_iterator(["te", "xt"]));
    let app = app.wrap(inspect(&recorded));
    let mut body = pollster::block_on(app.call(Request::get("/"))).into_body();
    drop(pollster::block_on(body.frame()));
    drop(body);
    assert_eq!(recorded.lines()[2..], ["end GET / 200 2s Dropped 2"]);
}

#[test]
fn a_request_without_a_response_is_reported() {
    let pending = Application::new(async |_: Request| std::future::pending::<&str>().await);
    let panics = Application::new(|request: Request| match request.path() {
        "/" => panic!("on purpose"),
        _ => "x",
    });
    let late = Application::new(async |request: Request| match request.path() {
        "/" => panic!("on purpose"),
        _ => "x",
    });
    let panicked = "error GET / - 1s the application panicked";
    let aborted = "error GET / - 1s aborted before there was a response";
    for (app, expected) in [(pending, aborted), (panics, panicked), (late, panicked)] {
        let recorded = RecordedLines::default();
        let app = app.wrap(inspect(&recorded));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut response = std::pin::pin!(app.call(Request::get("/")).into_future());
            let mut context = Context::from_waker(Waker::noop());
            assert!(response.as_mut().poll(&mut context).is_pending());
        }));
        assert_eq!(recorded.lines(), ["request /", expected]);
    }
}

#[test]
fn a_body_in_memory_stays_there_and_a_ready_reply_stays_ready() {
    let app = Application::new(|_: Request| "text").wrap(inspect(&RecordedLines::default()));
    let reply = app.call(Request::get("/"));
    let body = reply.as_ready().unwrap().body();
    assert_eq!(body.as_bytes().unwrap(), "text");
}

#[test]
fn is_described_with_what_it_calls() {
    fn inner(_: Request) -> &'static str {
        "x"
    }
    let inspect = Inspect::new().on_request(|_| ()).on_error(|_, _| ());
    let app = Application::new(inner).wrap(inspect);
    assert_eq!(
        app.describe().to_string(),
        "Inspect (calls on: [request, error])\n└─ inner\n"
    );
}

#[test]
fn keeps_the_laws() {
    laws::check(inspect(&RecordedLines::default()));
}
