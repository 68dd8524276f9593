//! One try: the component around the generated application, and a client that drives it by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use enfilade_core::{
    Application, Connection, HttpError, Middleware, Request, Response, unpoisoned,
};
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body::Body as _;

use super::plan::{BodyPlan, ClientPlan, Plan, header_map};
use super::subject::{GeneratedApplication, Mark, Record, body};
use crate::lint::Finding;
use crate::lint::Lint;
use crate::lint::Side;

/// How long a component may take to wake whoever waits for it; some have threads of their own.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How many frames are read of an endless body.
const FRAMES_OF_ENDLESS: u8 = 2;

/// What came of a try.
#[derive(Debug, Default)]
pub(super) struct Observation {
    pub(super) panic: Option<String>,
    pub(super) is_stuck: bool,
    pub(super) head: Option<ObservedHead>,
    pub(super) content: BytesMut,
    pub(super) trailers: Option<HeaderMap>,
    /// Whether the body was read to its end, and whether that was a good one.
    pub(super) ended: Option<BodyEnding>,
    /// The most bytes that were taken from the application and not given to the client yet.
    pub(super) held_back: u64,
    /// What the Lints said that stand outside and inside the component, of the component.
    pub(super) findings: Vec<Finding>,
}

#[derive(Debug)]
pub(super) struct ObservedHead {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) has_mark: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnding {
    Well,
    Badly,
}

/// The records of a try: what the application saw and gave, and what was taken of the request's body.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) response: Record,
    pub(super) request: Record,
}

impl Plan {
    /// Tries the plan on a component.
    pub(super) fn attempt<M: Middleware + Clone>(&self, middleware: &M) -> (Observation, Records) {
        self.try_each(middleware, &[self])
    }

    /// Tries it with a client that takes no coding, and with one that takes what there is.
    pub(super) fn attempt_codings<M: Middleware + Clone>(&self, middleware: &M) -> Observation {
        let mut plain = self.clone();
        let headers = &mut plain.request.headers;
        headers.retain(|(name, _)| *name != ACCEPT_ENCODING);
        // The heads say it all.
        plain.client = ClientPlan::LeavesAfterFrames(0);
        let mut compressed = plain.clone();
        let codings = HeaderValue::from_static("gzip, deflate, br, zstd");
        compressed.request.headers.push((ACCEPT_ENCODING, codings));
        self.try_each(middleware, &[&plain, &compressed]).0
    }

    /// Sends the requests of all these plans to one application, which is that of this one.
    fn try_each<M: Middleware + Clone>(
        &self,
        middleware: &M,
        plans: &[&Plan],
    ) -> (Observation, Records) {
        let (seen, records) = (Mutex::new(Observation::default()), Records::default());
        let (inner, outer) = (Findings::default(), Findings::default());
        let subject = GeneratedApplication {
            plan: Arc::new(self.response.clone()),
            record: records.response.clone(),
        };
        let app = Application::new(subject).wrap(inner.lint());
        let tried = catch_unwind(AssertUnwindSafe(|| {
            let app = app.wrap(middleware.clone()).wrap(outer.lint());
            for plan in plans {
                plan.drive(&app, &seen, &records);
            }
        }));
        let mut seen = std::mem::take(&mut *lock(&seen));
        seen.findings = of_the_component(&lock(&inner.0), &lock(&outer.0));
        seen.panic = tried
            .err()
            .and_then(|panic| Some(HttpError::from_panic(panic).source()?.to_string()));
        (seen, records)
    }

    fn drive(&self, app: &Application, seen: &Mutex<Observation>, records: &Records) {
        let mut reply = app.call(self.request(&records.request)).into_future();
        let polls = match self.client {
            ClientPlan::LeavesBeforeHead(polls) => Some(polls),
            ClientPlan::ReadsAll | ClientPlan::LeavesAfterFrames(_) => None,
        };
        match wait(|context| Pin::new(&mut reply).poll(context), polls) {
            WaitResult::Stuck => lock(seen).is_stuck = true,
            WaitResult::LeftAlone => {}
            WaitResult::Ready(response) if polls.is_none() => {
                self.read(response, seen, &records.response)
            }
            WaitResult::Ready(response) => drop(response),
        }
    }

    fn read(&self, response: Response, seen: &Mutex<Observation>, record: &Record) {
        let (head, mut body) = response.into_parts();
        lock(seen).head = Some(ObservedHead {
            status: head.status,
            has_mark: head.extensions.get::<Mark>().is_some(),
            headers: head.headers,
        });
        let mut frames = match self.client {
            ClientPlan::LeavesAfterFrames(frames) => frames,
            _ if matches!(self.response.body, BodyPlan::Endless) => FRAMES_OF_ENDLESS,
            _ => u8::MAX,
        };
        while frames > 0 {
            let next = wait(|context| Pin::new(&mut body).poll_frame(context), None);
            let mut seen = lock(seen);
            let ended = match next {
                WaitResult::Ready(Some(Ok(frame))) => {
                    seen.take(frame);
                    let held_back = record
                        .notes()
                        .pulled
                        .saturating_sub(seen.content.len() as u64);
                    seen.held_back = seen.held_back.max(held_back);
                    None
                }
                WaitResult::Ready(Some(Err(_))) => Some(BodyEnding::Badly),
                WaitResult::Ready(None) => Some(BodyEnding::Well),
                WaitResult::Stuck | WaitResult::LeftAlone => {
                    seen.is_stuck = true;
                    return;
                }
            };
            seen.ended = ended;
            if ended.is_some() {
                return;
            }
            frames -= 1;
        }
    }

    fn request(&self, record: &Record) -> Request {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        let plan = &self.request;
        parts.method = Method::from_bytes(plan.method.as_bytes()).expect("a generated token");
        parts.uri = plan.target.parse::<Uri>().expect("a generated target");
        parts.headers = header_map(&plan.headers);
        parts.extensions.insert(Mark);
        let peer = "192.0.2.7:4711".parse().expect("an address");
        Request::from_parts(
            parts,
            body(&plan.body, record),
            Connection::default().with_peer(peer),
        )
    }
}

/// What a Lint found.
#[derive(Clone, Default)]
struct Findings(Arc<Mutex<Vec<Finding>>>);

impl Findings {
    fn lint(&self) -> Lint {
        let list = self.clone();
        Lint::report(move |finding| lock(&list.0).push(finding))
    }
}

/// Of what the Lints inside and outside the component say, what is its doing.
///
/// The requests that the inner one sees are, and the answers that the outer one sees; but not what was wrong with them
/// when they came to the component: the generated client and application do wrong at times.
fn of_the_component(inner: &[Finding], outer: &[Finding]) -> Vec<Finding> {
    let made = |side, here: &[Finding], before: &[Finding]| -> Vec<Finding> {
        let new = |finding: &&Finding| {
            finding.side() == side && !before.iter().any(|known| known.is_same_fault(finding))
        };
        here.iter().filter(new).cloned().collect()
    };
    let mut found = made(Side::Gateway, inner, outer);
    found.extend(made(Side::Application, outer, inner));
    found
}

impl Observation {
    fn take(&mut self, frame: http_body::Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => self.content.extend_from_slice(&data),
            Err(frame) => self.trailers = frame.into_trailers().ok(),
        }
    }
}

enum WaitResult<T> {
    Ready(T),
    /// It said that it would wake somebody, and did not.
    Stuck,
    /// It was polled as often as was allowed.
    LeftAlone,
}

/// Polls until it is ready, at most `polls` times.
fn wait<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>, polls: Option<u8>) -> WaitResult<T> {
    let bell = Arc::new(BellWaker::default());
    let waker = Waker::from(bell.clone());
    let mut left = polls;
    loop {
        if left == Some(0) {
            return WaitResult::LeftAlone;
        }
        left = left.map(|left| left - 1);
        match poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return WaitResult::Ready(value),
            Poll::Pending if bell.wait() => {}
            Poll::Pending => return WaitResult::Stuck,
        }
    }
}

/// A waker that can be waited for.
#[derive(Default)]
struct BellWaker {
    rung: Mutex<bool>,
    ringing: Condvar,
}

impl BellWaker {
    /// Whether it rang in time.
    fn wait(&self) -> bool {
        let silent = |rung: &mut bool| !*rung;
        let waited = self
            .ringing
            .wait_timeout_while(lock(&self.rung), TIMEOUT, silent);
        let (mut rung, _) = unpoisoned(waited);
        std::mem::take(&mut *rung)
    }
}

impl Wake for BellWaker {
    fn wake(self: Arc<Self>) {
        *lock(&self.rung) = true;
        self.ringing.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}
