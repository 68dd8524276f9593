//! The pattern syntax of other routers, which is text here, or a constraint that hardly ever matches.

/// The capture for this text of another router: `:id`, `*rest`, `<int:id>`, `[id]`.
///
/// `None` if it is text. To match a text that begins with one of these marks, write a constraint: `{id:[:]id}`.
pub(super) fn capture(text: &str) -> Option<String> {
    if let Some(name) = text.strip_prefix(':') {
        return Some(format!("{{{}}}", word(name)));
    }
    if let Some(name) = text.strip_prefix('*') {
        return Some(format!("{{*{}}}", word(name.trim_start_matches('*'))));
    }
    let inside = |open, close| text.split_once(open)?.1.split_once(close);
    if let Some((inside, _)) = inside('<', '>') {
        let (kind, name) = inside.split_once(':').unwrap_or(("", inside));
        return Some(with_kind(word(name), kind));
    }
    let (inside, _) = inside('[', ']').filter(|_| text.starts_with('['))?;
    Some(match inside.trim_start_matches('[').strip_prefix("...") {
        Some(name) => format!("{{*{}}}", word(name)),
        None => format!("{{{}}}", word(inside)),
    })
}

/// The capture for a constraint that is a word of another router: `integer`, `path`, `string`.
///
/// A word as a regular expression matches only itself, and capturing a known text is useless.
pub(super) fn constraint(name: &str, text: &str) -> Option<String> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!text.is_empty() && text.bytes().all(is_word)).then(|| with_kind(word(name), text))
}

/// A capture with the constraint that the word of another router means.
fn with_kind(name: &str, kind: &str) -> String {
    match kind.to_ascii_lowercase().as_str() {
        "" | "str" | "string" | "any" | "segment" => format!("{{{name}}}"),
        "path" | "rest" | "filename" => format!("{{*{name}}}"),
        "int" | "integer" | "number" | "num" | "digit" | "digits" | "long" | "i32" | "i64"
        | "u32" | "u64" | "usize" => format!("{{{name}:int}}"),
        "uuid" | "guid" => format!("{{{name}:uuid}}"),
        "slug" => format!("{{{name}:slug}}"),
        _ => format!(
            "{{{name}:int}}, {{{name}:uuid}}, {{{name}:slug}} or a regular expression such as {{{name}:[a-z]+}}"
        ),
    }
}

/// The name at the beginning of a text, or `name`.
fn word(text: &str) -> &str {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let end = text.find(|character| !is_name(character));
    let name = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    if name.is_empty() { "name" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_of_other_routers_are_known() {
        let cases = [
            (":id", Some("{id}")),
            (":id.json", Some("{id}")),
            (":id(\\d+)", Some("{id}")),
            (":", Some("{name}")),
            ("*rest", Some("{*rest}")),
            ("*", Some("{*name}")),
            ("**", Some("{*name}")),
            ("<id>", Some("{id}")),
            ("<int:id>", Some("{id:int}")),
            ("<path:rest>", Some("{*rest}")),
            ("v<int:major>", Some("{major:int}")),
            ("[id]", Some("{id}")),
            ("[...rest]", Some("{*rest}")),
            ("[[...rest]]", Some("{*rest}")),
            ("a:b", None),
            ("a*", None),
            ("projects:cancel", None),
            ("a<b", None),
            ("a[0]", None),
            ("", None),
        ];
        for (text, ours) in cases {
            assert_eq!(capture(text).as_deref(), ours, "{text}");
        }
    }

    #[test]
    fn constraints_of_other_routers_are_known() {
        let other = "{x:int}, {x:uuid}, {x:slug} or a regular expression such as {x:[a-z]+}";
        let cases = [
            ("integer", Some("{x:int}")),
            ("u64", Some("{x:int}")),
            ("path", Some("{*x}")),
            ("string", Some("{x}")),
            ("GUID", Some("{x:uuid}")),
            ("float", Some(other)),
            ("(?:v1)", None),
            ("a|b", None),
            ("[0-9]+", None),
            ("", None),
        ];
        for (text, ours) in cases {
            assert_eq!(constraint("x", text).as_deref(), ours, "{text}");
        }
    }
}
