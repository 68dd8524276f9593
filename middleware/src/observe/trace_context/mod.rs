//! The trace of a request, as in the W3C's Trace Context (level 2).

use std::fmt::Write;
use std::num::{NonZeroU64, NonZeroU128};

use enfilade_core::Request;
use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The length of a `traceparent` of version 00, and of the known part of later versions.
const LENGTH: usize = 55;
/// The maximum number of members of a `tracestate` (section 3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// The maximum length of a key, and of a value, in a `tracestate` (sections 3.3.1.3.1 and 3.3.1.3.2).
const MAX_PART: usize = 256;

const SAMPLED: u8 = 0b01;
const RANDOM: u8 = 0b10;

/// A span of a trace: its two IDs, and the data that is propagated with them.
///
/// `Trace` (behind a feature) stores the context of its span in the request's extensions. Inner components can pass it
/// on with their own requests, and put the trace ID into responses and logs.
///
/// # Parsing
///
/// A `traceparent` is parsed strictly: 55 characters, lower case, not repeated, no ID of only zeros, not version `ff`.
/// Of a later version the beginning is parsed if a dash follows (section 3.2.4). A `tracestate` is kept as received if
/// it is well formed and has at most 32 members; otherwise it is dropped, and the `traceparent` stays valid.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::HeaderMap;
/// use enfilade::middleware::TraceContext;
///
/// let mut headers = HeaderMap::new();
/// let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// headers.insert("traceparent", traceparent.parse().unwrap());
/// let context = TraceContext::from_headers(&headers).unwrap();
/// assert_eq!(format!("{:032x}", context.trace_id()), "0af7651916cd43dd8448eb211c80319c");
/// assert!(context.is_sampled());
///
/// // What a client sends on, for a span of its own.
/// let mut sent = HeaderMap::new();
/// context.child(1.try_into().unwrap()).write_to(&mut sent);
/// assert_eq!(sent["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: NonZeroU128,
    span_id: NonZeroU64,
    parent_id: Option<NonZeroU64>,
    flags: u8,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// Starts a new trace, which is not sampled; both IDs are random.
    #[must_use]
    pub fn root(trace_id: NonZeroU128, span_id: NonZeroU64) -> TraceContext {
        TraceContext {
            trace_id,
            span_id,
            parent_id: None,
            flags: RANDOM,
            state: None,
        }
    }

    /// Reads the sender's span from headers; `None` if they are missing or malformed.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<TraceContext> {
        let mut lines = headers.get_all(TRACEPARENT).into_iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let context = parse_traceparent(line.as_bytes())?;
        let state = read_tracestate(headers);
        Some(TraceContext { state, ..context })
    }

    /// Returns the span of this request, if a component outside has set it.
    #[must_use]
    pub fn of(request: &Request) -> Option<&TraceContext> {
        request.extensions().get()
    }

    /// Makes a span inside this one, with a random ID.
    #[must_use]
    pub fn child(&self, span_id: NonZeroU64) -> TraceContext {
        TraceContext {
            span_id,
            parent_id: Some(self.span_id),
            ..self.clone()
        }
    }

    /// Returns the same span, marked as recorded or not recorded.
    #[must_use]
    pub fn sampled(mut self, is_sampled: bool) -> TraceContext {
        self.flags = match is_sampled {
            true => self.flags | SAMPLED,
            false => self.flags & !SAMPLED,
        };
        self
    }

    /// Returns the ID of the trace; in hexadecimal it has 32 digits.
    #[must_use]
    pub fn trace_id(&self) -> NonZeroU128 {
        self.trace_id
    }

    /// Returns the ID of this span; in hexadecimal it has 16 digits.
    #[must_use]
    pub fn span_id(&self) -> NonZeroU64 {
        self.span_id
    }

    /// Returns the ID of the parent span, if it is known.
    #[must_use]
    pub fn parent_id(&self) -> Option<NonZeroU64> {
        self.parent_id
    }

    /// Returns whether the caller may have recorded the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Returns whether the trace ID is marked as random.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.flags & RANDOM != 0
    }

    /// Returns the vendor data of tracing systems, as received.
    #[must_use]
    pub fn tracestate(&self) -> Option<&HeaderValue> {
        self.state.as_ref()
    }

    /// Returns the header `traceparent` for this span.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "hexadecimal digits and dashes")]
    pub fn traceparent(&self) -> HeaderValue {
        let TraceContext {
            trace_id,
            span_id,
            flags,
            ..
        } = self;
        let mut text = String::with_capacity(LENGTH);
        let _ = write!(text, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}");
        HeaderValue::try_from(text).expect("hexadecimal digits and dashes")
    }

    /// Writes the span into headers, and replaces an existing one.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        headers.insert(TRACEPARENT, self.traceparent());
        match &self.state {
            Some(state) => headers.insert(TRACESTATE, state.clone()),
            None => headers.remove(TRACESTATE),
        };
    }

    /// Removes the span from headers.
    pub fn remove_from(headers: &mut HeaderMap) {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
    }
}

/// Section 3.2.2: a version, the trace ID, the span ID, and flags.
fn parse_traceparent(line: &[u8]) -> Option<TraceContext> {
    let (known, rest) = line.split_at_checked(LENGTH)?;
    let mut parts = known.split(|byte| *byte == b'-');
    let version: u8 = parse_hex(parts.next()?, 2)?.try_into().ok()?;
    let is_whole = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => matches!(rest, [] | [b'-', ..]),
    };
    let trace_id = NonZeroU128::new(parse_hex(parts.next()?, 32)?)?;
    let span_id: u64 = parse_hex(parts.next()?, 16)?.try_into().ok()?;
    let flags: u8 = parse_hex(parts.next()?, 2)?.try_into().ok()?;
    let is_whole = is_whole && parts.next().is_none();
    is_whole.then_some(TraceContext {
        trace_id,
        span_id: NonZeroU64::new(span_id)?,
        parent_id: None,
        // Unknown flags are set to zero when they are propagated (section 3.2.2.5).
        flags: flags & (SAMPLED | RANDOM),
        state: None,
    })
}

fn parse_hex(digits: &[u8], length: usize) -> Option<u128> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(u128::from(byte - b'0')),
        b'a'..=b'f' => Some(u128::from(byte - b'a' + 10)),
        _ => None,
    };
    let mut digits = digits.iter().map(digit).filter(|_| digits.len() == length);
    let first = digits.next()??;
    digits.try_fold(first, |number, digit| Some(number << 4 | digit?))
}

/// Joins all field values, if they are well formed together (section 3.3.1).
fn read_tracestate(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines = || headers.get_all(TRACESTATE).into_iter();
    let split = |line: &'_ HeaderValue| line.as_bytes().split(|byte| *byte == b',').count();
    let members = lines().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut members = members.map(<[u8]>::trim_ascii);
    let mut count = 0;
    let is_sound = members.all(|member| {
        count += usize::from(!member.is_empty());
        count <= MAX_MEMBERS && (member.is_empty() || is_member(member))
    });
    // Empty members are allowed, but not any number of them is passed on.
    let is_short = lines().map(split).sum::<usize>() <= 2 * MAX_MEMBERS;
    if !is_sound || !is_short || count == 0 {
        return None;
    }
    let mut all = lines();
    match (all.next(), all.next()) {
        (Some(only), None) => Some(only.clone()),
        _ => {
            let all: Vec<_> = lines().map(HeaderValue::as_bytes).collect();
            HeaderValue::from_bytes(&all.join(&b',')).ok()
        }
    }
}

/// A key and a value (sections 3.3.1.3.1 and 3.3.1.3.2); white space around it is already removed.
fn is_member(member: &[u8]) -> bool {
    let Some(at) = member.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let (key, value) = member.split_at(at);
    let begins = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let goes_on = |byte: &u8| begins(byte) || b"_-*/@".contains(byte);
    let is_value = |byte: &u8| matches!(byte, b' '..=b'~') && !b",=".contains(byte);
    let value = value.get(1..).unwrap_or_default();
    key.first().is_some_and(begins)
        && key.iter().all(goes_on)
        && key.len() <= MAX_PART
        && (1..=MAX_PART).contains(&value.len())
        && value.iter().all(is_value)
}

#[cfg(test)]
mod tests;
