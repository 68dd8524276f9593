//! The headers of a part.

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::MultipartError;
use super::limits::MultipartLimits;
use super::parameters::parameters;

/// The headers of a part (RFC 7578, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead {
    name: String,
    file_name: Option<String>,
    content_type: Option<HeaderValue>,
    /// All of them, as received: most applications need no more than the names and the type.
    lines: Bytes,
}

impl PartHead {
    /// Reads the lines before the empty one; `lines` ends with CRLF.
    pub(super) fn parse(
        lines: Bytes,
        limits: &MultipartLimits,
    ) -> Result<PartHead, MultipartError> {
        let (mut disposition, mut content_type, mut count) = (None, None, 0);
        for line in split(&lines) {
            count += 1;
            if count > limits.head_lines {
                return Err(MultipartError::too_much(
                    "headers in a part",
                    limits.head_lines as u64,
                ));
            }
            let (name, value) = header(&lines, line)?;
            let place = match name {
                CONTENT_DISPOSITION => &mut disposition,
                CONTENT_TYPE => &mut content_type,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(MultipartError::malformed("a header of a part is repeated"));
            }
        }
        let disposition = disposition.ok_or(MultipartError::malformed(
            "a part has no Content-Disposition",
        ))?;
        let (name, file_name) = names(disposition.as_bytes())?;
        if content_type.as_ref().is_some_and(is_multipart) {
            // RFC 7578, section 4.3: senders no longer nest.
            return Err(MultipartError::malformed(
                "a part is a multipart body itself",
            ));
        }
        Ok(PartHead {
            name,
            file_name,
            content_type,
            lines,
        })
    }

    /// A copy that does not keep the piece of the body that this is a part of.
    pub(super) fn detached(&self) -> PartHead {
        let content_type = self.content_type.as_ref();
        PartHead {
            name: self.name.clone(),
            file_name: self.file_name.clone(),
            content_type: content_type
                .and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()),
            lines: Bytes::copy_from_slice(&self.lines),
        }
    }

    /// Returns the name of the field. Names may be repeated.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the part has a file name: browsers give one to each file field, which is empty if no file was chosen.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.file_name.is_some()
    }

    /// Returns the file name that the client sent, as it is. It may be a path, or anything else: never open a file by it.
    #[must_use]
    pub fn untrusted_file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// Returns the media type that the client sent; `text/plain` by default (RFC 7578, section 4.4). The client may lie.
    #[must_use]
    pub fn content_type(&self) -> &str {
        let sent = self.content_type.as_ref();
        sent.and_then(|value| value.to_str().ok())
            .unwrap_or("text/plain")
    }

    /// Returns all headers of the part.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        split(&self.lines)
            .filter_map(|line| header(&self.lines, line).ok())
            .collect()
    }
}

/// The lines, without their ends.
fn split(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let mut ends = memchr::memchr_iter(b'\r', rest);
        let end = ends.find(|at| rest.get(at + 1) == Some(&b'\n'))?;
        let (line, after) = rest.split_at(end);
        rest = after.get(2..)?;
        Some(line)
    })
}

/// Reads a line of `lines`, of which the value stays a part.
fn header(lines: &Bytes, line: &[u8]) -> Result<(HeaderName, HeaderValue), MultipartError> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        // A folded line: parsers disagree about them (CVE-2026-26962).
        return Err(MultipartError::malformed("a header of a part is folded"));
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let Some((name, [_, value @ ..])) = colon.and_then(|at| line.split_at_checked(at)) else {
        return Err(MultipartError::malformed("a header of a part has no colon"));
    };
    let name = HeaderName::from_bytes(name);
    let value = HeaderValue::from_maybe_shared(lines.slice_ref(value.trim_ascii()));
    match (name, value) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(MultipartError::malformed(
            "a header of a part has a character that it cannot have",
        )),
    }
}

fn is_multipart(content_type: &HeaderValue) -> bool {
    let start = content_type.as_bytes().get(.."multipart/".len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
}

/// The name and the file name of `form-data; name="a"; filename="b"`. `filename*` is ignored (RFC 7578, section 4.2).
fn names(disposition: &[u8]) -> Result<(String, Option<String>), MultipartError> {
    let end = disposition
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(disposition.len());
    let (kind, rest) = disposition.split_at(end);
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return Err(MultipartError::malformed(
            "a Content-Disposition is not form-data",
        ));
    }
    let (mut name, mut file_name) = (None, None);
    for parameter in parameters(rest) {
        let (parameter, value) = parameter?;
        let place = match parameter {
            _ if parameter.eq_ignore_ascii_case(b"name") => &mut name,
            _ if parameter.eq_ignore_ascii_case(b"filename") => &mut file_name,
            _ => continue,
        };
        if place.replace(text(value)?).is_some() {
            return Err(MultipartError::malformed(
                "a Content-Disposition has a name twice",
            ));
        }
    }
    let name = name.ok_or(MultipartError::malformed("a part has no name"))?;
    Ok((name, file_name))
}

/// Decodes what browsers escape in names: `%22`, `%0D` and `%0A`, and nothing else (WHATWG HTML, "multipart form data").
fn text(value: Vec<u8>) -> Result<String, MultipartError> {
    let text =
        String::from_utf8(value).map_err(|_| MultipartError::malformed("a name is not UTF-8"))?;
    if !text.contains('%') {
        return Ok(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, escape)) = rest.split_once('%') {
        decoded.push_str(before);
        let character = match escape.get(..2) {
            Some("22") => Some('"'),
            Some("0D" | "0d") => Some('\r'),
            Some("0A" | "0a") => Some('\n'),
            _ => None,
        };
        decoded.push(character.unwrap_or('%'));
        let taken = if character.is_some() { 2 } else { 0 };
        rest = escape.get(taken..).unwrap_or_default();
    }
    decoded.push_str(rest);
    Ok(decoded)
}
