//! Escapes text from a peer for a log line.

use std::fmt::{self, Write};

use enfilade_core::is_unprintable;

/// The syntax of a line, which determines the escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Fields separated by spaces, quotes and brackets, like Apache's.
    Text,
    /// A JSON object (RFC 8259).
    Json,
}

impl Syntax {
    /// Appends `text` so that it can neither end the line or a quoted field nor send a command to a terminal.
    ///
    /// `"` and `\` get a backslash. Control characters (C1 included: U+009B starts a terminal sequence in one
    /// character), characters that end a line or change its direction, and bytes that are not UTF-8 become `\xHH`, byte
    /// by byte. Other text stays unchanged. In JSON the characters become `\uHHHH`, and only the bytes `\\xHH`.
    pub(crate) fn escape(self, line: &mut Vec<u8>, text: &[u8]) {
        // Most text needs no escapes, and is copied at once.
        if is_plain::<b' '>(text) {
            line.extend_from_slice(text);
        } else {
            self.escape_and(line, text, |_| false);
        }
    }

    /// The same, with spaces as `\x20`, for an unquoted field between spaces; JSON has no such fields.
    pub(crate) fn escape_word(self, line: &mut Vec<u8>, text: &[u8]) {
        // Of the plain characters only the space is white space.
        if is_plain::<b'!'>(text) {
            line.extend_from_slice(text);
        } else {
            let is_text = self == Syntax::Text;
            self.escape_and(line, text, |character| is_text && character.is_whitespace());
        }
    }

    /// The same, also for brackets, for a word before the time: analysers search for the `[` of the time.
    #[cfg_attr(
        not(any(feature = "time", test)),
        expect(dead_code, reason = "for the access log")
    )]
    pub(crate) fn escape_name(self, line: &mut Vec<u8>, text: &[u8]) {
        let is_text = self == Syntax::Text;
        self.escape_and(line, text, |character| {
            is_text && (character.is_whitespace() || matches!(character, '[' | ']'))
        });
    }

    fn escape_and(self, line: &mut Vec<u8>, text: &[u8], also: impl Fn(char) -> bool) {
        for chunk in text.utf8_chunks() {
            for character in chunk.valid().chars() {
                let mut buffer = [0; 4];
                let bytes = character.encode_utf8(&mut buffer).as_bytes();
                match character {
                    '"' | '\\' => line.extend_from_slice(&[b'\\', bytes[0]]),
                    _ if is_unprintable(character) || also(character) => {
                        self.harmless(line, character)
                    }
                    _ => line.extend_from_slice(bytes),
                }
            }
            self.invalid(line, chunk.invalid());
        }
    }

    fn harmless(self, line: &mut Vec<u8>, character: char) {
        match self {
            Syntax::Text => hexadecimal(line, character.encode_utf8(&mut [0; 4]).as_bytes()),
            Syntax::Json => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let [first, second] = unit.to_be_bytes().map(digits);
                line.extend_from_slice(&[b'\\', b'u', first[0], first[1], second[0], second[1]]);
            }),
        }
    }

    /// JSON cannot represent a byte, so it is written as text.
    fn invalid(self, line: &mut Vec<u8>, bytes: &[u8]) {
        for byte in bytes {
            if self == Syntax::Json {
                line.push(b'\\');
            }
            hexadecimal(line, &[*byte]);
        }
    }
}

/// Whether text consists of visible ASCII from `FIRST` on, without `"` and `\\`. Blocks are checked with vector
/// instructions. The last block may check some bytes twice.
fn is_plain<const FIRST: u8>(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<16>() {
        let (blocks, _) = text.as_chunks();
        is_plain_block::<FIRST, 16>(last) && blocks.iter().all(is_plain_block::<FIRST, 16>)
    } else if let (Some(begin), Some(end)) = (text.first_chunk(), text.last_chunk()) {
        is_plain_block::<FIRST, 8>(begin) && is_plain_block::<FIRST, 8>(end)
    } else {
        text.iter().all(|&byte| is_plain_byte::<FIRST>(byte))
    }
}

#[inline]
fn is_plain_block<const FIRST: u8, const SIZE: usize>(bytes: &[u8; SIZE]) -> bool {
    // Stopping early would cost more than checking all of them.
    bytes
        .iter()
        .fold(true, |all, &byte| all & is_plain_byte::<FIRST>(byte))
}

#[inline]
fn is_plain_byte<const FIRST: u8>(byte: u8) -> bool {
    byte.wrapping_sub(FIRST) < 0x7f - FIRST && byte != b'"' && byte != b'\\'
}

fn hexadecimal(line: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        let [high, low] = digits(*byte);
        line.extend_from_slice(&[b'\\', b'x', high, low]);
    }
}

fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

/// Escapes the text that is formatted into it.
#[cfg_attr(
    not(feature = "time"),
    expect(dead_code, reason = "for the access log")
)]
pub(crate) struct EscapeWriter<'a>(pub(crate) Syntax, pub(crate) &'a mut Vec<u8>);

impl Write for EscapeWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.escape(self.1, text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(syntax: Syntax, text: &[u8]) -> String {
        let mut line = Vec::new();
        syntax.escape(&mut line, text);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn what_could_do_harm_is_escaped_and_the_rest_stays() {
        let cases: [(&[u8], &str, &str); 19] = [
            (b"", "", ""),
            (b"curl/8.0 (x; y)", "curl/8.0 (x; y)", "curl/8.0 (x; y)"),
            (b"a\\", r"a\\", r"a\\"),
            (b"\"", r#"\""#, r#"\""#),
            (b"\\\"", r#"\\\""#, r#"\\\""#),
            (b"a\r\nb", r"a\x0d\x0ab", r"a\u000d\u000ab"),
            (b"\t\0\x7f", r"\x09\x00\x7f", r"\u0009\u0000\u007f"),
            (b"\x1b[31m", r"\x1b[31m", r"\u001b[31m"),
            ("café 日本".as_bytes(), "café 日本", "café 日本"),
            (b"caf\xe9", r"caf\xe9", r"caf\\xe9"),
            (b"\xc3", r"\xc3", r"\\xc3"),
            (b"\xff\xfe", r"\xff\xfe", r"\\xff\\xfe"),
            (
                "\u{80}\u{85}\u{9b}\u{9f}".as_bytes(),
                r"\xc2\x80\xc2\x85\xc2\x9b\xc2\x9f",
                r"\u0080\u0085\u009b\u009f",
            ),
            ("\u{a0}".as_bytes(), "\u{a0}", "\u{a0}"),
            (
                "\u{2028}\u{2029}".as_bytes(),
                r"\xe2\x80\xa8\xe2\x80\xa9",
                r"\u2028\u2029",
            ),
            ("\u{202e}".as_bytes(), r"\xe2\x80\xae", r"\u202e"),
            ("\u{2066}".as_bytes(), r"\xe2\x81\xa6", r"\u2066"),
            (b"\x9b31m", r"\x9b31m", r"\\x9b31m"),
            // The last bytes are checked too.
            (
                b"0123456789abcde\"\"",
                r#"0123456789abcde\"\""#,
                r#"0123456789abcde\"\""#,
            ),
        ];
        for (bytes, text, json) in cases {
            assert_eq!(escaped(Syntax::Text, bytes), text, "{bytes:?}");
            assert_eq!(escaped(Syntax::Json, bytes), json, "{bytes:?}");
        }
    }

    #[test]
    fn a_word_has_no_blanks() {
        let mut line = Vec::new();
        Syntax::Text.escape_word(&mut line, "foo bar\t\u{a0}\"é".as_bytes());
        assert_eq!(line, r#"foo\x20bar\x09\xc2\xa0\"é"#.as_bytes());
        line.clear();
        Syntax::Json.escape_word(&mut line, b"foo bar");
        assert_eq!(line, b"foo bar");
        line.clear();
        Syntax::Text.escape_name(&mut line, b"[1] 2");
        assert_eq!(line, br"\x5b1\x5d\x202");
    }

    #[test]
    fn a_byte_that_is_not_plain_is_found_wherever_it_is() {
        for (length, byte) in
            (0..20).flat_map(|length| (0..=u8::MAX).map(move |byte| (length, byte)))
        {
            let harmful = !matches!(byte, b' '..=b'~') || byte == b'"' || byte == b'\\';
            for at in 0..length {
                let mut text = vec![b'~'; length];
                text[at] = byte;
                assert_eq!(is_plain::<b' '>(&text), !harmful, "{text:?}");
                assert_eq!(
                    is_plain::<b'!'>(&text),
                    !harmful && byte != b' ',
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn every_pair_of_bytes_gives_text_that_can_be_read_back() {
        for pair in 0..=u16::MAX {
            let text = pair.to_be_bytes();
            let line = escaped(Syntax::Text, &text);
            assert!(!line.chars().any(char::is_control), "{text:?}");
            assert_eq!(read_back(&line), text, "{line}");
        }
    }

    #[test]
    fn every_pair_of_bytes_is_a_string_of_json() {
        for pair in 0..=u16::MAX {
            let bytes = pair.to_be_bytes();
            let line = format!("\"{}\"", escaped(Syntax::Json, &bytes));
            assert!(!line.chars().any(char::is_control), "{bytes:?}");
            let read: String = serde_json::from_str(&line).unwrap();
            if let Ok(text) = std::str::from_utf8(&bytes) {
                assert_eq!(read, text);
            }
        }
    }

    fn read_back(line: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = line.as_bytes();
        loop {
            rest = match rest {
                [] => return bytes,
                [b'\\', b'x', high, low, rest @ ..] => {
                    let digits = [*high, *low];
                    let digits = std::str::from_utf8(&digits).unwrap();
                    bytes.push(u8::from_str_radix(digits, 16).unwrap());
                    rest
                }
                [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                    bytes.push(*byte);
                    rest
                }
            }
        }
    }
}
