//! One attempt: the component around the generated application, and a client that polls it by hand.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use enfilade_core::{
    Application, Connection, HttpError, Middleware, Request, Response, unpoisoned,
};
use http::header::{ACCEPT_ENCODING, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body::Body as _;

use super::alarm::Alarm;
use super::plan::{BodyPlan, ClientPlan, Plan, header_map};
use super::subject::{GeneratedApplication, Mark, Record, body};
use crate::lint::Finding;
use crate::lint::Lint;
use crate::lint::Side;
use crate::lint::is_condition;

/// The timeout for a component to wake its task; some components have threads of their own.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The number of frames read of an endless body.
const FRAMES_OF_ENDLESS: u8 = 2;

/// The result of an attempt.
#[derive(Debug, Default)]
pub(super) struct Observation {
    pub(super) panic: Option<String>,
    pub(super) is_stuck: bool,
    /// The request as the component got it, with the changes of the check's author.
    pub(super) sent: Option<SentHead>,
    pub(super) head: Option<ObservedHead>,
    pub(super) content: BytesMut,
    pub(super) trailers: Option<HeaderMap>,
    /// Whether the body was read to its end, and whether that end was good.
    pub(super) ended: Option<BodyEnding>,
    /// The maximum number of bytes taken from the application and not yet passed to the client.
    pub(super) held_back: u64,
    /// The findings of the Lints outside and inside the component, about the component.
    pub(super) findings: Vec<Finding>,
}

#[derive(Debug)]
pub(super) struct ObservedHead {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) has_mark: bool,
    pub(super) is_upgrade: bool,
}

#[derive(Debug)]
pub(super) struct SentHead {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
}

impl SentHead {
    fn of(request: &Request) -> SentHead {
        SentHead {
            method: request.method().clone(),
            target: request.uri().to_string(),
            headers: request.headers().clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnding {
    Well,
    Badly,
}

/// The records of an attempt: what the application received and returned, and how much of the request's body was read.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) response: Record,
    pub(super) request: Record,
}

/// The set-up of attempts: the component, the author's change of requests, and the timer.
pub(super) struct Trial<'a, M> {
    pub(super) middleware: &'a M,
    pub(super) changes: &'a [RequestChange],
    pub(super) alarm: Alarm,
}

/// The change that the author of a check makes to each request.
pub(super) type RequestChange = Arc<dyn Fn(&mut Request) + Send + Sync>;

impl<M: Middleware + Clone> Trial<'_, M> {
    /// Tries a plan on the component.
    pub(super) async fn attempt(&mut self, plan: &Plan) -> (Observation, Records) {
        self.try_each(plan, &[plan]).await
    }

    /// Tries a plan with a client that accepts no coding, with one that accepts several, and with conditions, to which
    /// the application responds with a 304 and a 206.
    pub(super) async fn attempt_variants(&mut self, plan: &Plan) -> Observation {
        let mut plain = plan.clone();
        let headers = &mut plain.request.headers;
        headers.retain(|(name, _)| *name != ACCEPT_ENCODING && !is_condition(name));
        plain.response.is_conditional = true;
        // The heads are enough.
        plain.client = ClientPlan::LeavesAfterFrames(0);
        let with = |name, value| {
            let mut plan = plain.clone();
            let header = (name, HeaderValue::from_static(value));
            plan.request.headers.push(header);
            plan
        };
        let variants = [
            plain.clone(),
            with(IF_NONE_MATCH, "*"),
            with(RANGE, "bytes=0-0"),
            with(ACCEPT_ENCODING, "gzip, deflate, br, zstd"),
        ];
        let variants: Vec<_> = variants.iter().collect();
        self.try_each(&plain, &variants).await.0
    }

    /// Sends the requests of all these plans to one application, that of `plan`.
    async fn try_each(&mut self, plan: &Plan, plans: &[&Plan]) -> (Observation, Records) {
        let (seen, records) = (Mutex::new(Observation::default()), Records::default());
        let (inner, outer) = (Findings::default(), Findings::default());
        let subject = GeneratedApplication {
            plan: Arc::new(plan.response.clone()),
            record: records.response.clone(),
        };
        let app = Application::new(subject).wrap(inner.lint());
        let tried = catch_panic(async {
            let app = app.wrap(self.middleware.clone()).wrap(outer.lint());
            for plan in plans {
                self.drive(plan, &app, &seen, &records).await;
            }
        })
        .await;
        let mut seen = std::mem::take(&mut *lock(&seen));
        seen.findings = of_the_component(&lock(&inner.0), &lock(&outer.0));
        seen.panic = tried
            .err()
            .and_then(|panic| Some(HttpError::from_panic(panic).source()?.to_string()));
        (seen, records)
    }

    async fn drive(
        &mut self,
        plan: &Plan,
        app: &Application,
        seen: &Mutex<Observation>,
        records: &Records,
    ) {
        let mut request = plan.request(&records.request);
        let body = request.take_body();
        self.changes.iter().for_each(|change| change(&mut request));
        *request.body_mut() = body;
        lock(seen)
            .sent
            .get_or_insert_with(|| SentHead::of(&request));
        let mut reply = app.call(request).into_future();
        let polls = match plan.client {
            ClientPlan::LeavesBeforeHead(polls) => Some(polls),
            ClientPlan::ReadsAll | ClientPlan::LeavesAfterFrames(_) => None,
        };
        let poll = |context: &mut Context<'_>| Pin::new(&mut reply).poll(context);
        match wait(&mut self.alarm, poll, polls).await {
            WaitResult::Stuck => lock(seen).is_stuck = true,
            WaitResult::LeftAlone => {}
            WaitResult::Ready(response) if polls.is_none() => {
                self.read(plan, response, seen, &records.response).await;
            }
            WaitResult::Ready(response) => drop(response),
        }
    }

    async fn read(
        &mut self,
        plan: &Plan,
        response: Response,
        seen: &Mutex<Observation>,
        record: &Record,
    ) {
        let (head, mut body) = response.into_parts();
        lock(seen).head = Some(ObservedHead {
            status: head.status,
            has_mark: head.extensions.get::<Mark>().is_some(),
            is_upgrade: body.is_upgrade(),
            headers: head.headers,
        });
        if body.is_upgrade() {
            return;
        }
        let mut frames = match plan.client {
            ClientPlan::LeavesAfterFrames(frames) => frames,
            _ if matches!(plan.response.body, BodyPlan::Endless) => FRAMES_OF_ENDLESS,
            _ => u8::MAX,
        };
        while frames > 0 {
            let poll = |context: &mut Context<'_>| Pin::new(&mut body).poll_frame(context);
            let next = wait(&mut self.alarm, poll, None).await;
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
}

impl Plan {
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

/// The findings of a Lint.
#[derive(Clone, Default)]
struct Findings(Arc<Mutex<Vec<Finding>>>);

impl Findings {
    fn lint(&self) -> Lint {
        let list = self.clone();
        Lint::report(move |finding| lock(&list.0).push(finding))
    }
}

/// The findings of the inner and outer Lints that are the component's fault.
///
/// These are the requests that the inner one sees, and the responses that the outer one sees. Faults that they had
/// before they reached the component are left out: the generated client and application make mistakes on purpose.
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
    /// It was to wake its task, and did not.
    Stuck,
    /// It was polled the maximum number of times.
    LeftAlone,
}

/// Polls until it is ready, at most `polls` times.
async fn wait<T>(
    alarm: &mut Alarm,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    polls: Option<u8>,
) -> WaitResult<T> {
    let bell = Arc::new(BellWaker::default());
    let waker = Waker::from(bell.clone());
    let mut left = polls;
    let mut deadline = None;
    let result = poll_fn(|context| {
        bell.forward_to(context.waker());
        // It is polled at first and when it was woken, not when the alarm rings.
        if deadline.is_none() || bell.is_rung.swap(false, Ordering::AcqRel) {
            if left == Some(0) {
                return Poll::Ready(WaitResult::LeftAlone);
            }
            left = left.map(|left| left - 1);
            if let Poll::Ready(value) = poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(WaitResult::Ready(value));
            }
            deadline = Some(Instant::now() + TIMEOUT);
        }
        let deadline = deadline.unwrap_or_else(Instant::now);
        if bell.is_rung.load(Ordering::Acquire) {
            // The bell was forwarded, so this is polled again.
            return Poll::Pending;
        }
        if Instant::now() >= deadline {
            return Poll::Ready(WaitResult::Stuck);
        }
        alarm.set(deadline, context.waker());
        Poll::Pending
    })
    .await;
    alarm.clear();
    result
}

/// A waker that remembers that it was woken, and wakes the task of the check.
#[derive(Default)]
struct BellWaker {
    is_rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl BellWaker {
    fn forward_to(&self, task: &Waker) {
        let mut known = lock(&self.task);
        if !known.as_ref().is_some_and(|known| known.will_wake(task)) {
            *known = Some(task.clone());
        }
    }
}

impl Wake for BellWaker {
    fn wake(self: Arc<Self>) {
        self.is_rung.store(true, Ordering::Release);
        let task = lock(&self.task).clone();
        task.into_iter().for_each(Waker::wake);
    }
}

/// Returns the output of a future, or its panic.
async fn catch_panic<F: Future>(future: F) -> std::thread::Result<F::Output> {
    let mut future = std::pin::pin!(future);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}
