//! The tree as JSON (RFC 8259).

use std::fmt::Write;

use super::{Description, OptionValue};

/// The parts still to be written, last first: a tree may be as deep as memory allows.
enum Next<'a> {
    Component(&'a Description),
    Text(&'static str),
    String(&'a str),
}

pub(super) fn write(tree: &Description) -> String {
    let mut json = String::new();
    let mut pending = vec![Next::Component(tree)];
    while let Some(next) = pending.pop() {
        match next {
            Next::Text(text) => json.push_str(text),
            Next::String(text) => write_string(&mut json, text),
            Next::Component(component) => {
                write_head(&mut json, component);
                pending.push(Next::Text("]}"));
                for (at, (label, child)) in component.children.iter().enumerate().rev() {
                    pending.extend([
                        Next::Text("}"),
                        Next::Component(child),
                        Next::Text(",\"component\":"),
                        Next::String(label),
                        Next::Text(if at == 0 {
                            "{\"label\":"
                        } else {
                            ",{\"label\":"
                        }),
                    ]);
                }
            }
        }
    }
    json
}

/// Writes a component up to its children.
fn write_head(json: &mut String, component: &Description) {
    json.push_str("{\"name\":");
    write_string(json, &component.name);
    json.push_str(",\"options\":{");
    for (at, (name, value)) in component.options.iter().enumerate() {
        json.push_str(if at == 0 { "" } else { "," });
        write_string(json, name);
        json.push(':');
        write_value(json, value);
    }
    json.push_str("},\"children\":[");
}

pub(super) fn write_value(json: &mut String, value: &OptionValue) {
    match value {
        OptionValue::Text(text) | OptionValue::Opaque(text) => write_string(json, text),
        OptionValue::Off => json.push_str("null"),
        OptionValue::List(values) => {
            json.push('[');
            for (at, value) in values.iter().enumerate() {
                json.push_str(if at == 0 { "" } else { "," });
                write_value(json, value);
            }
            json.push(']');
        }
        // JSON has no other floating-point numbers (RFC 8259, section 6).
        OptionValue::Float(number) if !number.is_finite() => {
            write_string(json, &number.to_string());
        }
        OptionValue::Integer(_) | OptionValue::Float(_) | OptionValue::Flag(_) => {
            let _ = write!(json, "{value}");
        }
        OptionValue::Duration(_) | OptionValue::Size(_) => write_string(json, &value.to_string()),
    }
}

fn write_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\n' => json.push_str("\\n"),
            character if character.is_control() => {
                // U+007F to U+009F need no escape in JSON, but they are harmful in a terminal.
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            character => json.push(character),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        for (text, expected) in [
            ("a/é\u{1f600}", "\"a/é\u{1f600}\""),
            ("\"\\", "\"\\\"\\\\\""),
            ("\n\r\0\u{7f}\u{9f}", "\"\\n\\u000d\\u0000\\u007f\\u009f\""),
        ] {
            let mut json = String::new();
            write_string(&mut json, text);
            assert_eq!(json, expected);
        }
    }

    #[test]
    fn values_have_the_types_of_json() {
        let values: [(OptionValue, &str); 9] = [
            ("a, b".into(), "\"a, b\""),
            (u64::MAX.into(), "18446744073709551615"),
            (1e300.into(), &format!("1{}", "0".repeat(300))),
            (f64::NAN.into(), "\"NaN\""),
            (false.into(), "false"),
            (None::<&str>.into(), "null"),
            (std::time::Duration::from_secs(30).into(), "\"30s\""),
            (OptionValue::size(1 << 14), "\"16 KiB\""),
            ([[1, 2], [3, 4]].into(), "[[1,2],[3,4]]"),
        ];
        for (value, expected) in values {
            let tree = Description::new("A").option("x", value);
            let expected =
                format!("{{\"name\":\"A\",\"options\":{{\"x\":{expected}}},\"children\":[]}}");
            assert_eq!(tree.to_json(), expected);
        }
    }

    #[test]
    fn branches_and_options_are_separated() {
        let tree = Description::new("R")
            .child("a", Description::new("A").option("x", 1).option("y", "\""))
            .child("", Description::new("B").child("c", Description::new("C")));
        let expected = concat!(
            r#"{"name":"R","options":{},"children":["#,
            r#"{"label":"a","component":{"name":"A","options":{"x":1,"y":"\""},"children":[]}},"#,
            r#"{"label":"","component":{"name":"B","options":{},"children":["#,
            r#"{"label":"c","component":{"name":"C","options":{},"children":[]}}]}}]}"#,
        );
        assert_eq!(tree.to_json(), expected);
    }

    #[test]
    fn a_deep_tree_is_written_without_recursion() {
        let deep = (0..20_000).fold(Description::new("end"), |inner, _| {
            Description::new("w").child("", inner)
        });
        assert_eq!(deep.to_json().matches("\"name\"").count(), 20_001);
        assert_eq!(deep.to_dot().matches(" -> ").count(), 20_000);
        // Dropping it would recurse as deep as the tree.
        std::mem::forget(deep);
    }
}
