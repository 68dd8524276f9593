//! The content of a request or response in a case.

use std::collections::vec_deque::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use enfilade::{Body, BoxError, unpoisoned};
use futures_timer::Delay;
use http_body::{Frame, SizeHint};
use serde_json::Value;

use crate::body;
use crate::case::{self, known, number, text, texts};
use crate::observed::Recorder;
use crate::verdict::{Check, fail, unsupported};

/// The bytes that are sent for a body without an end.
const ENDLESS: usize = 8 << 20;
/// The bytes of a file that are read at once.
const PIECE: u64 = 16 * 1024;

/// The keys of a body, of which a case has one; an empty `body` beside another has no effect.
pub(crate) const KEYS: [&str; 5] = [
    "body",
    "body_b64",
    "body_chunks",
    "body_file",
    "body_repeat",
];

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Full(Bytes),
    Chunks(Vec<Bytes>),
    Repeat(Bytes, usize),
    File(Opened),
}

pub(crate) fn content(spec: &Value) -> Check<Content> {
    let said = |key: &&&str| !matches!(&spec[**key], Value::Null) && spec[**key] != "";
    let given: Vec<&&str> = KEYS
        .iter()
        .chain(&["body_chunks_endless"])
        .filter(said)
        .collect();
    let key = match given[..] {
        [] => return Ok(Content::Full(Bytes::new())),
        [key] => *key,
        ref keys => return unsupported(format!("a body by all of {keys:?}")),
    };
    let value = &spec[key];
    match (key, value) {
        ("body", Value::String(text)) => Ok(Content::Full(text.clone().into())),
        ("body_b64", value) => Ok(Content::Full(body::base64(value)?.into())),
        ("body_chunks", value) => {
            let chunks = texts(value)?.into_iter();
            let chunks = chunks.map(|chunk| chunk.to_owned().into());
            Ok(Content::Chunks(chunks.collect()))
        }
        ("body_chunks_endless", Value::String(text)) => {
            // A peer that never stops: some megabytes show it, and the test ends.
            let times = ENDLESS / text.len().max(1);
            Ok(Content::Repeat(text.to_owned().into(), times))
        }
        ("body_repeat", value) => {
            let (text, times) = repeated(value)?;
            Ok(Content::Repeat(text.to_owned().into(), times))
        }
        ("body_file", Value::String(path)) => Opened::of(&case::fixture(path)?),
        ("body_file", value) => {
            let (text, times) = repeated(value)?;
            Opened::of(text.repeat(times).as_bytes())
        }
        (key, value) => unsupported(format!("{key} is {value}")),
    }
}

fn repeated(value: &Value) -> Check<(&str, usize)> {
    known(value, "the body", &["text", "times"])?;
    match (text(value, "text"), number(value, "times")) {
        (Some(text), Some(times)) => Ok((text, usize::try_from(times).unwrap_or(usize::MAX))),
        _ => unsupported(format!("the body {value}")),
    }
}

impl Content {
    /// Returns its bytes, in the parts in which they are sent.
    pub(crate) fn parts(&self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        match self.clone() {
            Content::Full(bytes) => Box::new(std::iter::once(bytes)),
            Content::Chunks(chunks) => Box::new(chunks.into_iter()),
            Content::Repeat(text, times) => Box::new(std::iter::repeat_n(text, times)),
            // A client knows the length of its file.
            Content::File(file) => Box::new(std::iter::once(file.read(0, file.length))),
        }
    }

    /// Whether its length is known before it is sent.
    pub(crate) fn is_sized(&self) -> bool {
        matches!(self, Content::Full(_) | Content::File(_))
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Content::Full(bytes) if bytes.is_empty())
    }

    pub(crate) fn body(&self) -> Body {
        match self {
            Content::Full(bytes) => bytes.clone().into(),
            Content::Chunks(chunks) => Body::from_iterator(chunks.clone()),
            Content::Repeat(text, times) => {
                Body::from_iterator(std::iter::repeat_n(text.clone(), *times))
            }
            Content::File(file) => Body::new(FileBody {
                file: file.clone(),
                at: 0,
            }),
        }
    }
}

/// A file in a directory for temporary files, which is removed with the last handle.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    file: Arc<Mutex<File>>,
    length: u64,
}

impl Opened {
    fn of(content: &[u8]) -> Check<Content> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("enfilade-conformance-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let opened = std::fs::write(&path, content).and_then(|()| File::open(&path));
        // It stays open after its name is removed. If the system cannot do that, it clears the directory later.
        let _ = std::fs::remove_file(&path);
        match opened {
            Ok(file) => Ok(Content::File(Opened {
                file: Arc::new(Mutex::new(file)),
                length: content.len() as u64,
            })),
            Err(error) => fail(format!("a file for a body: {error}")),
        }
    }

    fn read(&self, at: u64, length: u64) -> Bytes {
        let mut file = unpoisoned(self.file.lock());
        let mut content = Vec::new();
        let read = file
            .seek(SeekFrom::Start(at))
            .and_then(|_| file.by_ref().take(length).read_to_end(&mut content));
        match read {
            Ok(_) => content.into(),
            Err(error) => panic!("the file of a body: {error}"),
        }
    }
}

/// A file of known length that is read while it is sent.
struct FileBody {
    file: Opened,
    at: u64,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = self.file.read(self.at, PIECE);
        self.at += piece.len() as u64;
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.file.length - self.at)
    }
}

/// The end of a streamed body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Proper,
    Error,
    Panic,
}

/// The body of an application: its content, and how it is sent.
#[derive(Clone, Debug)]
pub(super) struct Made {
    content: Content,
    /// The number of chunks before the end, and the kind of end.
    after: usize,
    ending: Ending,
    /// The delay before each chunk.
    delay: Option<Duration>,
}

impl Made {
    pub(super) fn new(spec: &Value) -> Check<Made> {
        let content = content(spec)?;
        let delay = number(spec, "chunk_delay_ms").map(Duration::from_millis);
        let (after, ending) = ending(spec);
        let is_plain = delay.is_none() && ending == Ending::Proper;
        if !is_plain && !matches!(content, Content::Chunks(_)) {
            return unsupported(format!("a body that is not a body_chunks, as {spec}"));
        }
        Ok(Made {
            content,
            after,
            ending,
            delay,
        })
    }

    pub(super) fn body(&self, recorder: &Recorder) -> Body {
        let Content::Chunks(chunks) = &self.content else {
            return self.content.body();
        };
        Body::new(Source {
            chunks: chunks.iter().take(self.after).cloned().collect(),
            ending: self.ending,
            delay: self.delay.map(|delay| (delay, Delay::new(delay))),
            recorder: recorder.clone(),
        })
    }
}

/// Returns the number of chunks before an abnormal end.
fn ending(spec: &Value) -> (usize, Ending) {
    for (key, ending) in [
        ("body_error_after", Ending::Error),
        ("body_panic_after", Ending::Panic),
    ] {
        if let Some(after) = number(spec, key) {
            return (usize::try_from(after).unwrap_or(usize::MAX), ending);
        }
    }
    (usize::MAX, Ending::Proper)
}

/// A stream of unknown length, which ends as a case says.
struct Source {
    chunks: VecDeque<Bytes>,
    ending: Ending,
    /// The delay before each chunk, and the wait for the next one.
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

fn panics(message: &str) {
    panic!("{message}")
}
