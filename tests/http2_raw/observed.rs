//! The frames that came back from the server.

use std::collections::BTreeMap;

use crate::names::{
    self, ACK, DATA, END_STREAM, GOAWAY, HEADERS, PADDED, PING, RST_STREAM, SETTINGS,
};
use crate::wire::Frame;

/// The result of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) streams: BTreeMap<u32, Stream>,
    pub(crate) goaway: Option<u32>,
    /// Whether the server closed the connection.
    pub(crate) has_ended: bool,
    pub(crate) settings_acks: usize,
    pub(crate) ping_acks: Vec<Vec<u8>>,
    /// Whether a request after all others got a response.
    pub(crate) is_served_after: bool,
    /// How often the application was called.
    pub(crate) calls: usize,
}

/// The result of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) status: Option<u16>,
    pub(crate) content: Vec<u8>,
    pub(crate) is_complete: bool,
    /// The code of its reset, which may come after it was complete.
    pub(crate) reset: Option<u32>,
}

impl Stream {
    pub(crate) fn is_over(&self) -> bool {
        self.is_complete || self.reset.is_some()
    }
}

impl Observed {
    pub(crate) fn add(&mut self, frame: &Frame) {
        let is_ack = frame.flags & ACK != 0;
        match frame.kind {
            GOAWAY => self.goaway = frame.number(4),
            SETTINGS if is_ack => self.settings_acks += 1,
            PING if is_ack => self.ping_acks.push(frame.payload.clone()),
            DATA | HEADERS | RST_STREAM => {
                let stream = self.streams.entry(frame.stream).or_default();
                match frame.kind {
                    DATA => stream.content.extend(without_padding(frame)),
                    HEADERS => stream.status = stream.status.or(status(without_padding(frame))),
                    _ => stream.reset = frame.number(0),
                }
                stream.is_complete |= frame.kind != RST_STREAM && frame.flags & END_STREAM != 0;
            }
            _ => {}
        }
    }

    pub(crate) fn stream(&self, stream: u32) -> Stream {
        self.streams.get(&stream).cloned().unwrap_or_default()
    }

    /// Describes the result in a few words, for the report of a failure.
    pub(crate) fn describe(&self) -> String {
        let mut words = Vec::new();
        for (id, stream) in &self.streams {
            let mut word = format!("stream {id}:");
            if let Some(status) = stream.status {
                word += &format!(" status {status}");
            }
            if !stream.content.is_empty() {
                let text = String::from_utf8_lossy(&stream.content);
                let start: String = text.chars().take(200).collect();
                word += &format!(" {} bytes {start:?}", stream.content.len());
            }
            if let Some(code) = stream.reset {
                word += &format!(" reset {}", names::code_name(code));
            }
            if !stream.is_over() {
                word += " open";
            }
            words.push(word);
        }
        if let Some(code) = self.goaway {
            words.push(format!("GOAWAY {}", names::code_name(code)));
        }
        if self.has_ended {
            words.push("closed".to_owned());
        }
        words.push(format!(
            "settings_ack {}, ping_ack {}, app_called {}, served_after {}",
            self.settings_acks,
            self.ping_acks.len(),
            self.calls,
            self.is_served_after
        ));
        words.join("; ")
    }
}

fn without_padding(frame: &Frame) -> &[u8] {
    if frame.flags & PADDED == 0 {
        return &frame.payload;
    }
    let (padding, content) = frame.payload.split_first().unwrap();
    &content[..content.len() - usize::from(*padding)]
}

/// The status at the start of a block of fields. The dynamic table is empty, because the client gives it no space.
fn status(mut block: &[u8]) -> Option<u16> {
    // Updates of the table's size (RFC 7541, section 6.3), which are short here.
    while let [0x20..=0x3e, rest @ ..] = block {
        block = rest;
    }
    match block {
        // From the static table (RFC 7541, appendix A).
        [0x88, ..] => Some(200),
        [0x89, ..] => Some(204),
        [0x8a, ..] => Some(206),
        [0x8b, ..] => Some(304),
        [0x8c, ..] => Some(400),
        [0x8d, ..] => Some(404),
        [0x8e, ..] => Some(500),
        // A literal with a name from the static table.
        [0x08 | 0x18 | 0x48, length, value @ ..] => {
            let text = value.get(..usize::from(length & 0x7f))?;
            let text = match length & 0x80 {
                0 => text.to_vec(),
                _ => digits(text)?,
            };
            String::from_utf8(text).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// Digits in the Huffman code (RFC 7541, appendix B): 0 to 2 have five bits, the others six.
fn digits(coded: &[u8]) -> Option<Vec<u8>> {
    let bits: Vec<u8> = coded
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1))
        .collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number * 2 + bit);
    let mut left = &bits[..];
    let mut digits = Vec::new();
    while left.contains(&0) {
        let (short, long) = (number(left.get(..5)?), left.get(..6).map(number));
        let (digit, length) = match (short, long) {
            (0..=2, _) => (short, 5),
            (_, Some(long @ 25..=31)) => (long - 22, 6),
            _ => return None,
        };
        digits.push(b'0' + digit);
        left = &left[length..];
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::hex;

    #[test]
    fn a_status_is_read_in_each_form() {
        for (block, expected) in [
            ("88", Some(200)),
            ("20 8c 00", Some(400)),
            ("08 03 353031", Some(501)),
            // 501: 011011 00000 00001, and ones to the end.
            ("48 82 6c 01", Some(501)),
            // 431: 011010 011001 00001, and ones.
            ("20 48 83 69 90 ff", Some(431)),
            ("82", None),
        ] {
            assert_eq!(status(&hex(block).unwrap()), expected, "{block}");
        }
    }

    #[test]
    fn a_stream_is_over_at_its_end_or_reset() {
        let frame = |kind, flags, payload: &str| Frame {
            kind,
            flags,
            stream: 1,
            payload: hex(payload).unwrap(),
        };
        let mut observed = Observed::default();
        observed.add(&frame(HEADERS, 4, "88"));
        observed.add(&frame(DATA, PADDED, "02 6162 0000"));
        assert!(!observed.stream(1).is_over());
        let mut reset = observed.clone();
        reset.add(&frame(RST_STREAM, 0, "00000008"));
        assert_eq!(reset.stream(1).reset, Some(8));
        assert!(reset.stream(1).is_over() && !reset.stream(1).is_complete);
        observed.add(&frame(DATA, END_STREAM, ""));
        assert!(observed.stream(1).is_complete);
        assert_eq!(observed.stream(1).content, b"ab");
        assert_eq!(observed.stream(1).status, Some(200));
    }
}
