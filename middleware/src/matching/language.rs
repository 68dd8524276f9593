//! The languages that a client accepts (RFC 9110, section 12.5.4; RFC 4647).

use enfilade_core::headers::members;
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use crate::content::coding::parse_weight;

/// The maximum number of list members that are read; the rest is ignored.
const MAX_MEMBERS: usize = 64;

/// Returns the index of the offered language that the client prefers; `None` if it accepts none of them, or says nothing.
///
/// Each range is looked up (RFC 4647, section 3.4: `de-CH-1996`, `de-CH`, `de`), the ones with the highest weight first; then
/// it is a filter (section 3.3.1: `de` matches `de-CH`). `*` matches the first one that no other range excludes.
pub(crate) fn choose_language(headers: &HeaderMap, offered: &[&str]) -> Option<usize> {
    let ranges = members(headers, &ACCEPT_LANGUAGE)
        .take(MAX_MEMBERS)
        .filter_map(range);
    let (excluded, mut wanted): (Vec<_>, Vec<_>) = ranges.partition(|(_, weight)| *weight == 0);
    // A stable sort, so that the first of equal ones stays first.
    wanted.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    let may_be = |at: &usize| {
        let language = offered.get(*at).copied().unwrap_or_default();
        !excluded.iter().any(|(range, _)| is_in(language, range))
    };
    let find = |test: &dyn Fn(&str) -> bool| {
        (0..offered.len())
            .filter(may_be)
            .find(|at| offered.get(*at).is_some_and(|language| test(language)))
    };
    let matching = |range: &str| match range {
        // What no other range matches (RFC 4647, section 3.3.1).
        "*" => find(&|language| wanted.iter().all(|(range, _)| !is_in(language, range)))
            .or_else(|| find(&|_| true)),
        _ => look_up(range, &find).or_else(|| find(&|language| is_more_specific(language, range))),
    };
    wanted.iter().find_map(|(range, _)| matching(range))
}

fn look_up(range: &str, find: &dyn Fn(&dyn Fn(&str) -> bool) -> Option<usize>) -> Option<usize> {
    let mut range = range;
    loop {
        if let Some(found) = find(&|language| language.eq_ignore_ascii_case(range)) {
            return Some(found);
        }
        range = range.rsplit_once('-')?.0;
        // A single character begins an extension, so it goes too.
        if let Some((shorter, [_])) = range
            .rsplit_once('-')
            .map(|(shorter, last)| (shorter, last.as_bytes()))
        {
            range = shorter;
        }
    }
}

/// Whether `de` and `de-CH` are in the range `de`.
fn is_in(language: &str, range: &str) -> bool {
    language.eq_ignore_ascii_case(range) || is_more_specific(language, range)
}

/// Whether `de-CH` is a `de`.
fn is_more_specific(language: &str, range: &str) -> bool {
    let start = language.get(..range.len());
    let rest = language.get(range.len()..).unwrap_or_default();
    start.is_some_and(|start| start.eq_ignore_ascii_case(range)) && rest.starts_with('-')
}

fn range(member: &str) -> Option<(&str, u16)> {
    let mut parts = member.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((
        range,
        weight.map_or(1000, |weight| parse_weight(weight).unwrap_or(1000)),
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_language_that_is_wanted_most_is_chosen() {
        let offered = ["en", "de-CH", "fr", "zh-Hant"];
        for (header, expected) in [
            ("", None),
            ("fr", Some("fr")),
            ("FR-ca, en;q=0.9", Some("fr")),
            ("en;q=0.5, fr;q=0.8", Some("fr")),
            ("de", Some("de-CH")),
            ("de-CH-1996", Some("de-CH")),
            ("zh-Hant-x-private", Some("zh-Hant")),
            ("zh-Hans", None),
            ("it, *;q=0.1", Some("en")),
            ("en;q=0, *", Some("de-CH")),
            ("fr;q=0", None),
            ("de;q=0, *", Some("en")),
            ("en;q=0, de;q=0, *", Some("fr")),
            ("*;q=0.5, en;q=0.1", Some("de-CH")),
            ("it", None),
            ("d", None),
            ("en;q=x", Some("en")),
            ("fr, en", Some("fr")),
        ] {
            let headers =
                HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(header))]);
            let found = choose_language(&headers, &offered).map(|at| offered[at]);
            assert_eq!(found, expected, "{header}");
        }
        assert_eq!(choose_language(&HeaderMap::new(), &offered), None);
    }
}
