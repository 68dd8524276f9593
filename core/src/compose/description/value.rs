//! The values of options.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, Method, StatusCode};

/// The value of an option in a [`Description`](crate::Description), in the type of the program.
///
/// [`Description::option`](crate::Description::option) takes any type that converts into one: text, numbers, flags,
/// durations, lists, and `Option`s of these, whose `None` is [`Off`](OptionValue::Off). A status, a method and a header
/// name become text. Constructors cover what the type alone does not say: [`size`](OptionValue::size),
/// [`opaque`](OptionValue::opaque) and [`shown`](OptionValue::shown).
///
/// [`Display`](fmt::Display) is for people, and loses nothing: `30s`, `16 KiB`, `[gzip, br]`. Text is quoted only if it
/// is empty, contains a comma, a bracket, a quote or a control character, or has white space at either end.
///
/// ```
/// # use enfilade_core as enfilade;
/// use std::time::Duration;
///
/// use enfilade::{Description, OptionValue};
///
/// let upload = Description::new("Upload")
///     .option("limit", OptionValue::size(16 * 1024))
///     .option("idle", Duration::from_secs(30))
///     .option("types", ["image/png", "image/jpeg"])
///     .option("virus scan", None::<&str>)
///     .option("store", OptionValue::opaque("of the program"));
/// assert_eq!(
///     upload.to_string(),
///     "Upload (limit: 16 KiB, idle: 30s, types: [image/png, image/jpeg], virus scan: off, store: of the program)\n"
/// );
/// assert_eq!(upload.options().next(), Some(("limit", &OptionValue::Size(16_384))));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionValue {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i128),
    /// A number with a fraction.
    Float(f64),
    /// Yes or no.
    Flag(bool),
    /// A duration.
    Duration(Duration),
    /// A number of bytes.
    Size(u64),
    /// Several values, in order.
    List(Vec<OptionValue>),
    /// No value: the option is off.
    Off,
    /// A value that no file can hold, such as a closure or a store; a text for people.
    Opaque(String),
}

impl OptionValue {
    /// A number of bytes.
    #[must_use]
    pub const fn size(bytes: u64) -> OptionValue {
        OptionValue::Size(bytes)
    }

    /// A value that no file can hold, such as a closure or a store, with a text for people.
    pub fn opaque(text: impl Into<String>) -> OptionValue {
        OptionValue::Opaque(text.into())
    }

    /// The value as JSON (RFC 8259).
    ///
    /// A duration and a size become text, as for people; `Off` becomes `null`.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::OptionValue;
    ///
    /// assert_eq!(OptionValue::from(["a", "b\"c"]).to_json(), r#"["a","b\"c"]"#);
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        super::json::write_value(&mut json, self);
        json
    }

    /// The text of a value's [`Display`](fmt::Display).
    pub fn shown(value: impl fmt::Display) -> OptionValue {
        OptionValue::Text(value.to_string())
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionValue::Text(text) | OptionValue::Opaque(text) => write_text(f, text),
            OptionValue::Integer(number) => write!(f, "{number}"),
            OptionValue::Float(number) => write!(f, "{number}"),
            OptionValue::Flag(flag) => write!(f, "{flag}"),
            OptionValue::Duration(duration) => write!(f, "{duration:?}"),
            OptionValue::Size(bytes) => write_size(f, *bytes),
            OptionValue::List(values) => {
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at == 0 { "[" } else { ", " })?;
                }
                f.write_str(if values.is_empty() { "[]" } else { "]" })
            }
            OptionValue::Off => f.write_str("off"),
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let is_special = |character: char| ",[]\"".contains(character) || character.is_control();
    if !text.is_empty() && text == text.trim() && !text.contains(is_special) {
        return f.write_str(text);
    }
    f.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            _ if character.is_control() => write!(f, "{}", character.escape_debug())?,
            _ => write!(f, "{character}")?,
        }
    }
    f.write_str("\"")
}

/// Writes the size in the unit that gives the smallest whole number.
fn write_size(f: &mut fmt::Formatter<'_>, bytes: u64) -> fmt::Result {
    const UNITS: [(u64, &str); 8] = [
        (1 << 40, "TiB"),
        (1_000_000_000_000, "TB"),
        (1 << 30, "GiB"),
        (1_000_000_000, "GB"),
        (1 << 20, "MiB"),
        (1_000_000, "MB"),
        (1 << 10, "KiB"),
        (1_000, "kB"),
    ];
    let unit = UNITS
        .iter()
        .find(|(size, _)| bytes > 0 && bytes.is_multiple_of(*size));
    let (size, unit) = unit.unwrap_or(&(1, "B"));
    write!(f, "{} {unit}", bytes / size)
}

macro_rules! from {
    ($($from:ty, $value:ident => $into:expr;)*) => {$(
        impl From<$from> for OptionValue {
            fn from($value: $from) -> OptionValue {
                $into
            }
        }
    )*};
}

from! {
    &str, text => OptionValue::Text(text.to_owned());
    String, text => OptionValue::Text(text);
    &String, text => OptionValue::Text(text.clone());
    Cow<'_, str>, text => OptionValue::Text(text.into_owned());
    StatusCode, status => OptionValue::Text(status.as_str().to_owned());
    &StatusCode, status => OptionValue::Text(status.as_str().to_owned());
    HeaderName, name => OptionValue::Text(name.as_str().to_owned());
    &HeaderName, name => OptionValue::Text(name.as_str().to_owned());
    Method, method => OptionValue::Text(method.as_str().to_owned());
    &Method, method => OptionValue::Text(method.as_str().to_owned());
    bool, flag => OptionValue::Flag(flag);
    Duration, duration => OptionValue::Duration(duration);
    f32, number => OptionValue::Float(number.into());
    f64, number => OptionValue::Float(number);
    i8, number => OptionValue::Integer(number.into());
    i16, number => OptionValue::Integer(number.into());
    i32, number => OptionValue::Integer(number.into());
    i64, number => OptionValue::Integer(number.into());
    i128, number => OptionValue::Integer(number);
    isize, number => OptionValue::Integer(number as i128);
    u8, number => OptionValue::Integer(number.into());
    u16, number => OptionValue::Integer(number.into());
    u32, number => OptionValue::Integer(number.into());
    u64, number => OptionValue::Integer(number.into());
    usize, number => OptionValue::Integer(number as i128);
}

impl<T: Into<OptionValue>> From<Option<T>> for OptionValue {
    fn from(value: Option<T>) -> OptionValue {
        value.map_or(OptionValue::Off, Into::into)
    }
}

impl<T: Into<OptionValue>> From<Vec<T>> for OptionValue {
    fn from(values: Vec<T>) -> OptionValue {
        values.into_iter().collect()
    }
}

impl<T: Into<OptionValue>, const LENGTH: usize> From<[T; LENGTH]> for OptionValue {
    fn from(values: [T; LENGTH]) -> OptionValue {
        values.into_iter().collect()
    }
}

impl<T: Into<OptionValue> + Clone> From<&[T]> for OptionValue {
    fn from(values: &[T]) -> OptionValue {
        values.iter().cloned().collect()
    }
}

impl<T: Into<OptionValue>> FromIterator<T> for OptionValue {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> OptionValue {
        OptionValue::List(values.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_kept_and_reads_well() {
        let list = |values: &[OptionValue]| OptionValue::List(values.to_vec());
        let text = |text: &str| OptionValue::Text(text.to_owned());
        let cases: [(OptionValue, OptionValue, &str); 16] = [
            ("a b".into(), text("a b"), "a b"),
            (String::from("é").into(), text("é"), "é"),
            (StatusCode::NOT_FOUND.into(), text("404"), "404"),
            (http::header::VARY.into(), text("vary"), "vary"),
            ((&Method::GET).into(), text("GET"), "GET"),
            (true.into(), OptionValue::Flag(true), "true"),
            (
                u64::MAX.into(),
                OptionValue::Integer(u64::MAX.into()),
                "18446744073709551615",
            ),
            ((-3_i8).into(), OptionValue::Integer(-3), "-3"),
            (0.5.into(), OptionValue::Float(0.5), "0.5"),
            (
                Duration::from_millis(1_500).into(),
                OptionValue::Duration(Duration::from_millis(1_500)),
                "1.5s",
            ),
            (None::<u8>.into(), OptionValue::Off, "off"),
            (Some(1).into(), OptionValue::Integer(1), "1"),
            (Vec::<bool>::new().into(), list(&[]), "[]"),
            (
                [["a", "b"], ["c", "d, e"]].into(),
                list(&[
                    list(&[text("a"), text("b")]),
                    list(&[text("c"), text("d, e")]),
                ]),
                "[[a, b], [c, \"d, e\"]]",
            ),
            (OptionValue::shown('x'), text("x"), "x"),
            (
                OptionValue::opaque("a closure"),
                OptionValue::Opaque("a closure".to_owned()),
                "a closure",
            ),
        ];
        for (value, expected, shown) in cases {
            assert_eq!(value, expected);
            assert_eq!(value.to_string(), shown);
        }
    }

    #[test]
    fn a_size_is_exact_and_short() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1, "1 B"),
            (999, "999 B"),
            (1_000, "1 kB"),
            (1_024, "1 KiB"),
            (1_500, "1500 B"),
            (64_000, "64 kB"),
            (16 << 10, "16 KiB"),
            (2_000_000, "2 MB"),
            (2 << 20, "2 MiB"),
            ((2 << 20) + 1, "2097153 B"),
            (1_024_000_000, "1024 MB"),
            (3 << 40, "3 TiB"),
            (u64::MAX, "18446744073709551615 B"),
        ] {
            assert_eq!(OptionValue::size(bytes).to_string(), shown);
        }
    }

    #[test]
    fn text_is_quoted_only_if_it_must_be() {
        for (text, shown) in [
            ("max-age=60", "max-age=60"),
            ("default-src 'self'; a", "default-src 'self'; a"),
            ("^/(.*)$ \\d", "^/(.*)$ \\d"),
            ("", "\"\""),
            (" a", "\" a\""),
            ("public, a", "\"public, a\""),
            ("[a]", "\"[a]\""),
            ("a\"\\", "\"a\\\"\\\\\""),
            ("a\nb\u{1b}", "\"a\\nb\\u{1b}\""),
        ] {
            assert_eq!(OptionValue::from(text).to_string(), shown);
            assert_eq!(OptionValue::opaque(text).to_string(), shown);
        }
    }
}
