//! Makes the bytes of a frame from a step of a case.

use serde_json::Value;

use crate::names::{self, PADDED, PRIORITY_FLAG};
use crate::object::{Checked, Object, hex, pair};

/// The keys of a step that is a frame.
pub(crate) const KEYS: [&str; 16] = [
    "frame",
    "stream",
    "flags",
    "payload",
    "text",
    "zeros",
    "settings",
    "code",
    "increment",
    "request",
    "fields",
    "padding",
    "depends_on",
    "length",
    "repeat",
    "note",
];

pub(crate) fn frame(step: Object<'_>) -> Checked<Vec<u8>> {
    let kind = match step.get("frame") {
        Some(Value::String(name)) => {
            names::frame(name).ok_or_else(|| format!("unknown frame type {name:?}"))?
        }
        _ => step.number("frame")?.ok_or("no \"frame\"")?,
    };
    let mut flags = flags(step)?;
    let mut payload = Vec::new();
    let padding: Option<u8> = step.number("padding")?;
    if let Some(padding) = padding {
        flags |= PADDED;
        payload.push(padding);
    }
    if let Some(on) = step.number::<u32>("depends_on")? {
        // The frame PRIORITY always has these fields, so there is no flag for them.
        if kind == names::HEADERS {
            flags |= PRIORITY_FLAG;
        }
        payload.extend(on.to_be_bytes());
        // A weight of 16, which is the default (RFC 7540, section 5.3.5).
        payload.push(15);
    }
    payload.extend(content(step)?);
    payload.extend(std::iter::repeat_n(0, padding.unwrap_or(0).into()));
    let stream = step.number("stream")?.unwrap_or(0);
    let length = step
        .number("length")?
        .unwrap_or(u32::try_from(payload.len()).unwrap());
    let mut bytes = header(length, kind, flags, stream);
    bytes.extend(payload);
    Ok(bytes.repeat(step.number("repeat")?.unwrap_or(1)))
}

pub(crate) fn header(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes
}

fn flags(step: Object<'_>) -> Checked<u8> {
    if let Some(Value::Number(_)) = step.get("flags") {
        return Ok(step.number("flags")?.unwrap_or(0));
    }
    let mut names = step.text("flags")?.unwrap_or_default().split_whitespace();
    names.try_fold(0, |flags, name| {
        let flag = names::flag(name).ok_or_else(|| format!("unknown flag {name:?}"));
        Ok(flags | flag?)
    })
}

fn content(step: Object<'_>) -> Checked<Vec<u8>> {
    let mut content = hex(step.text("payload")?.unwrap_or_default())?;
    content.extend(step.text("text")?.unwrap_or_default().bytes());
    content.resize(
        content.len() + step.number::<usize>("zeros")?.unwrap_or(0),
        0,
    );
    for setting in step.list("settings")?.into_iter().flatten() {
        let (name, value) = self::setting(setting)?;
        content.extend(name.to_be_bytes());
        content.extend(value.to_be_bytes());
    }
    if let Some(code) = step.text("code")? {
        let code = names::code(code).ok_or_else(|| format!("unknown error code {code:?}"))?;
        content.extend(code.to_be_bytes());
    }
    if let Some(increment) = step.number::<u32>("increment")? {
        content.extend(increment.to_be_bytes());
    }
    if let Some(request) = step.text("request")? {
        content.extend(request_fields(request)?);
    }
    for field in step.list("fields")?.into_iter().flatten() {
        content.extend(self::field(field)?);
    }
    Ok(content)
}

/// A pair of a setting's name, or its number, and its value.
pub(crate) fn setting(value: &Value) -> Checked<(u16, u32)> {
    let (name, number) = pair(value)?;
    let name = match name {
        Value::String(name) => names::setting(name),
        name => name.as_u64().and_then(|name| u16::try_from(name).ok()),
    };
    let number = number
        .as_u64()
        .and_then(|number| u32::try_from(number).ok());
    name.zip(number)
        .ok_or_else(|| format!("unknown setting {value}"))
}

/// The four pseudo-header fields of a request such as `GET /`.
pub(crate) fn request_fields(request: &str) -> Checked<Vec<u8>> {
    let (method, path) = request
        .split_once(' ')
        .ok_or_else(|| format!("{request:?} is not a method and a path"))?;
    let fields = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "h"),
        (":path", path),
    ];
    let fields = fields.map(|(name, value)| literal(name.as_bytes(), value.as_bytes()));
    Ok(fields.concat())
}

/// A pair of name and value, or bytes, unchanged.
fn field(value: &Value) -> Checked<Vec<u8>> {
    if let Some(bytes) = value.as_str() {
        return hex(bytes);
    }
    let (name, text) = pair(value)?;
    let pair = name.as_str().zip(text.as_str());
    let (name, text) = pair.ok_or_else(|| format!("{value} is not a field"))?;
    Ok(literal(name.as_bytes(), text.as_bytes()))
}

/// A literal without indexing and without Huffman coding (RFC 7541, section 6.2.2).
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        length(text.len(), &mut bytes);
        bytes.extend(text);
    }
    bytes
}

/// An integer with a prefix of 7 bits (RFC 7541, section 5.1).
fn length(mut length: usize, bytes: &mut Vec<u8>) {
    const PREFIX: usize = 127;
    if length < PREFIX {
        bytes.push(u8::try_from(length).unwrap());
        return;
    }
    bytes.push(127);
    length -= PREFIX;
    while length >= 128 {
        bytes.push(u8::try_from(length % 128 + 128).unwrap());
        length /= 128;
    }
    bytes.push(u8::try_from(length).unwrap());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encoded(step: &Value) -> Checked<Vec<u8>> {
        frame(Object::new(step, &KEYS)?)
    }

    #[test]
    fn frames_are_encoded_as_a_step_says() {
        for (step, expected) in [
            (
                json!({"frame": "PING", "payload": "0102 0304 0506 0708"}),
                "000008 06 00 00000000 0102030405060708",
            ),
            (
                json!({"frame": 22, "flags": 255, "stream": 2_147_483_649_u32}),
                "000000 16 ff 80000001",
            ),
            (
                json!({"frame": "DATA", "flags": "END_STREAM", "stream": 1, "text": "ab", "padding": 2}),
                "000005 00 09 00000001 02 6162 0000",
            ),
            (
                json!({"frame": "HEADERS", "flags": "END_STREAM END_HEADERS", "stream": 3, "depends_on": 1,
                    "fields": ["82", ["a", "b"]]}),
                "00000b 01 25 00000003 00000001 0f 82 00 01 61 01 62",
            ),
            (
                json!({"frame": "PRIORITY", "stream": 3, "depends_on": 1}),
                "000005 02 00 00000003 00000001 0f",
            ),
            (
                json!({"frame": "SETTINGS", "settings": [["MAX_FRAME_SIZE", 1], [99, 2]]}),
                "00000c 04 00 00000000 0005 00000001 0063 00000002",
            ),
            (
                json!({"frame": "RST_STREAM", "stream": 1, "code": "CANCEL", "repeat": 2}),
                "000004 03 00 00000001 00000008 000004 03 00 00000001 00000008",
            ),
            (
                json!({"frame": "DATA", "stream": 1, "zeros": 1, "length": 16}),
                "000010 00 00 00000001 00",
            ),
        ] {
            assert_eq!(encoded(&step), hex(expected), "{step}");
        }
    }

    #[test]
    fn unknown_keys_are_errors() {
        for (step, expected) in [
            (json!({"frame": "PINGS"}), "unknown frame type \"PINGS\""),
            (
                json!({"frame": 256}),
                "\"frame\" is 256, not a number of this size",
            ),
            (json!({"stream": 1}), "no \"frame\""),
            (
                json!({"frame": "DATA", "flags": "END"}),
                "unknown flag \"END\"",
            ),
            (
                json!({"frame": "RST_STREAM", "code": "STOP"}),
                "unknown error code \"STOP\"",
            ),
            (
                json!({"frame": "SETTINGS", "settings": [["SIZE", 1]]}),
                "unknown setting [\"SIZE\",1]",
            ),
            (
                json!({"frame": "PING", "payload": "0"}),
                "\"0\" is not hexadecimal",
            ),
        ] {
            assert_eq!(encoded(&step), Err(expected.to_owned()));
        }
        let error = encoded(&json!({"frame": "PING", "type": 1})).unwrap_err();
        assert!(error.starts_with("unknown key \"type\""), "{error}");
    }

    #[test]
    fn long_values_have_long_lengths() {
        for (length, expected) in [(126, "7e"), (127, "7f 00"), (300, "7f ad 01")] {
            let mut bytes = Vec::new();
            super::length(length, &mut bytes);
            assert_eq!(bytes, hex(expected).unwrap());
        }
    }
}
