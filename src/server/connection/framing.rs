//! Checks of an HTTP/1 connection that hyper does not make.
//!
//! They find where heads begin and end, the content of their first line, and how much of a body is overhead.

use memchr::memmem;

use crate::server::connection::close_reason::CloseReason;

/// How many bytes of overhead a chunked body may have before any content, and in addition to [`OVERHEAD_RATE`].
const MAX_OVERHEAD: u64 = 64 * 1024;
/// How many bytes of overhead each byte of content allows: a chunk of one byte has five, and twelve with a size like
/// `00000001`.
const OVERHEAD_RATE: u64 = 16;

/// The part after a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageBody {
    /// Another head, after this many bytes.
    Known(u64),
    /// A chunked body, whose end hyper finds.
    Chunked,
}

/// Tracks the messages of a connection, and passes one head at a time to hyper.
///
/// So every head is checked, also those of pipelined requests. hyper skips bare line feeds and empty lines the same way
/// (RFC 9112, section 2.2).
#[derive(Debug)]
pub struct Framing {
    max_line: usize,
    /// Finds the end of a head that arrives whole, as most do, in one pass.
    end: memmem::Finder<'static>,
    state: FramingState,
    chunked: ChunkedProgress,
    tail: LastBytes,
}

#[derive(Debug)]
enum FramingState {
    Head(HeadProgress),
    /// A whole head was passed to hyper, which has not parsed it yet.
    Given,
    /// This many bytes of a body are left.
    Body(u64),
    Chunked,
    /// hyper has more than one message, so the start of the next one is unknown, until all of them are processed.
    Lost {
        is_chunked: bool,
    },
}

/// How much of a head has arrived.
#[derive(Debug, Default)]
struct HeadProgress {
    /// The number of bytes of the current line, and whether the last one is a carriage return.
    line: usize,
    ends_in_cr: bool,
    /// Whether the first line is complete.
    has_line: bool,
    /// Whether the first line has arrived up to its target.
    has_target: bool,
}

/// The progress of a chunked body.
#[derive(Debug, Default)]
struct ChunkedProgress {
    /// Bytes that hyper has decoded, and those of the latest read, which may not be decoded yet.
    decoded: u64,
    latest: u64,
}

/// The last bytes that were passed to hyper.
#[derive(Debug, Default)]
struct LastBytes([u8; 4]);

impl LastBytes {
    fn take(&mut self, bytes: &[u8]) {
        let all = [
            &self.0[..],
            bytes
                .get(bytes.len().saturating_sub(4)..)
                .unwrap_or_default(),
        ];
        self.0 = all.concat().last_chunk().copied().unwrap_or_default();
    }

    /// Whether the last byte ended an empty line, as at the end of a head and of a chunked body.
    fn is_at_end(&self) -> bool {
        self.0.ends_with(b"\n\r\n") || self.0.ends_with(b"\n\n")
    }
}

impl Framing {
    /// Creates one with the maximum length of a head's first line.
    #[must_use]
    pub fn new(max_line: usize) -> Framing {
        Framing {
            max_line,
            end: memmem::Finder::new(b"\r\n\r\n"),
            state: FramingState::Head(HeadProgress::default()),
            chunked: ChunkedProgress::default(),
            tail: LastBytes::default(),
        }
    }

    /// Processes received bytes; returns how many of them hyper may have now.
    ///
    /// `delivered` is how much content of the body the application got; `None` if no body is being read.
    ///
    /// # Errors
    ///
    /// If the connection is over: hyper gets nothing more.
    pub fn take(&mut self, bytes: &[u8], delivered: Option<u64>) -> Result<usize, CloseReason> {
        if matches!(
            self.state,
            FramingState::Chunked | FramingState::Lost { .. }
        ) && delivered.is_none()
        {
            // All passed bytes are processed, if they end where messages can end.
            self.state = match self.tail.is_at_end() {
                true => FramingState::Head(HeadProgress::default()),
                false => FramingState::Lost { is_chunked: false },
            };
        }
        if matches!(self.state, FramingState::Given) {
            self.state = FramingState::Lost { is_chunked: false };
        }
        match &mut self.state {
            FramingState::Head(head) => {
                let end = match head.whole(bytes, &self.end, self.max_line) {
                    Some(end) => Some(end),
                    None => head.find_end(bytes, self.max_line)?,
                };
                if end.is_some() {
                    self.state = FramingState::Given;
                }
                Ok(end.unwrap_or(bytes.len()))
            }
            FramingState::Body(left) => {
                let count =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= count as u64;
                if *left == 0 {
                    self.state = FramingState::Head(HeadProgress::default());
                }
                Ok(count)
            }
            FramingState::Chunked | FramingState::Lost { .. } | FramingState::Given => {
                let is_chunked = matches!(
                    self.state,
                    FramingState::Chunked | FramingState::Lost { is_chunked: true }
                );
                if is_chunked {
                    self.chunked.take(bytes, delivered.unwrap_or_default())?;
                }
                self.tail.take(bytes);
                Ok(bytes.len())
            }
        }
    }

    /// hyper has parsed a head, and this follows it.
    pub fn begin(&mut self, content: MessageBody) {
        self.state = match (&self.state, content) {
            (FramingState::Given, MessageBody::Known(0)) => {
                FramingState::Head(HeadProgress::default())
            }
            (FramingState::Given, MessageBody::Known(length)) => FramingState::Body(length),
            (FramingState::Given, MessageBody::Chunked) => FramingState::Chunked,
            (_, content) => FramingState::Lost {
                is_chunked: content == MessageBody::Chunked,
            },
        };
        self.chunked = ChunkedProgress::default();
        if !matches!(self.state, FramingState::Lost { .. }) {
            self.tail = LastBytes::default();
        }
    }

    /// Whether a head has begun and is incomplete.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        match &self.state {
            FramingState::Head(head) => head.line > 0 || head.has_line,
            FramingState::Lost { .. } => true,
            FramingState::Given | FramingState::Body(_) | FramingState::Chunked => false,
        }
    }

    /// The minimum number of missing bytes of the message's body; 0 if it may be complete.
    #[must_use]
    pub fn missing(&self) -> u64 {
        match &self.state {
            FramingState::Body(left) => *left,
            FramingState::Chunked if !self.tail.is_at_end() => 1,
            _ => 0,
        }
    }
}

impl HeadProgress {
    /// The end of a head that begins and ends in these bytes; `None` if it has to be checked line by line.
    ///
    /// If only some of its lines end in bare line feeds, bytes after the head may be passed with it. hyper still parses
    /// them correctly, and only the checks here are lost.
    fn whole(&self, bytes: &[u8], end: &memmem::Finder<'_>, max_line: usize) -> Option<usize> {
        if self.line > 0 || self.has_line {
            return None;
        }
        let at = memchr::memchr(b'\n', bytes)?;
        let line = bytes.get(..at)?;
        let is_plain = line.last() == Some(&b'\r') && line.len() > 1 && line.len() <= max_line;
        if !is_plain || memchr::memchr(b'#', line).is_some() {
            return None;
        }
        end.find(bytes).map(|at| at + 4)
    }

    /// The offset after the empty line that ends the head.
    fn find_end(&mut self, bytes: &[u8], max_line: usize) -> Result<Option<usize>, CloseReason> {
        let mut start = 0;
        for at in memchr::memchr_iter(b'\n', bytes) {
            let line = bytes.get(start..at).unwrap_or_default();
            self.extend(line, max_line)?;
            let is_empty = self.line == 0 || self.line == 1 && self.ends_in_cr;
            if is_empty && self.has_line {
                return Ok(Some(at + 1));
            }
            self.has_line |= !is_empty;
            (self.line, self.ends_in_cr) = (0, false);
            start = at + 1;
        }
        self.extend(bytes.get(start..).unwrap_or_default(), max_line)?;
        Ok(None)
    }

    /// Appends to the current line.
    fn extend(&mut self, part: &[u8], max_line: usize) -> Result<(), CloseReason> {
        self.line += part.len();
        self.ends_in_cr = part.last().map_or(self.ends_in_cr, |last| *last == b'\r');
        if self.has_line {
            return Ok(());
        }
        if self.line > max_line {
            return Err(CloseReason::LongLine);
        }
        let target = match self.has_target {
            true => Some(part),
            false => memchr::memchr(b' ', part).and_then(|at| part.get(at..)),
        };
        self.has_target = target.is_some();
        // A target has no fragment (RFC 9112, section 3.2), and the type `Uri` would drop it. The method may contain a
        // `#`.
        match target.is_some_and(|target| memchr::memchr(b'#', target).is_some()) {
            true => Err(CloseReason::Fragment),
            false => Ok(()),
        }
    }
}

impl ChunkedProgress {
    fn take(&mut self, bytes: &[u8], delivered: u64) -> Result<(), CloseReason> {
        // hyper reads on when it has decoded all its bytes.
        self.decoded += std::mem::replace(&mut self.latest, bytes.len() as u64);
        let allowed = MAX_OVERHEAD.saturating_add(delivered.saturating_mul(OVERHEAD_RATE));
        // Content that the application has not taken yet is from the previous read, and no longer than that.
        let undelivered = self.decoded.saturating_sub(delivered);
        if undelivered > allowed {
            return Err(CloseReason::Overhead);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_BODY: Option<u64> = Some(0);

    fn framing() -> Framing {
        Framing::new(20)
    }

    /// The bytes that hyper gets of these parts, as long as no head is parsed.
    fn take(framing: &mut Framing, parts: &[&str]) -> Result<Vec<usize>, CloseReason> {
        parts
            .iter()
            .map(|part| framing.take(part.as_bytes(), None))
            .collect()
    }

    #[test]
    fn a_head_ends_behind_its_empty_line() {
        for (parts, expected) in [
            (&["GET / HTTP/1.1\r\n\r\nabc"][..], &[18][..]),
            (&["GET / HTTP/1.1\n\nabc"], &[16]),
            (&["GET / HTTP/1.1\r\na: b\r\n\r\n"], &[24]),
            (&["GET / HTTP/1.1\r\na: b\n\r\n"], &[23]),
            (&["\r\n\r\nGET / HTTP/1.1\r\n\r\nabc"], &[22]),
            (&["GET / HTTP/1.1\r", "\n", "\r", "\nabc"], &[15, 1, 1, 1]),
            (&["G", "ET / HTTP/1.1\r\na", ": b\r\n\r\nGET"], &[1, 16, 7]),
            (&["GET / HTTP/1.1\r\n\r"], &[17]),
        ] {
            let mut framing = framing();
            assert_eq!(
                take(&mut framing, parts).as_deref(),
                Ok(expected),
                "{parts:?}"
            );
        }
    }

    #[test]
    fn the_first_line_has_a_limit_and_no_fragment() {
        for (parts, expected) in [
            (
                &["GET /aaaaaaaaaaaaaa\r\nb: cccccccccccccccccccccccccccccc\r\n"][..],
                None,
            ),
            (&["GET /aaaaaaaaaaaaaaa\r\n"], Some(CloseReason::LongLine)),
            (&["GET /aaaaaaa", "aaaaaaaaa"], Some(CloseReason::LongLine)),
            (&["\r\nGET /aaaaaaaaaaaaaa\r\n"], None),
            (&["GET /a#b\r\n"], Some(CloseReason::Fragment)),
            (&["GET", " /a", "#b\r\n"], Some(CloseReason::Fragment)),
            (&["G#T /a\r\na: #\r\n"], None),
            (&["G#", "T /a\r\na: #\r\n"], None),
        ] {
            let mut framing = framing();
            assert_eq!(take(&mut framing, parts).err(), expected, "{parts:?}");
        }
    }

    #[test]
    fn every_head_is_handed_over_alone() {
        let mut framing = framing();
        let (first, second) = ("GET /a\r\n\r\n", "GET /b\r\n\r\n");
        assert_eq!(
            take(&mut framing, &[&format!("{first}{second}")]),
            Ok(vec![10])
        );
        framing.begin(MessageBody::Known(0));
        assert_eq!(take(&mut framing, &[second]), Ok(vec![10]));
        framing.begin(MessageBody::Known(5));
        assert_eq!(framing.missing(), 5);
        assert_eq!(framing.take(b"abc", IN_BODY), Ok(3));
        assert_eq!(framing.missing(), 2);
        assert_eq!(framing.take(b"deGET /#x", IN_BODY), Ok(2));
        assert!(!framing.is_in_head());
        assert_eq!(framing.take(b"GET /#x", None), Err(CloseReason::Fragment));
    }

    #[test]
    fn what_follows_a_chunked_body_is_a_head_if_nothing_was_read_beyond_it() {
        for (body, expected) in [
            ("1\r\na\r\n0\r\n\r\n", Err(CloseReason::Fragment)),
            ("0\r\na: b\r\n\r\n", Err(CloseReason::Fragment)),
            ("0\r\n\r\nGET", Ok(7)),
            // A whole head follows, which hyper then has: what comes after that one is known again.
            ("0\r\n\r\nGET /\r\n\r\n", Err(CloseReason::Fragment)),
        ] {
            let mut framing = framing();
            assert_eq!(take(&mut framing, &["POST /\r\n\r\n"]), Ok(vec![10]));
            framing.begin(MessageBody::Chunked);
            assert_eq!(framing.missing(), 1);
            assert_eq!(framing.take(body.as_bytes(), IN_BODY), Ok(body.len()));
            assert_eq!(framing.take(b"GET /#x", None), expected, "{body:?}");
        }
    }

    #[test]
    fn what_is_no_content_of_a_chunked_body_is_bounded() {
        let chunked = || {
            let mut framing = framing();
            take(&mut framing, &["POST /\r\n\r\n"]).unwrap();
            framing.begin(MessageBody::Chunked);
            framing
        };
        let zeros = [b'0'; 1024];
        let mut framing = chunked();
        let passed = (0..1000).take_while(|_| framing.take(&zeros, IN_BODY).is_ok());
        assert_eq!(passed.count(), 65);
        // Ten million chunks of one byte have as many bytes of content.
        let mut framing = chunked();
        let part = b"1\r\na\r\n".repeat(1_000);
        for count in 0..10_000 {
            assert!(framing.take(&part, Some(count * 1_000)).is_ok());
        }
        // The content of one large read that the application has not taken yet.
        let mut framing = chunked();
        assert!(framing.take(&vec![b'x'; 400 * 1024], IN_BODY).is_ok());
        assert!(framing.take(b"x", Some(390 * 1024)).is_ok());
    }
}
