//! The generated application, and its records.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade_core::{
    Application, Body, BodyEnd, BodyError, Handler, Reply, Request, Response, Upgraded, gateway,
    unpoisoned,
};
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, HOST, IF_NONE_MATCH, RANGE, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame};

use super::plan::{BodyPlan, OWN_TRAILER, ResponsePlan, StreamEnding, header_map};

/// After this many bytes an endless stream fails: the component that took them has kept them.
pub(super) const ENDLESS_STOPS_AT: u64 = 8 * 1024 * 1024;
/// The chunk size of an endless stream.
const ENDLESS_CHUNK: usize = 16 * 1024;

/// A mark in the extensions of request and response, to see whether they arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark;

/// What the generated application received.
#[derive(Clone, Debug, Default)]
pub(super) struct Record(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) calls: Vec<ObservedCall>,
    /// How many responses were returned; a future that was dropped earlier returned none.
    pub(super) responses: usize,
    pub(super) ends: Vec<BodyEnd>,
    pub(super) sources_alive: usize,
    pub(super) pulled: u64,
}

/// One call, as it arrived.
#[derive(Debug)]
pub(super) struct ObservedCall {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) has_mark: bool,
    /// The body, if it was read to its end without failure.
    pub(super) body: Option<Bytes>,
}

impl Record {
    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        unpoisoned(self.0.lock())
    }
}

/// An application that follows its plan, and records what it receives.
pub(super) struct GeneratedApplication {
    pub(super) plan: Arc<ResponsePlan>,
    pub(super) record: Record,
}

impl Handler for GeneratedApplication {
    fn call(&self, mut request: Request) -> Reply {
        let at = self.note(&request);
        let (plan, record) = (self.plan.clone(), self.record.clone());
        let condition = plan
            .is_conditional
            .then(|| Condition::of(&request))
            .flatten();
        if plan.waits == 0 && !plan.reads_body {
            return Reply::from(response(&plan, condition, &record));
        }
        Reply::from_future(async move {
            for _ in 0..plan.waits {
                Pause(false).await;
            }
            if plan.reads_body {
                let body = request.take_body().collect(usize::MAX).await.ok();
                if let Some(call) = record.notes().calls.get_mut(at) {
                    call.body = body;
                }
            }
            response(&plan, condition, &record)
        })
    }
}

impl GeneratedApplication {
    fn note(&self, request: &Request) -> usize {
        let calls = &mut self.record.notes().calls;
        calls.push(ObservedCall {
            method: request.method().clone(),
            target: request.uri().to_string(),
            headers: request.headers().clone(),
            has_mark: request.extensions().get::<Mark>().is_some(),
            body: None,
        });
        calls.len() - 1
    }
}

/// The condition of a request that leads to another status than 200.
#[derive(Clone, Copy, Debug)]
enum Condition {
    NotModified,
    FirstByte,
}

impl Condition {
    fn of(request: &Request) -> Option<Condition> {
        let headers = request.headers();
        if headers.contains_key(IF_NONE_MATCH) {
            return Some(Condition::NotModified);
        }
        headers.contains_key(RANGE).then_some(Condition::FirstByte)
    }

    fn apply_to(self, response: &mut Response) {
        match self {
            Condition::NotModified => *response.status_mut() = StatusCode::NOT_MODIFIED,
            Condition::FirstByte => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let range = HeaderValue::from_static("bytes 0-0/*");
                response.headers_mut().insert(CONTENT_RANGE, range);
            }
        }
    }
}

fn response(plan: &ResponsePlan, condition: Option<Condition>, record: &Record) -> Response {
    record.notes().responses += 1;
    let body = match condition {
        Some(Condition::NotModified) => Body::empty(),
        Some(Condition::FirstByte) => Body::from(Bytes::from_static(b"T")),
        None => body(&plan.body, record),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(plan.status).expect("generated between 100 and 599");
    *response.headers_mut() = header_map(&plan.headers);
    if let Some(condition) = condition {
        condition.apply_to(&mut response);
    } else if let Some(length) = plan
        .body
        .content()
        .filter(|content| plan.says_length && !content.is_empty())
    {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, length.len().into());
    }
    response.extensions_mut().insert(Mark);
    let record = record.clone();
    response.map(|body| body.on_end(move |end| record.notes().ends.push(end)))
}

/// The body of a plan; `record` counts how much of it is read.
pub(super) fn body(plan: &BodyPlan, record: &Record) -> Body {
    match plan {
        BodyPlan::Empty => Body::empty(),
        BodyPlan::Full(bytes) => Body::from(bytes.clone()),
        BodyPlan::List(chunks) => Body::from_list(chunks.clone()),
        BodyPlan::Stream {
            chunks,
            pauses,
            ends,
        } => Body::new(GeneratedStream::new(
            record,
            Some(chunks.clone().into_iter()),
            *pauses,
            *ends,
        )),
        BodyPlan::Upgrade => upgrade(),
        BodyPlan::Endless => Body::new(GeneratedStream::new(
            record,
            None,
            false,
            StreamEnding::Badly,
        )),
    }
}

/// The body of an upgrade, as a gateway gets it from an application.
fn upgrade() -> Body {
    let app = Application::new(|request: Request| {
        let upgrade = request
            .upgrade("law")
            .expect("the request below asks for it");
        upgrade.respond(async |_: Upgraded| Ok(()))
    });
    let mut request = Request::get("http://h/");
    for (name, value) in [(HOST, "h"), (CONNECTION, "upgrade"), (UPGRADE, "law")] {
        let value = HeaderValue::from_static(value);
        request.headers_mut().insert(name, value);
    }
    let future = gateway::respond_upgradable(&app, request, gateway::Upgradable::Switching);
    pollster::block_on(future).into_body()
}

/// A stream that records whether it is still held, and how much of it was read.
struct GeneratedStream {
    record: Record,
    /// `None` for a stream without end.
    chunks: Option<std::vec::IntoIter<Bytes>>,
    pauses: bool,
    paused: bool,
    ends: Option<StreamEnding>,
    noise: u64,
}

impl GeneratedStream {
    fn new(
        record: &Record,
        chunks: Option<std::vec::IntoIter<Bytes>>,
        pauses: bool,
        ends: StreamEnding,
    ) -> GeneratedStream {
        record.notes().sources_alive += 1;
        GeneratedStream {
            record: record.clone(),
            chunks,
            pauses,
            paused: false,
            ends: Some(ends),
            noise: 0x9e37_79b9_7f4a_7c15,
        }
    }

    fn next_chunk(&mut self) -> Option<Bytes> {
        match &mut self.chunks {
            Some(chunks) => chunks.find(|chunk| !chunk.is_empty()),
            None if self.record.notes().pulled >= ENDLESS_STOPS_AT => None,
            None => Some(self.noise()),
        }
    }

    /// Bytes of a xorshift generator: no compressor makes them smaller.
    fn noise(&mut self) -> Bytes {
        let mut next = || {
            self.noise ^= self.noise << 13;
            self.noise ^= self.noise >> 7;
            self.noise ^= self.noise << 17;
            self.noise.to_le_bytes()
        };
        (0..ENDLESS_CHUNK / 8).flat_map(|_| next()).collect()
    }
}

impl HttpBody for GeneratedStream {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.pauses && !std::mem::replace(&mut self.paused, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.paused = false;
        if let Some(chunk) = self.next_chunk() {
            self.record.notes().pulled += chunk.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        Poll::Ready(match self.ends.take() {
            Some(StreamEnding::Badly) => {
                Some(Err(BodyError::new("the generated stream fails here")))
            }
            Some(StreamEnding::WithTrailers) => {
                let mut trailers = HeaderMap::new();
                trailers.insert(OWN_TRAILER, HeaderValue::from_static("kept"));
                Some(Ok(Frame::trailers(trailers)))
            }
            Some(StreamEnding::Well) | None => None,
        })
    }
}

impl Drop for GeneratedStream {
    fn drop(&mut self) {
        self.record.notes().sources_alive -= 1;
    }
}

/// Is pending once.
struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
