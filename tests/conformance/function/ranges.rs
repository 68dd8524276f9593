//! Cases about ranges.

use enfilade::conditional::{ByteRanges, ContentRange, byte_ranges};
use http::HeaderValue;
use serde_json::{Value, json};

use super::Output;
use crate::case::{known, number, required, texts};
use crate::verdict::{Check, unsupported};

/// The maximum number of parts, which is that of `Ranges` by default.
const MAX_PARTS: usize = 16;

/// Several field values are one list (RFC 9110, section 5.3), which is no valid set of ranges.
pub(super) fn parse_range(input: &Value) -> Check<Output> {
    known(input, "input", &["range", "size"])?;
    let value = match &input["range"] {
        Value::String(value) => value.clone(),
        lines => texts(lines)?.join(", "),
    };
    let (Ok(value), Some(size)) = (
        HeaderValue::from_bytes(value.as_bytes()),
        number(input, "size"),
    ) else {
        return unsupported(format!("the input {input}"));
    };
    let output = match byte_ranges(&value, size, MAX_PARTS) {
        ByteRanges::Ignored => json!("ignore"),
        ByteRanges::Unsatisfiable => json!("unsatisfiable"),
        ByteRanges::Satisfiable(ranges) => {
            let ranges = ranges
                .iter()
                .map(|range| json!([range.start, range.end - 1]));
            json!({"ranges": ranges.collect::<Vec<_>>()})
        }
        other => return unsupported(format!("the ranges {other:?}")),
    };
    Ok(Ok(output))
}

pub(super) fn parse_content_range(input: &Value) -> Check<Output> {
    known(input, "input", &["value"])?;
    let value = HeaderValue::from_str(required(input, "value")?);
    let found = value
        .ok()
        .and_then(|value| ContentRange::from_header_value(&value));
    Ok(Ok(json!(found.map(|found| {
        let range = found.range();
        json!({
            "unit": found.unit(),
            "first": range.as_ref().map(|range| range.start),
            "last": range.as_ref().map(|range| range.end - 1),
            "length": found.complete_length(),
        })
    }))))
}
