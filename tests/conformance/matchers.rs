//! Matchers of header values and other texts.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use fancy_regex::Regex;
use serde_json::Value;

use crate::case::{known, object, texts};
use crate::verdict::{Check, Trouble, all, any_of, ensure, fail, unsupported};

/// Bits that are left over at the end do not matter here.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// The values that some matchers compare the header with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context<'a> {
    pub(crate) body_length: usize,
    /// The request as the application saw it.
    pub(crate) saw: Option<&'a Value>,
    /// The header's value in each of the repeated responses.
    pub(crate) repeats: Vec<String>,
}

/// A matcher of one text; `None` if `name` is not one.
pub(crate) fn text(name: &str, wanted: &Value, found: &str) -> Option<Check> {
    let said = |holds: bool| ensure(holds, || format!("{found:?} is not {name} {wanted}"));
    let each = |fits: &dyn Fn(&str) -> bool| said(texts(wanted)?.into_iter().all(fits));
    Some(match name {
        "equals" => text_of(wanted).and_then(|wanted| said(found == wanted)),
        "not_equals" => text_of(wanted).and_then(|wanted| said(found != wanted)),
        "one_of" => texts(wanted).and_then(|list| said(list.contains(&found))),
        "contains" => each(&|part| found.contains(part)),
        "contains_any" => {
            texts(wanted).and_then(|list| said(list.into_iter().any(|part| found.contains(part))))
        }
        "not_contains" => each(&|part| !found.contains(part)),
        "not_contains_decoded" => {
            let decoded = decoded(found);
            each(&|part| !found.contains(part) && !decoded.iter().any(|text| text.contains(part)))
        }
        "regex" => regex(wanted, found).and_then(said),
        "not_regex" => regex(wanted, found).and_then(|matches| said(!matches)),
        "max_length" => match wanted.as_u64() {
            Some(limit) => said(found.len() as u64 <= limit),
            None => unsupported(format!("max_length {wanted}")),
        },
        _ => return None,
    })
}

/// What the parts of a value are as base64, in both alphabets.
fn decoded(value: &str) -> Vec<String> {
    let is_base64 =
        |character: char| character.is_ascii_alphanumeric() || "+/-_".contains(character);
    let parts = value.split(|character| !is_base64(character));
    let decode = |part: &str| {
        let part = part.replace('+', "-").replace('/', "_");
        // Data may begin in the middle of what looks like it.
        let starts = (0..4.min(part.len())).filter_map(|start| part.get(start..));
        let all = starts.map(|part| part.get(..part.len() - (part.len() % 4 == 1) as usize));
        let decoded = all.flatten().filter_map(|part| BASE64.decode(part).ok());
        decoded
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect::<Vec<_>>()
    };
    parts.flat_map(decode).collect()
}

pub(crate) fn text_of(wanted: &Value) -> Check<&str> {
    wanted
        .as_str()
        .map_or_else(|| unsupported(format!("{wanted} is not a text")), Ok)
}

fn regex(wanted: &Value, found: &str) -> Check<bool> {
    let regex = Regex::new(text_of(wanted)?);
    let matches = regex.and_then(|regex| regex.is_match(found));
    matches.or_else(|error| unsupported(format!("regex {wanted}: {error}")))
}

/// Judges all fields of one header.
pub(crate) fn header(matcher: &Value, lines: &[&str], context: &Context<'_>) -> Check {
    let matchers = object(matcher)?.iter();
    all(matchers.map(|(name, wanted)| header_by(name, wanted, lines, context)))
}

fn header_by(name: &str, wanted: &Value, lines: &[&str], context: &Context<'_>) -> Check {
    if let Some(name) = name.strip_prefix("absent_or_") {
        // The matcher is parsed in any case, so that an unknown one is never skipped.
        return match header_by(name, wanted, lines, context) {
            Err(Trouble::Failed(_)) if lines.is_empty() => Ok(()),
            check => check,
        };
    }
    header_lines(name, wanted, lines)
        .or_else(|| tokens(name, wanted, lines))
        .or_else(|| compared(name, wanted, lines, context))
        .or_else(|| joined(name, wanted, lines))
        .unwrap_or_else(|| unsupported(format!("the header matcher {name:?}")))
}

/// Matchers of all fields as one text; `None` if `name` is not one.
fn joined(name: &str, wanted: &Value, lines: &[&str]) -> Option<Check> {
    let check = text(name, wanted, &lines.join(", "))?;
    // An absent header contains nothing and matches nothing.
    Some(match lines {
        [] if name.starts_with("not_") => Ok(()),
        [] => fail(format!("the header is absent, and not {name} {wanted}")),
        _ => check,
    })
}

/// Matchers that compare with other values; `None` if `name` is not one.
fn compared(name: &str, wanted: &Value, lines: &[&str], context: &Context<'_>) -> Option<Check> {
    let joined = lines.join(", ");
    let said = |holds: bool| ensure(holds, || format!("{lines:?} is not {name} {wanted}"));
    let truth = |found: bool| said(wanted.as_bool() == Some(found));
    Some(match name {
        "matches_body" => truth(joined == context.body_length.to_string()),
        "equals_app_saw" => match context.saw.and_then(|saw| saw.get(wanted.as_str()?)) {
            Some(saw) => said(saw.as_str() == Some(&joined)),
            None => unsupported(format!("the application does not record {wanted}")),
        },
        "distinct_across_repeats" => {
            let values = sorted(context.repeats.clone());
            truth(values.windows(2).all(|pair| pair[0] != pair[1]))
        }
        _ => return None,
    })
}

/// Matchers of the separate fields; `None` if `name` is not one.
fn header_lines(name: &str, wanted: &Value, lines: &[&str]) -> Option<Check> {
    let said = |holds: bool| ensure(holds, || format!("{lines:?} is not {name} {wanted}"));
    let truth = |found: bool| said(Some(found) == wanted.as_bool());
    Some(match name {
        "absent" => truth(lines.is_empty()),
        "present" => truth(!lines.is_empty()),
        "any" => said(wanted.as_bool() == Some(true)),
        "lines_equal" => texts(wanted).and_then(|wanted| said(lines == wanted)),
        "line_count" => said(wanted.as_u64() == Some(lines.len() as u64)),
        "lines_start_with" => texts(wanted).and_then(|starts| {
            let mut both = lines.iter().zip(&starts);
            said(lines.len() == starts.len() && both.all(|(line, start)| line.starts_with(start)))
        }),
        _ => return None,
    })
}

/// Matchers of comma-separated tokens; `None` if `name` is not one.
fn tokens(name: &str, wanted: &Value, lines: &[&str]) -> Option<Check> {
    let (base, fold): (&str, fn(&str) -> String) = match name.strip_suffix("_cs") {
        Some(base) => (base, str::to_owned),
        None => (name, str::to_ascii_lowercase),
    };
    let members = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    let found: Vec<String> = members
        .filter(|token| !token.is_empty())
        .map(fold)
        .collect();
    let said = |holds: bool| ensure(holds, || format!("{lines:?} is not {name} {wanted}"));
    let with = |fits: &dyn Fn(Vec<String>) -> bool| {
        let wanted = texts(wanted)?;
        said(fits(wanted.into_iter().map(fold).collect()))
    };
    Some(match base {
        "tokens_include" => with(&|wanted| wanted.iter().all(|token| found.contains(token))),
        "tokens_exclude" => with(&|wanted| !wanted.iter().any(|token| found.contains(token))),
        "tokens_equal" => with(&|wanted| sorted(wanted) == sorted(found.clone())),
        "token_count" => object(wanted).and_then(|counts| {
            said(counts.iter().all(|(token, count)| {
                let same = found.iter().filter(|found| **found == fold(token));
                count.as_u64() == Some(same.count() as u64)
            }))
        }),
        _ => return None,
    })
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

/// Judges a recorded JSON value: by equality, or by `any_of`, `absent` and the matchers of texts.
pub(crate) fn value(matcher: &Value, found: &Value) -> Check {
    if let Some(list) = matcher.get("any_of").and_then(Value::as_array) {
        known(matcher, "a matcher", &["any_of"])?;
        return any_of(list, |alternative| value(alternative, found));
    }
    match (matcher.get("absent"), matcher, found) {
        (Some(absent), _, _) => {
            known(matcher, "a matcher", &["absent"])?;
            ensure(absent.as_bool() == Some(found.is_null()), || {
                format!("{found} is not absent: {absent}")
            })
        }
        // An absent value matches nothing, but the matcher must be a known one.
        (None, Value::Object(_), Value::Null) => match value(matcher, &Value::from("")) {
            Err(Trouble::Failed(_)) | Ok(()) => fail(format!("it is absent, and not {matcher}")),
            unknown => unknown,
        },
        (None, Value::Object(matchers), Value::String(found)) => {
            all(matchers.iter().map(|(name, wanted)| {
                text(name, wanted, found)
                    .unwrap_or_else(|| unsupported(format!("the text matcher {name:?}")))
            }))
        }
        _ => ensure(matcher == found, || format!("{found} is not {matcher}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Example {
        matcher: Value,
        passes: &'static [&'static str],
        fails: &'static [&'static str],
    }

    fn example(
        matcher: Value,
        passes: &'static [&'static str],
        fails: &'static [&'static str],
    ) -> Example {
        Example {
            matcher,
            passes,
            fails,
        }
    }

    #[test]
    fn every_header_matcher_can_pass_and_fail() {
        let examples = [
            example(json!({"equals": "a, b"}), &["a", "b"], &["a"]),
            example(json!({"not_equals": "a"}), &["b"], &["a"]),
            example(json!({"absent": true}), &[], &["a"]),
            example(json!({"absent": false}), &["a"], &[]),
            example(json!({"present": true}), &[""], &[]),
            example(json!({"contains": "b"}), &["abc"], &["ac"]),
            example(json!({"contains": ["a", "b"]}), &["ab"], &["a"]),
            example(json!({"contains": ""}), &["x"], &[]),
            example(json!({"contains_any": ["x", "b"]}), &["ab"], &["c"]),
            example(json!({"not_contains": "b"}), &["ac"], &["abc"]),
            example(json!({"not_contains": "b"}), &[], &["b"]),
            // `bar` in base64 is `YmFy`, also behind other bytes and between dots.
            example(
                json!({"not_contains_decoded": "bar"}),
                &["a=YmFh.Zm9v"],
                &["bar"],
            ),
            example(
                json!({"not_contains_decoded": "bar"}),
                &["e1"],
                &["a=x.AYmFyA"],
            ),
            example(json!({"regex": "^(?!a)b"}), &["bc"], &["ab"]),
            example(json!({"regex": ".*"}), &["b"], &[]),
            example(json!({"not_regex": "^a"}), &["b"], &["a"]),
            example(json!({"one_of": ["a", "b"]}), &["b"], &["c"]),
            example(json!({"max_length": 2}), &["ab"], &["abc"]),
            example(json!({"tokens_include": ["A"]}), &["b, a"], &["ab"]),
            example(json!({"tokens_include_cs": ["A"]}), &["A"], &["a"]),
            example(json!({"tokens_exclude": ["A"]}), &["b"], &["c", "a"]),
            example(json!({"tokens_exclude_cs": ["A"]}), &["a"], &["A"]),
            example(json!({"tokens_equal": ["b", "A"]}), &["a", "B"], &["a"]),
            example(json!({"tokens_equal": ["a"]}), &["a"], &["a, a"]),
            example(json!({"tokens_equal_cs": ["A"]}), &["A"], &["a"]),
            example(json!({"token_count": {"A": 1}}), &["a"], &["a", "a"]),
            example(json!({"lines_equal": ["a", "b"]}), &["a", "b"], &["b", "a"]),
            example(json!({"lines_equal": [""]}), &[""], &[]),
            example(json!({"line_count": 2}), &["a", "b"], &["a, b"]),
            example(
                json!({"lines_start_with": ["a", "b"]}),
                &["a1", "b"],
                &["b", "a"],
            ),
            example(json!({"lines_start_with": ["a"]}), &["a1"], &["a", "a"]),
            example(json!({"matches_body": true}), &["7"], &["8"]),
            example(json!({"matches_body": false}), &["8"], &["7"]),
            example(json!({"absent_or_matches_body": true}), &[], &["07"]),
            example(json!({"absent_or_equals": "a"}), &[], &["b"]),
            example(json!({"absent_or_equals": "a"}), &["a"], &["b"]),
            example(json!({"absent_or_tokens_exclude": ["a"]}), &[], &["A"]),
            example(json!({"equals_app_saw": "request_id"}), &["r1"], &["r2"]),
            example(json!({"equals": "a", "line_count": 1}), &["a"], &["a", "a"]),
        ];
        let saw = json!({"request_id": "r1"});
        let context = Context {
            body_length: 7,
            saw: Some(&saw),
            repeats: Vec::new(),
        };
        for Example {
            matcher,
            passes,
            fails,
        } in examples
        {
            assert_eq!(header(&matcher, passes, &context), Ok(()), "{matcher}");
            let failed = header(&matcher, fails, &context);
            assert!(
                matches!(failed, Err(Trouble::Failed(_))),
                "{matcher}: {failed:?}"
            );
        }
        assert_eq!(header(&json!({"any": true}), &[], &context), Ok(()));
    }

    #[test]
    fn repeats_are_compared_with_each_other() {
        let distinct = json!({"distinct_across_repeats": true});
        for (repeats, passes) in [(["a", "b"], true), (["a", "a"], false)] {
            let context = Context {
                repeats: repeats.map(str::to_owned).to_vec(),
                ..Context::default()
            };
            assert_eq!(header(&distinct, &["a"], &context).is_ok(), passes);
        }
    }

    #[test]
    fn an_unknown_matcher_is_never_skipped() {
        for matcher in [
            json!({"nearly": "a"}),
            json!({"not_nearly": "a"}),
            json!({"absent_or_nearly": "a"}),
            json!({"regex": "("}),
            json!({"equals": 1}),
            json!("a"),
            json!({"equals_app_saw": "unknown"}),
        ] {
            let result = header(&matcher, &["a"], &Context::default());
            assert!(
                matches!(result, Err(Trouble::Unsupported(_))),
                "{matcher}: {result:?}"
            );
        }
        for name in ["nearly", "absent_or_nearly"] {
            let absent = header(&json!({name: "a"}), &[], &Context::default());
            assert!(matches!(absent, Err(Trouble::Unsupported(_))), "{name}");
        }
    }

    #[test]
    fn every_value_matcher_can_pass_and_fail() {
        for (matcher, passes, fails) in [
            (json!("a"), json!("a"), json!("b")),
            (json!(1), json!(1), json!("1")),
            (json!({"any_of": ["a", "b"]}), json!("b"), json!("c")),
            (json!({"absent": true}), json!(null), json!("")),
            (json!({"not_regex": "^//"}), json!(""), json!("//a")),
            (json!({"contains": "a"}), json!("ab"), json!(null)),
            (json!(null), json!(null), json!("")),
        ] {
            assert_eq!(value(&matcher, &passes), Ok(()), "{matcher}");
            assert!(value(&matcher, &fails).is_err(), "{matcher}");
        }
        for (matcher, found) in [
            (json!({"nearly": "a"}), json!("a")),
            (json!({"nearly": "a"}), json!(null)),
            (json!({"absent": true, "nearly": "a"}), json!(null)),
            (json!({"any_of": ["a"], "nearly": "a"}), json!("a")),
        ] {
            let unknown = value(&matcher, &found);
            assert!(matches!(unknown, Err(Trouble::Unsupported(_))), "{matcher}");
        }
    }
}
