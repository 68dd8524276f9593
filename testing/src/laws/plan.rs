//! What is tried: a request, an application, and a client; readable as a counter-example.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// A header of the generated application that has no meaning for wrappers.
pub(super) const OWN_HEADER: HeaderName = HeaderName::from_static("x-law");
/// A trailer of the generated application.
pub(super) const OWN_TRAILER: HeaderName = HeaderName::from_static("x-law-trailer");

/// One plan.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) request: RequestPlan,
    pub(super) response: ResponsePlan,
    pub(super) client: ClientPlan,
}

#[derive(Clone, Debug)]
pub(super) struct RequestPlan {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: BodyPlan,
}

/// The behaviour of the generated application.
#[derive(Clone, Debug)]
pub(super) struct ResponsePlan {
    pub(super) reads_body: bool,
    /// How often it is pending before it responds; 0 means that its reply is ready at once.
    pub(super) waits: u8,
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether it sets `Content-Length` if the length of the body is known.
    pub(super) says_length: bool,
    pub(super) body: BodyPlan,
    /// Whether it responds to `If-None-Match` with a 304, and to `Range` with a 206.
    pub(super) is_conditional: bool,
}

#[derive(Clone, Debug)]
pub(super) enum BodyPlan {
    Empty,
    Full(Bytes),
    List(Vec<Bytes>),
    Stream {
        chunks: Vec<Bytes>,
        pauses: bool,
        ends: StreamEnding,
    },
    /// Bytes that do not compress, without end.
    Endless,
    /// No content: the connection changes to another protocol.
    Upgrade,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnding {
    Well,
    WithTrailers,
    Badly,
}

/// The behaviour of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientPlan {
    ReadsAll,
    /// Disconnects after the reply was polled this often, or at the latest with the head.
    LeavesBeforeHead(u8),
    /// Disconnects after this many frames.
    LeavesAfterFrames(u8),
}

impl BodyPlan {
    /// All its bytes, if it ends without failure.
    pub(super) fn content(&self) -> Option<Bytes> {
        match self {
            BodyPlan::Empty | BodyPlan::Upgrade => Some(Bytes::new()),
            BodyPlan::Full(bytes) => Some(bytes.clone()),
            BodyPlan::List(chunks) => Some(chunks.concat().into()),
            BodyPlan::Stream {
                ends: StreamEnding::Badly,
                ..
            }
            | BodyPlan::Endless => None,
            BodyPlan::Stream { chunks, .. } => Some(chunks.concat().into()),
        }
    }

    pub(super) fn may_have_content(&self) -> bool {
        match self {
            BodyPlan::Empty | BodyPlan::Upgrade => false,
            BodyPlan::Full(bytes) => !bytes.is_empty(),
            BodyPlan::List(chunks) => !chunks.is_empty(),
            BodyPlan::Stream { .. } | BodyPlan::Endless => true,
        }
    }

    pub(super) fn has_trailers(&self) -> bool {
        matches!(
            self,
            BodyPlan::Stream {
                ends: StreamEnding::WithTrailers,
                ..
            }
        )
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RequestPlan {
            method,
            target,
            headers,
            body,
        } = &self.request;
        write!(
            f,
            "  the request\n    {method} {target} HTTP/1.1\n{}    {body}\n",
            Lines(headers)
        )?;
        let response = &self.response;
        let reads = if response.reads_body {
            ", which reads the body"
        } else {
            ""
        };
        let waits = match response.waits {
            0 => String::new(),
            waits => format!(", which waits {waits} times before it responds"),
        };
        let length = if response.says_length {
            " (and its Content-Length)"
        } else {
            ""
        };
        let (status, lines, body) = (response.status, Lines(&response.headers), &response.body);
        write!(
            f,
            "  the application{reads}{waits}\n    {status}\n{lines}    {body}{length}\n"
        )?;
        write!(f, "  the client\n    {}", self.client)
    }
}

impl fmt::Display for BodyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyPlan::Empty => f.write_str("no body"),
            BodyPlan::Full(bytes) => write!(f, "a body of {} in memory", Size(bytes)),
            BodyPlan::List(chunks) => write!(f, "a list of {} in memory", Sizes(chunks)),
            BodyPlan::Stream {
                chunks,
                pauses,
                ends,
            } => {
                let pauses = if *pauses {
                    ", with a pause before each"
                } else {
                    ""
                };
                let ends = match ends {
                    StreamEnding::Well => "",
                    StreamEnding::WithTrailers => ", then trailers",
                    StreamEnding::Badly => ", then a failure",
                };
                write!(f, "a stream of {}{pauses}{ends}", Sizes(chunks))
            }
            BodyPlan::Endless => f.write_str("an endless stream"),
            BodyPlan::Upgrade => f.write_str("an upgrade"),
        }
    }
}

impl fmt::Display for ClientPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientPlan::ReadsAll => f.write_str("reads all"),
            ClientPlan::LeavesBeforeHead(polls) => {
                write!(f, "disconnects before the head, after {polls} polls")
            }
            ClientPlan::LeavesAfterFrames(frames) => {
                write!(f, "disconnects after {frames} frames of the body")
            }
        }
    }
}

struct Lines<'a>(&'a [(HeaderName, HeaderValue)]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| {
            writeln!(f, "    {name}: {}", value.as_bytes().escape_ascii())
        })
    }
}

struct Size<'a>(&'a Bytes);

impl fmt::Display for Size<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 byte"),
            length => write!(f, "{length} bytes"),
        }
    }
}

struct Sizes<'a>(&'a [Bytes]);

impl fmt::Display for Sizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<_> = self.0.iter().map(|chunk| Size(chunk).to_string()).collect();
        match &sizes[..] {
            [] => f.write_str("no chunks"),
            sizes => f.write_str(&sizes.join(", ")),
        }
    }
}

/// The headers of the response, as a map.
pub(super) fn header_map(list: &[(HeaderName, HeaderValue)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in list {
        map.append(name, value.clone());
    }
    map
}
