//! The innermost application of a case, and what it writes down of the requests it gets.

use std::collections::BTreeMap;
use std::collections::vec_deque::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use enfilade::middleware::OriginalMethod;
use enfilade::middleware::RequestIdValue;
use enfilade::{Application, Body, BoxError, HttpError, IntoResponse, Reply, Request, Response};
use futures_timer::Delay;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use serde_json::{Value, json};

use crate::body;
use crate::case::{known, number, pairs, text, texts};
use crate::observed::Recorder;
use crate::verdict::{Check, refused, unsupported};

/// What is sent for a body that has no end, in bytes.
const ENDLESS: usize = 8 << 20;
/// More than any case sends.
const BODY_LIMIT: usize = 64 << 20;

const KEYS: [&str; 20] = [
    "kind",
    "status",
    "headers",
    "message",
    "body",
    "body_b64",
    "body_chunks",
    "body_repeat",
    "body_error_after",
    "body_panic_after",
    "on_close",
    "trailers",
    "app",
    "name",
    "note",
    "then",
    "when",
    "payload",
    "ms",
    "chunk_delay_ms",
];

/// Makes the application that `spec` describes; `label` is what it calls itself.
pub(crate) fn build(spec: &Value, label: Option<&str>, recorder: &Recorder) -> Check<Application> {
    known(spec, "app", &KEYS)?;
    let message = text(spec, "message").unwrap_or("boom").to_owned();
    let app = match text(spec, "kind").unwrap_or("echo") {
        "echo" => Application::new(|_: Request| "echo"),
        "read_body" => Application::new(|mut request: Request| request.take_body()),
        "fail_if_called" => Application::new(|_: Request| StatusCode::INTERNAL_SERVER_ERROR),
        "fixed" => fixed(spec, recorder)?,
        "error" => Application::new(move |_: Request| -> Result<(), HttpError> {
            Err(std::io::Error::other(message.clone()).into())
        }),
        "panic" => panicking(spec, message)?,
        "sleep" => sleeping(spec, recorder)?,
        other => return unsupported(format!("an app of the kind {other:?}")),
    };
    Ok(recording(app, label, recorder))
}

/// It panics with a text that is formatted, in the call or after a first wait.
fn panicking(spec: &Value, message: String) -> Check<Application> {
    match text(spec, "payload") {
        None | Some("String (formatted)") => {}
        Some(other) => return unsupported(format!("a panic with {other:?}")),
    }
    match text(spec, "when") {
        None => Ok(Application::new(move |_: Request| panics(&message))),
        Some("after first await") => Ok(Application::new(move |_: Request| {
            let message = message.clone();
            async move {
                pause(1).await;
                panics(&message);
            }
        })),
        Some(other) => unsupported(format!("a panic {other:?}")),
    }
}

/// It answers as `then` says, after some milliseconds.
fn sleeping(spec: &Value, recorder: &Recorder) -> Check<Application> {
    let (Some(milliseconds), Some(then)) = (number(spec, "ms"), spec.get("then")) else {
        return unsupported(format!("sleep as {spec}"));
    };
    let then = fixed(then, recorder)?;
    Ok(Application::new(move |request: Request| {
        let then = then.clone();
        async move {
            pause(milliseconds).await;
            then.call(request).await
        }
    }))
}

/// Waits, whatever runtime there is.
async fn pause(milliseconds: u64) {
    Delay::new(Duration::from_millis(milliseconds)).await;
}

/// Makes the application that `spec` describes, by the name that it has there.
pub(crate) fn named(spec: &Value, recorder: &Recorder) -> Check<Application> {
    let label = text(spec, "name").or_else(|| text(spec, "app"));
    build(spec, label, recorder)
}

fn panics(message: &str) {
    panic!("{message}")
}

/// Asks `app`, but for `target`: the request that shows that a connection is still good is answered 200.
pub(crate) fn but_at(app: Application, target: &str) -> Application {
    let target = target.to_owned();
    Application::new(move |request: Request| match request.path() == target {
        true => Reply::new(StatusCode::OK),
        false => app.call(request),
    })
}

/// Writes down every request with its whole body, then asks `app`.
fn recording(app: Application, label: Option<&str>, recorder: &Recorder) -> Application {
    let (label, recorder) = (label.map(str::to_owned), recorder.clone());
    Application::new(move |mut request: Request| {
        recorder.lock().called.push(label.clone());
        let mut saw = describe(&request);
        saw["app"] = json!(label);
        let (app, recorder) = (app.clone(), recorder.clone());
        async move {
            let (content, trailers) = match read(request.take_body()).await {
                Ok(read) => read,
                Err(error) => return HttpError::from(error).into_response(),
            };
            saw["body"] = json!(String::from_utf8_lossy(&content));
            saw["body_length"] = json!(content.len());
            saw["trailers"] = json!(list(&trailers));
            recorder.lock().saw.push(saw);
            *request.body_mut() = content.into();
            app.call(request).await
        }
    })
}

async fn read(mut body: Body) -> Result<(Vec<u8>, HeaderMap), enfilade::Error> {
    let (mut content, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if content.len() + data.len() > BODY_LIMIT => {
                return Err(enfilade::Error::body_too_large());
            }
            Ok(data) => content.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok((content, trailers))
}

/// The head of a request in the words of the cases.
fn describe(request: &Request) -> Value {
    let environ = request.environ();
    let peer = request.connection().peer();
    let cgi: BTreeMap<_, _> = environ.iter().collect();
    json!({
        "method": request.method().as_str(),
        "original_method": request.extensions().get::<OriginalMethod>().map(|sent| sent.0.as_str()),
        "target": request.uri().to_string(),
        "version": format!("{:?}", request.version()),
        "script_name": environ.get("SCRIPT_NAME"),
        "path_info": environ.get("PATH_INFO"),
        "query": environ.get("QUERY_STRING"),
        "scheme": environ.get("wsgi.url_scheme"),
        "host": request.host(),
        "port": request.port(),
        "remote_addr": environ.get("REMOTE_ADDR"),
        "original_remote_addr": peer.map(|peer| peer.ip().to_string()),
        "header_lines": list(request.headers()),
        "header_bytes": hexadecimal(request.headers()),
        "cgi": cgi,
        "request_id": request.extensions().get().map(RequestIdValue::as_str),
    })
}

pub(crate) fn list(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let line = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), text(value));
    headers.iter().map(line).collect()
}

fn hexadecimal(headers: &HeaderMap) -> BTreeMap<String, String> {
    let code = |value: &HeaderValue| {
        value
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), code(value)))
        .collect()
}

/// The content of a request or response, as the cases write it.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Full(Bytes),
    Chunks(Vec<Bytes>),
    Repeat(Bytes, usize),
}

pub(crate) fn content(spec: &Value) -> Check<Content> {
    let given = |key: &str| spec.get(key).filter(|value| !value.is_null());
    if let Some(value) = given("body_b64") {
        return Ok(Content::Full(body::base64(value)?.into()));
    }
    if let Some(value) = given("body_chunks") {
        let chunks = texts(value)?.into_iter();
        return Ok(Content::Chunks(
            chunks.map(|chunk| chunk.to_owned().into()).collect(),
        ));
    }
    if let Some(text) = given("body_chunks_endless").and_then(Value::as_str) {
        // A peer that never stops; some megabytes show it, and the test comes to an end.
        let times = ENDLESS / text.len().max(1);
        return Ok(Content::Repeat(text.to_owned().into(), times));
    }
    if let Some(value) = given("body_repeat") {
        known(value, "body_repeat", &["text", "times"])?;
        let (Some(text), Some(times)) = (text(value, "text"), number(value, "times")) else {
            return unsupported(format!("body_repeat {value}"));
        };
        let times = usize::try_from(times).unwrap_or(usize::MAX);
        return Ok(Content::Repeat(text.to_owned().into(), times));
    }
    match given("body") {
        None => Ok(Content::Full(Bytes::new())),
        Some(Value::String(text)) => Ok(Content::Full(text.clone().into())),
        Some(other) => unsupported(format!("a body of {other}")),
    }
}

impl Content {
    /// Its bytes, in the parts that they are sent in.
    pub(crate) fn parts(&self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        match self.clone() {
            Content::Full(bytes) => Box::new(std::iter::once(bytes)),
            Content::Chunks(chunks) => Box::new(chunks.into_iter()),
            Content::Repeat(text, times) => Box::new(std::iter::repeat_n(text, times)),
        }
    }

    pub(crate) fn body(&self) -> Body {
        match self {
            Content::Full(bytes) => bytes.clone().into(),
            Content::Chunks(chunks) => Body::from_iterator(chunks.clone()),
            Content::Repeat(text, times) => {
                Body::from_iterator(std::iter::repeat_n(text.clone(), *times))
            }
        }
    }
}

/// How a streamed body comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Proper,
    Error,
    Panic,
}

fn fixed(spec: &Value, recorder: &Recorder) -> Check<Application> {
    let status = number(spec, "status").unwrap_or(200);
    let Ok(Ok(status)) = u16::try_from(status).map(StatusCode::from_u16) else {
        return refused(format!("{status} is no status"));
    };
    let headers = header_map(&pairs(spec, "headers")?)?;
    let trailers = header_map(&pairs(spec, "trailers")?)?;
    let (content, ending, recorder) = (content(spec)?, ending(spec)?, recorder.clone());
    let delay = number(spec, "chunk_delay_ms").map(Duration::from_millis);
    Ok(Application::new(move |_: Request| {
        let mut body = made(&content, ending, delay, &recorder);
        if !trailers.is_empty() {
            body = body.with_trailers(trailers.clone());
        }
        recorder.lock().bodies_made += 1;
        let recorder = recorder.clone();
        let mut response = Response::new(body.on_end(move |_| recorder.lock().bodies_closed += 1));
        *response.status_mut() = status;
        *response.headers_mut() = headers.clone();
        response
    }))
}

pub(crate) fn header_map(pairs: &[(&str, &str)]) -> Check<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let parsed = HeaderName::try_from(*name).or_else(refused)?;
        headers.append(
            parsed,
            HeaderValue::from_bytes(value.as_bytes()).or_else(refused)?,
        );
    }
    Ok(headers)
}

/// After how many chunks a body ends otherwise than it should.
fn ending(spec: &Value) -> Check<(usize, Ending)> {
    for (key, ending) in [
        ("body_error_after", Ending::Error),
        ("body_panic_after", Ending::Panic),
    ] {
        if let Some(after) = number(spec, key) {
            return Ok((usize::try_from(after).unwrap_or(usize::MAX), ending));
        }
    }
    Ok((usize::MAX, Ending::Proper))
}

fn made(
    content: &Content,
    (after, ending): (usize, Ending),
    delay: Option<Duration>,
    recorder: &Recorder,
) -> Body {
    let Content::Chunks(chunks) = content else {
        return content.body();
    };
    Body::new(Source {
        chunks: chunks.iter().take(after).cloned().collect(),
        ending,
        delay: delay.map(|delay| (delay, Delay::new(delay))),
        recorder: recorder.clone(),
    })
}

/// A stream of unknown length, which ends as a case says.
struct Source {
    chunks: VecDeque<Bytes>,
    ending: Ending,
    /// How long it waits before each chunk, and the wait for the next one.
    delay: Option<(Duration, Delay)>,
    recorder: Recorder,
}

impl http_body::Body for Source {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some((duration, delay)) = &mut self.delay {
            ready!(Pin::new(&mut *delay).poll(context));
            *delay = Delay::new(*duration);
        }
        let next = self.chunks.pop_front();
        Poll::Ready(match (next, self.ending) {
            (Some(chunk), _) => Some(Ok(Frame::data(chunk))),
            (None, Ending::Error) => Some(Err("the source of the body failed".into())),
            (None, Ending::Panic) => {
                panics("the source of the body panicked");
                None
            }
            (None, Ending::Proper) => {
                self.recorder.lock().sources_ended += 1;
                None
            }
        })
    }
}
