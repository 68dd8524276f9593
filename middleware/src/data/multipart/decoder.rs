//! An incremental decoder of multipart bodies, without I/O.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;

use super::boundary;
use super::error::MultipartError;
use super::limits::MultipartLimits;
use super::part_head::PartHead;

/// What a [`MultipartDecoder`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultipartEvent {
    /// A part begins.
    Part(PartHead),
    /// Content of the part; never empty.
    Data(Bytes),
    /// The part is complete.
    PartEnd,
    /// The last boundary was read; what follows is ignored.
    End,
}

/// Decodes a multipart body (RFC 7578, RFC 2046) from pieces of any length, without I/O.
///
/// Lines end with CRLF. Content is passed on as slices of the pieces, so one piece and the start of a boundary are all that is held.
/// Each limit of [`MultipartLimits`] is checked before more is read.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::bytes::Bytes;
/// use enfilade::middleware::{MultipartDecoder, MultipartEvent, MultipartLimits};
///
/// # fn main() -> Result<(), enfilade::middleware::MultipartError> {
/// let mut decoder = MultipartDecoder::new(b"edge", MultipartLimits::new())?;
/// decoder.feed(Bytes::from("--edge\r\ncontent-disposition: form-data; name=\"room\"\r\n\r\nsal"))?;
/// let Some(MultipartEvent::Part(head)) = decoder.next_event()? else { panic!() };
/// assert_eq!(head.name(), "room");
/// assert_eq!(decoder.next_event()?, Some(MultipartEvent::Data("sal".into())));
/// assert_eq!(decoder.next_event()?, None); // it needs more
///
/// decoder.feed(Bytes::from("on\r\n--edge--\r\n"))?;
/// assert_eq!(decoder.next_event()?, Some(MultipartEvent::Data("on".into())));
/// assert_eq!(decoder.next_event()?, Some(MultipartEvent::PartEnd));
/// assert_eq!(decoder.next_event()?, Some(MultipartEvent::End));
/// decoder.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MultipartDecoder {
    limits: MultipartLimits,
    /// CRLF, two hyphens and the boundary.
    delimiter: Finder<'static>,
    state: State,
    buffer: Bytes,
    /// How much of the buffer was searched in vain.
    searched: usize,
    usage: Usage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary; the bytes that were skipped.
    Preamble(usize),
    /// Behind a boundary.
    Boundary,
    /// In the headers of a part.
    Head,
    /// In the content of a part.
    Content,
    /// Behind the last boundary; the bytes that were skipped.
    Epilogue(usize),
    /// After an error.
    Failed,
}

/// How much of each limit is used.
#[derive(Debug, Default)]
struct Usage {
    total: u64,
    parts: usize,
    files: usize,
    fields: u64,
    part: u64,
    is_file: bool,
}

impl MultipartDecoder {
    /// Makes a decoder for a body with this boundary, which is a parameter of its `Content-Type`.
    ///
    /// # Errors
    ///
    /// If the boundary is empty, longer than 70 characters, or has a character that it cannot have (RFC 2046, section 5.1.1).
    pub fn new(
        boundary: &[u8],
        limits: MultipartLimits,
    ) -> Result<MultipartDecoder, MultipartError> {
        boundary::check(boundary)?;
        let delimiter = [b"\r\n--", boundary].concat();
        Ok(MultipartDecoder {
            limits,
            delimiter: Finder::new(&delimiter).into_owned(),
            state: State::Preamble(0),
            // The first boundary needs no CRLF before it; with one it is like the others.
            buffer: Bytes::from_static(b"\r\n"),
            searched: 0,
            usage: Usage::default(),
        })
    }

    /// Adds the next piece of the body. Take all events before the next piece: pieces that wait are copied together.
    ///
    /// # Errors
    ///
    /// If the body is longer than the limit.
    pub fn feed(&mut self, piece: Bytes) -> Result<(), MultipartError> {
        self.usage.total = self.usage.total.saturating_add(piece.len() as u64);
        if self.usage.total > self.limits.total_bytes {
            return self.fail(MultipartError::too_much("bytes", self.limits.total_bytes));
        }
        if self.buffer.is_empty() {
            self.buffer = piece;
        } else if !piece.is_empty() {
            let waiting = std::mem::take(&mut self.buffer).try_into_mut();
            let mut joined = waiting.unwrap_or_else(|shared| {
                let mut own = BytesMut::with_capacity(shared.len() + piece.len());
                own.extend_from_slice(&shared);
                own
            });
            joined.extend_from_slice(&piece);
            self.buffer = joined.freeze();
        }
        Ok(())
    }

    /// Returns the next event; `None` if more of the body is needed.
    ///
    /// # Errors
    ///
    /// If the body is malformed or exceeds a limit. Each further call returns an error too.
    pub fn next_event(&mut self) -> Result<Option<MultipartEvent>, MultipartError> {
        let event = self.step();
        if event.is_err() {
            self.state = State::Failed;
            self.buffer = Bytes::new();
        }
        event
    }

    /// Checks that the body was complete, when there are no more pieces.
    ///
    /// # Errors
    ///
    /// If it ended before its last boundary.
    pub fn finish(&self) -> Result<(), MultipartError> {
        match self.state {
            State::Epilogue(_) => Ok(()),
            _ => Err(MultipartError::incomplete()),
        }
    }

    fn step(&mut self) -> Result<Option<MultipartEvent>, MultipartError> {
        loop {
            let event = match self.state {
                State::Preamble(skipped) => {
                    self.preamble(skipped)?;
                    match self.state {
                        State::Boundary => continue,
                        _ => return Ok(None),
                    }
                }
                State::Boundary => match self.boundary()? {
                    Some(State::Head) => {
                        self.state = State::Head;
                        continue;
                    }
                    Some(state) => {
                        self.state = state;
                        return Ok(Some(MultipartEvent::End));
                    }
                    None => return Ok(None),
                },
                State::Head => self.head()?.map(MultipartEvent::Part),
                State::Content => self.content()?,
                State::Epilogue(skipped) => {
                    let skipped = skipped + self.buffer.len();
                    self.buffer.clear();
                    self.state = State::Epilogue(skipped);
                    if skipped > self.limits.preamble_bytes {
                        let limit = self.limits.preamble_bytes as u64;
                        return Err(MultipartError::too_much("bytes after the last part", limit));
                    }
                    return Ok(None);
                }
                State::Failed => return Err(MultipartError::malformed("it failed before")),
            };
            return Ok(event);
        }
    }

    /// Skips what stands before the first boundary.
    fn preamble(&mut self, skipped: usize) -> Result<(), MultipartError> {
        let (ready, found) = self.search();
        self.buffer.advance(ready);
        self.searched = 0;
        let skipped = skipped + ready;
        // With the CRLF that the decoder itself put before the first boundary.
        if skipped > self.limits.preamble_bytes.saturating_add(2) {
            let limit = self.limits.preamble_bytes as u64;
            return Err(MultipartError::too_much(
                "bytes before the first part",
                limit,
            ));
        }
        self.state = State::Preamble(skipped);
        if found {
            self.pass_delimiter();
        }
        Ok(())
    }

    /// How much of the buffer is before a delimiter, or before what may become one; and whether a delimiter is there.
    fn search(&self) -> (usize, bool) {
        if let Some(at) = self.delimiter.find(&self.buffer) {
            return (at, true);
        }
        let delimiter = self.delimiter.needle();
        // The longest end of the buffer that a delimiter begins with. A delimiter has one CR, so the last one decides.
        let from = self.buffer.len().saturating_sub(delimiter.len() - 1);
        let tail = self.buffer.get(from..).unwrap_or_default();
        match memchr::memrchr(b'\r', tail) {
            Some(at) if tail.get(at..).is_some_and(|end| delimiter.starts_with(end)) => {
                (from + at, false)
            }
            _ => (self.buffer.len(), false),
        }
    }

    fn pass_delimiter(&mut self) {
        self.buffer.advance(self.delimiter.needle().len());
        self.state = State::Boundary;
    }

    /// Reads the rest of a boundary's line: two hyphens end the body; otherwise a part begins, after padding.
    fn boundary(&mut self) -> Result<Option<State>, MultipartError> {
        let padding = |byte: &u8| matches!(byte, b' ' | b'\t');
        if self.buffer.starts_with(b"--") {
            self.buffer.advance(2);
            return Ok(Some(State::Epilogue(0)));
        }
        let end = self
            .buffer
            .iter()
            .position(|byte| !padding(byte))
            .unwrap_or(self.buffer.len());
        if end > self.limits.head_bytes {
            return Err(MultipartError::too_much(
                "bytes in a line of a boundary",
                self.limits.head_bytes as u64,
            ));
        }
        match self.buffer.get(end..).unwrap_or_default() {
            [b'\r', b'\n', ..] => {
                self.buffer.advance(end + 2);
                Ok(Some(State::Head))
            }
            [] | [b'\r'] => Ok(None),
            // The second hyphen may follow.
            [b'-'] if end == 0 => Ok(None),
            _ => Err(MultipartError::malformed(
                "something follows a boundary on its line",
            )),
        }
    }

    fn head(&mut self) -> Result<Option<PartHead>, MultipartError> {
        // From three bytes before what was searched, as the end has four.
        let from = self.searched.saturating_sub(3);
        let rest = self.buffer.get(from..).unwrap_or_default();
        let end = match self.buffer.starts_with(b"\r\n") {
            true => Some(0),
            false => end_of_head(rest).map(|at| from + at + 2),
        };
        let length = end.map_or(self.buffer.len(), |end| end + 2);
        if length > self.limits.head_bytes {
            return Err(MultipartError::too_much(
                "bytes in the headers of a part",
                self.limits.head_bytes as u64,
            ));
        }
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        self.searched = 0;
        let lines = self.buffer.split_to(end);
        self.buffer.advance(2);
        let length = lines.len() as u64;
        let head = PartHead::parse(lines, &self.limits)?;
        self.begin_part(head.is_file())?;
        if !head.is_file() {
            // Their names are kept too.
            self.usage.fields += length;
            self.check_fields()?;
        }
        self.state = State::Content;
        Ok(Some(head))
    }

    fn begin_part(&mut self, is_file: bool) -> Result<(), MultipartError> {
        self.usage.parts += 1;
        self.usage.files += usize::from(is_file);
        self.usage.part = 0;
        self.usage.is_file = is_file;
        if self.usage.parts > self.limits.parts {
            return Err(MultipartError::too_much("parts", self.limits.parts as u64));
        }
        if self.usage.files > self.limits.files {
            return Err(MultipartError::too_much("files", self.limits.files as u64));
        }
        Ok(())
    }

    fn content(&mut self) -> Result<Option<MultipartEvent>, MultipartError> {
        let (ready, found) = self.search();
        if ready > 0 {
            let data = self.buffer.split_to(ready);
            self.count(data.len() as u64)?;
            return Ok(Some(MultipartEvent::Data(data)));
        }
        if found {
            self.pass_delimiter();
            return Ok(Some(MultipartEvent::PartEnd));
        }
        Ok(None)
    }

    fn count(&mut self, bytes: u64) -> Result<(), MultipartError> {
        self.usage.part += bytes;
        if self.usage.is_file {
            return match self.usage.part > self.limits.file_bytes {
                true => Err(MultipartError::too_much(
                    "bytes in a file",
                    self.limits.file_bytes,
                )),
                false => Ok(()),
            };
        }
        self.usage.fields += bytes;
        if self.usage.part > self.limits.field_bytes {
            return Err(MultipartError::too_much(
                "bytes in a field",
                self.limits.field_bytes,
            ));
        }
        self.check_fields()
    }

    fn check_fields(&self) -> Result<(), MultipartError> {
        match self.usage.fields > self.limits.fields_bytes {
            true => Err(MultipartError::too_much(
                "bytes in all fields",
                self.limits.fields_bytes,
            )),
            false => Ok(()),
        }
    }

    fn fail(&mut self, error: MultipartError) -> Result<(), MultipartError> {
        self.state = State::Failed;
        self.buffer = Bytes::new();
        Err(error)
    }
}

/// Where an empty line follows a line. A searcher would take longer to make than this takes.
fn end_of_head(text: &[u8]) -> Option<usize> {
    let mut ends = memchr::memchr_iter(b'\r', text);
    ends.find(|at| {
        text.get(*at..)
            .is_some_and(|rest| rest.starts_with(b"\r\n\r\n"))
    })
}
