//! Writes JSON (RFC 8259). Each function returns the text of a value.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A string.
pub(crate) fn string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\0'..='\u{1f}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}

/// A string, or `null` for `None`.
pub(crate) fn string_or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), string)
}

/// An array of values.
pub(crate) fn array(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<String> = values.into_iter().collect();
    format!("[{}]", values.join(","))
}

/// An object. Names must differ.
pub(crate) fn object<N: AsRef<str>>(members: impl IntoIterator<Item = (N, String)>) -> String {
    let members = members.into_iter();
    let members = members.map(|(name, value)| format!("{}:{value}", string(name.as_ref())));
    let members: Vec<String> = members.collect();
    format!("{{{}}}", members.join(","))
}

/// An object of texts; of repeated names the last one is used.
pub(crate) fn object_of_texts(members: &[(String, String)]) -> String {
    let members = members.iter();
    let members: BTreeMap<_, _> = members.map(|(name, text)| (name, string(text))).collect();
    object(members)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn writes_arrays_and_objects() {
        let empty: [String; 0] = [];
        let inner = array(["1".to_owned(), string_or_null(None), array(empty)]);
        let text = object([("a", inner), ("b\n", string_or_null(Some("c")))]);
        assert_eq!(text, r#"{"a":[1,null,[]],"b\n":"c"}"#);
        assert_eq!(object::<&str>([]), "{}");
    }

    proptest! {
        #[test]
        fn strings_are_written_as_serde_json_writes_them(text: String) {
            prop_assert_eq!(string(&text), json!(text).to_string());
        }

        #[test]
        fn what_is_written_can_be_read(name: String, text: String) {
            let written = object([(&name, array([string(&text)]))]);
            let read: Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read, json!({ name: [text] }));
        }
    }
}
