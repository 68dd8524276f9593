//! Functions that parse and write cookies.

use std::collections::BTreeMap;
use std::time::Duration;

use enfilade::headers::parse_http_date;
use enfilade::{Cookie, CookieError, Request, SameSite};
use http::HeaderValue;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Output, judge};
use crate::case::{known, object, required, text, texts};
use crate::matchers;
use crate::verdict::{Check, all, any_of, ensure, fail, unsupported};

/// Judges a case about one of these functions; `None` for another function.
pub(super) fn run(function: &str, input: &Value, expect: &Value) -> Option<Check> {
    Some(match function {
        "parse_cookie_header" => parse(input).and_then(|output| judge(expect, &output)),
        "get_cookie" => get(input).and_then(|output| judge(expect, &output)),
        "build_set_cookie" => cookie(input).and_then(|cookie| written(cookie, expect)),
        "build_delete_cookie" => {
            let removal = cookie(input).map(|cookie| cookie.map(Cookie::removal));
            removal.and_then(|cookie| written(cookie, expect))
        }
        "round trip: build, then parse the pair as a browser would and read it back" => {
            round_trip(input, expect)
        }
        _ => return None,
    })
}

fn request(lines: &[&str]) -> Request {
    let mut request = Request::get("/");
    for line in lines {
        // A gateway rejects an invalid header value before it gets here.
        if let Ok(line) = HeaderValue::from_bytes(line.as_bytes()) {
            request.headers_mut().append("cookie", line);
        }
    }
    request
}

fn parse(input: &Value) -> Check<Output> {
    known(input, "input", &["value"])?;
    let request = request(&[required(input, "value")?]);
    let pairs: Vec<_> = request
        .cookies()
        .iter()
        .map(|(name, value)| json!([name, value]))
        .collect();
    Ok(Ok(json!(pairs)))
}

fn get(input: &Value) -> Check<Output> {
    known(input, "input", &["lines", "name"])?;
    let request = request(&texts(&input["lines"])?);
    Ok(Ok(json!(request.cookies().get(required(input, "name")?))))
}

/// Returns the cookie of a case, or that its options are refused.
fn cookie(input: &Value) -> Check<Result<Cookie, String>> {
    known(input, "input", &["name", "value", "options"])?;
    let (name, value) = (
        required(input, "name")?,
        text(input, "value").unwrap_or_default(),
    );
    // The cases set only what they name.
    let mut cookie = Cookie::new(name, value).without_path().same_site(None);
    let options = &input["options"];
    let flag = |name: &str| options[name].as_bool() == Some(true);
    // The other options are ours: secure, as `SameSite=None` and prefixes require it.
    cookie = if options.get("secure").is_none() {
        cookie.insecure_without_tls()
    } else {
        cookie
    };
    cookie = if flag("http_only") {
        cookie
    } else {
        cookie.readable_by_scripts()
    };
    for (name, value) in object(options)? {
        cookie = match (name.as_str(), value) {
            ("secure", Value::Bool(false)) => cookie.insecure_without_tls(),
            ("secure" | "http_only" | "environment", _) | ("same_site", Value::Null) => cookie,
            ("partitioned", Value::Bool(true)) => cookie.partitioned(),
            ("path", Value::String(path)) => cookie.path(path.as_str()),
            ("domain", Value::String(domain)) => cookie.domain(domain),
            ("max_age_s", Value::Number(seconds)) => {
                cookie.max_age(Duration::from_secs(seconds.as_u64().unwrap_or_default()))
            }
            ("expires", Value::String(date)) => cookie.expires(moment(date)?),
            ("same_site", Value::String(same_site)) => match same_site.as_str() {
                "Strict" => cookie.same_site(SameSite::Strict),
                "Lax" => cookie.same_site(SameSite::Lax),
                "None" => cookie.same_site(SameSite::None),
                // The type has no such value.
                other => return Ok(Err(format!("SameSite={other}"))),
            },
            _ => return unsupported(format!("the option {name}: {value}")),
        };
    }
    Ok(Ok(cookie))
}

/// Returns a time such as `07 Feb 2012 15:33:10Z` as an HTTP date, with the weekday that matches.
fn moment(text: &str) -> Check<OffsetDateTime> {
    let text = text.trim_end_matches('Z');
    let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let mut dates = weekdays
        .iter()
        .filter_map(|weekday| parse_http_date(&format!("{weekday}, {text} GMT")));
    dates
        .next()
        .map_or_else(|| unsupported(format!("the time {text}")), Ok)
}

/// Judges a written cookie, or that it is refused.
fn written(cookie: Result<Cookie, String>, expect: &Value) -> Check {
    let line = cookie.and_then(|cookie| line(&cookie).map_err(|error| error.to_string()));
    known(
        expect,
        "expect",
        &["output", "error", "any_of", "wire_must_not_contain"],
    )?;
    if let (Ok(line), Some(parts)) = (&line, expect.get("wire_must_not_contain")) {
        let parts = texts(parts)?;
        ensure(!parts.iter().any(|part| line.contains(part)), || {
            format!("{line:?}")
        })?;
    }
    match (line.as_deref(), expect.get("any_of")) {
        (Err(_), Some(Value::Array(list))) => any_of(list.iter(), |one| {
            ensure(one["error"] == true, || "refused".into())
        }),
        (Ok(line), Some(_)) => fail(format!("it is written: {line:?}")),
        (Err(_), None) if expect["error"] == true => Ok(()),
        (Ok(line), None) => attributes(line, &expect["output"]),
        (Err(error), _) => fail(error.as_str()),
    }
}

fn line(cookie: &Cookie) -> Result<String, CookieError> {
    let value = cookie.header_value()?;
    Ok(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Returns the pair, and the attributes by their names in lower case.
fn attributes(line: &str, wanted: &Value) -> Check {
    if let Some(regex) = wanted.get("regex") {
        return matchers::text("regex", regex, line).unwrap_or_else(|| unsupported("regex"));
    }
    let keys = [
        "pair",
        "attributes",
        "extra_allowed",
        "ci_values",
        "expires_in_past_or_max_age_zero",
    ];
    known(wanted, "output", &keys)?;
    let mut parts = line.split("; ");
    let pair = parts.next().unwrap_or_default();
    let mut found: BTreeMap<String, Value> = parts
        .map(|part| match part.split_once('=') {
            Some((name, value)) => (name.to_ascii_lowercase(), json!(value)),
            None => (part.to_ascii_lowercase(), json!(true)),
        })
        .collect();
    let none = json!([]);
    for extra in texts(wanted.get("extra_allowed").unwrap_or(&none))? {
        found.remove(extra);
    }
    if wanted["expires_in_past_or_max_age_zero"] == true {
        let is_past = found.get("max-age") == Some(&json!("0"));
        return all([
            one(&wanted["pair"], &json!(pair), false),
            ensure(is_past, || line.to_owned()),
        ]);
    }
    let ignores_case = texts(wanted.get("ci_values").unwrap_or(&none))?;
    let attributes = object(&wanted["attributes"])?;
    let names = ensure(found.keys().eq(attributes.keys()), || {
        format!("{found:?} and not {attributes:?}")
    });
    let each = attributes.iter().map(|(name, wanted)| {
        one(
            wanted,
            found.get(name).unwrap_or(&Value::Null),
            ignores_case.contains(&name.as_str()),
        )
    });
    all([names, one(&wanted["pair"], &json!(pair), false)]
        .into_iter()
        .chain(each))
}

fn one(wanted: &Value, found: &Value, ignores_case: bool) -> Check {
    if let Some(Value::Array(list)) = wanted.get("any_of") {
        return any_of(list, |wanted| one(wanted, found, ignores_case));
    }
    let is_equal = match (wanted.as_str(), found.as_str()) {
        (Some(wanted), Some(found)) if ignores_case => wanted.eq_ignore_ascii_case(found),
        _ => wanted == found,
    };
    ensure(is_equal, || format!("{found} and not {wanted}"))
}

/// A value that is encoded, sent, and parsed again.
fn round_trip(input: &Value, expect: &Value) -> Check {
    known(input, "input", &["name", "value"])?;
    known(
        expect,
        "expect",
        &["any_of", "wire_value_must_be_cookie_octets_or_quoted"],
    )?;
    let (name, value) = (required(input, "name")?, required(input, "value")?);
    let Ok(line) = line(&Cookie::encoded(name, value)) else {
        return fail("the encoded value is refused");
    };
    let pair = line.split(';').next().unwrap_or_default();
    let octets = pair.split_once('=').map_or("", |(_, value)| value).bytes();
    let is_octet = |byte: u8| matches!(byte, b'!'..=b'~') && !b"\",;\\".contains(&byte);
    ensure(octets.clone().all(is_octet), || line.clone())?;
    let request = request(&[pair]);
    let found = json!(request.cookies().get_decoded(name));
    any_of(
        expect["any_of"].as_array().into_iter().flatten(),
        |wanted| ensure(*wanted == found, || format!("{found} and not {wanted}")),
    )
}
