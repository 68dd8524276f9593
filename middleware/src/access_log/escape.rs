//! Makes text from a peer safe to stand in a line.

use std::fmt::{self, Write};

/// Appends `text` so that it can neither end the line or a quoted field nor reach a terminal as a command.
///
/// `"` and `\` get a backslash. Control characters (C1 included: U+009B starts a terminal sequence in one character),
/// characters that end a line or turn its direction, and bytes that are not UTF-8 become `\xHH`, byte by byte. Other
/// text stays as it is.
pub(super) fn escape(line: &mut Vec<u8>, text: &[u8]) {
    escape_and(line, text, |_| false);
}

/// The same, with blanks as `\x20`, for a field that stands between blanks without quotes.
pub(super) fn escape_word(line: &mut Vec<u8>, text: &[u8]) {
    escape_and(line, text, char::is_whitespace);
}

fn escape_and(line: &mut Vec<u8>, text: &[u8], also: impl Fn(char) -> bool) {
    let is_plain = |&byte: &u8| {
        matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\' && !also(char::from(byte))
    };
    // Most text needs nothing, and is copied in one go.
    if text.iter().all(is_plain) {
        line.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            match character {
                '"' | '\\' => line.extend_from_slice(&[b'\\', bytes[0]]),
                _ if is_harmful(character) || also(character) => hexadecimal(line, bytes),
                _ => line.extend_from_slice(bytes),
            }
        }
        hexadecimal(line, chunk.invalid());
    }
}

fn is_harmful(character: char) -> bool {
    let ends_a_line = matches!(character, '\u{2028}' | '\u{2029}');
    let turns_direction = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || ends_a_line || turns_direction
}

fn hexadecimal(line: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
        line.extend_from_slice(&[b'\\', b'x', DIGITS[high], DIGITS[low]]);
    }
}

/// Escapes what is formatted into it.
pub(super) struct Escaped<'a>(pub(super) &'a mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_do_harm_is_escaped_and_the_rest_stays() {
        let cases: [(&[u8], &str); 18] = [
            (b"", ""),
            (b"curl/8.0 (x; y)", "curl/8.0 (x; y)"),
            (b"a\\", r"a\\"),
            (b"\"", r#"\""#),
            (b"\\\"", r#"\\\""#),
            (b"a\r\nb", r"a\x0d\x0ab"),
            (b"\t\0\x7f", r"\x09\x00\x7f"),
            (b"\x1b[31m", r"\x1b[31m"),
            ("café 日本".as_bytes(), "café 日本"),
            (b"caf\xe9", r"caf\xe9"),
            (b"\xc3", r"\xc3"),
            (b"\xff\xfe", r"\xff\xfe"),
            (
                "\u{80}\u{85}\u{9b}\u{9f}".as_bytes(),
                r"\xc2\x80\xc2\x85\xc2\x9b\xc2\x9f",
            ),
            ("\u{a0}".as_bytes(), "\u{a0}"),
            ("\u{2028}\u{2029}".as_bytes(), r"\xe2\x80\xa8\xe2\x80\xa9"),
            ("\u{202e}".as_bytes(), r"\xe2\x80\xae"),
            ("\u{2066}".as_bytes(), r"\xe2\x81\xa6"),
            (b"\x9b31m", r"\x9b31m"),
        ];
        for (text, expected) in cases {
            let mut line = Vec::new();
            escape(&mut line, text);
            assert_eq!(String::from_utf8(line).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_word_has_no_blanks() {
        let mut line = Vec::new();
        escape_word(&mut line, "foo bar\t\u{a0}\"é".as_bytes());
        assert_eq!(line, r#"foo\x20bar\x09\xc2\xa0\"é"#.as_bytes());
    }

    #[test]
    fn every_pair_of_bytes_gives_text_that_can_be_read_back() {
        for pair in 0..=u16::MAX {
            let text = pair.to_be_bytes();
            let mut line = Vec::new();
            escape(&mut line, &text);
            let line = String::from_utf8(line).unwrap();
            assert!(!line.chars().any(char::is_control), "{text:?}");
            assert_eq!(read_back(&line), text, "{line}");
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
