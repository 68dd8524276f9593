//! Makes foreign text safe to show: limits its length, and spells out control characters.

use std::fmt::{self, Display, Write};

use enfilade_core::is_unprintable;

/// Shows at most `limit` bytes of arbitrary bytes as text.
pub(super) fn bytes(bytes: &[u8], limit: usize) -> String {
    let (part, rest) = bytes.split_at_checked(limit).unwrap_or((bytes, &[]));
    let mut text = String::new();
    for chunk in part.utf8_chunks() {
        write_safe(&mut text, chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if !rest.is_empty() {
        let _ = write!(text, " [cut, {} bytes in all]", bytes.len());
    }
    text
}

/// Shows at most `limit` bytes of the `Display` text of a value.
///
/// The rest is not even formatted.
pub(super) fn display(value: impl Display, limit: usize) -> String {
    let mut bounded = Bounded {
        text: String::new(),
        limit,
    };
    let is_whole = write!(bounded, "{value}").is_ok();
    let mut text = String::new();
    write_safe(&mut text, &bounded.text);
    if !is_whole {
        text.push_str(" [cut]");
    }
    text
}

/// Keeps line breaks and tabs; spells out all other control characters and those that change the direction of text.
fn write_safe(text: &mut String, part: &str) {
    for character in part.chars() {
        match character {
            '\n' | '\t' => text.push(character),
            _ if is_unprintable(character) => text.extend(character.escape_unicode()),
            _ => text.push(character),
        }
    }
}

/// Accepts a limited number of bytes, then fails.
struct Bounded {
    text: String,
    limit: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = self.limit - self.text.len();
        // The longest prefix within the limit.
        let part = (0..=left.min(text.len()))
            .rev()
            .find_map(|end| text.get(..end));
        self.text.push_str(part.unwrap_or_default());
        match text.len() > left {
            true => Err(fmt::Error),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        for (value, expected) in [
            (&b"plain \"text\""[..], "plain \"text\""),
            (b"two\n\tlines", "two\n\tlines"),
            (b"\x1b[31m\r\0", "\\u{1b}[31m\\u{d}\\u{0}"),
            ("é\u{202e}\u{9b}".as_bytes(), "é\\u{202e}\\u{9b}"),
            (b"caf\xe9", "caf\\xe9"),
            (b"", ""),
        ] {
            assert_eq!(bytes(value, 100), expected);
            if let Ok(text) = std::str::from_utf8(value) {
                assert_eq!(display(text, 100), expected);
            }
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_said_so() {
        assert_eq!(bytes(b"12345", 5), "12345");
        assert_eq!(bytes(b"123456", 5), "12345 [cut, 6 bytes in all]");
        assert_eq!(
            bytes("1234é".as_bytes(), 5),
            "1234\\xc3 [cut, 6 bytes in all]"
        );
        assert_eq!(display("12345", 5), "12345");
        assert_eq!(display("1234é", 5), "1234 [cut]");
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("on and ")?;
                }
            }
        }
        assert_eq!(display(Endless, 10), "on and on  [cut]");
    }
}
