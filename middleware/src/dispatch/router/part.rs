//! The parts of a segment as a pattern has them.

/// A part of a segment.
pub(super) enum Part<'a> {
    Text(&'a str),
    Capture {
        name: &'a str,
        constraint: Option<&'a str>,
    },
}

/// Splits a segment into text and captures; braces inside a constraint may nest.
pub(super) fn split_parts(raw: &str) -> Result<Vec<Part<'_>>, String> {
    let unbalanced = || format!("{raw:?} has a brace without its partner");
    let mut parts = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let Some((text, after)) = rest.split_once('{') else {
            parts.push(Part::Text(rest));
            break;
        };
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        let end = closing_brace(after).ok_or_else(unbalanced)?;
        let (inside, behind) = after.split_at_checked(end).ok_or_else(unbalanced)?;
        parts.push(match inside.split_once(':') {
            Some((name, constraint)) => Part::Capture {
                name,
                constraint: Some(constraint),
            },
            None => Part::Capture {
                name: inside,
                constraint: None,
            },
        });
        rest = behind.strip_prefix('}').unwrap_or(behind);
    }
    let has_brace = |part: &Part<'_>| matches!(part, Part::Text(text) if text.contains('}'));
    if parts.iter().any(has_brace) {
        return Err(unbalanced());
    }
    Ok(parts)
}

/// Where the brace that was opened before `text` is closed.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    text.bytes().position(|byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}
