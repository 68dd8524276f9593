//! Parses JSON strictly: an unknown key is an error.

use serde_json::{Map, Value};

pub(crate) type Checked<T> = Result<T, String>;

/// A JSON object whose keys are all known.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    pub(crate) fn new(value: &'a Value, known: &[&str]) -> Checked<Object<'a>> {
        let map = value
            .as_object()
            .ok_or_else(|| format!("{value} is not an object"))?;
        match map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(format!("unknown key {key:?}: known are {known:?}")),
            None => Ok(Object(map)),
        }
    }

    pub(crate) fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get(key)
    }

    pub(crate) fn text(self, key: &str) -> Checked<Option<&'a str>> {
        self.map(key, "a text", Value::as_str)
    }

    pub(crate) fn needs_text(self, key: &str) -> Checked<&'a str> {
        self.text(key)?.ok_or_else(|| format!("no {key:?}"))
    }

    pub(crate) fn flag(self, key: &str) -> Checked<Option<bool>> {
        self.map(key, "true or false", Value::as_bool)
    }

    pub(crate) fn list(self, key: &str) -> Checked<Option<&'a Vec<Value>>> {
        self.map(key, "a list", Value::as_array)
    }

    pub(crate) fn number<T: TryFrom<u64>>(self, key: &str) -> Checked<Option<T>> {
        self.map(key, "a number of this size", |value| {
            T::try_from(value.as_u64()?).ok()
        })
    }

    fn map<T>(
        self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Checked<Option<T>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let read = read(value);
        read.map(Some)
            .ok_or_else(|| format!("{key:?} is {value}, not {wanted}"))
    }
}

/// Hexadecimal digits, with any spaces.
pub(crate) fn hex(text: &str) -> Checked<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|char| *char != ' ')
        .map(|char| char.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2));
    let digits = digits.ok_or_else(|| format!("{text:?} is not hexadecimal"))?;
    let pairs = digits.chunks_exact(2);
    Ok(pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// A list of pairs of a name, or a number, and a value.
pub(crate) fn pair(value: &Value) -> Checked<(&Value, &Value)> {
    match value.as_array().map(Vec::as_slice) {
        Some([name, value]) => Ok((name, value)),
        _ => Err(format!("{value} is not a pair")),
    }
}
