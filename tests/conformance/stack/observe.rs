//! Wrappers that observe: the access log, and the IDs of requests.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use enfilade::Application;
use enfilade::middleware::{AccessLog, RequestId};
use serde_json::Value;
use time::{OffsetDateTime, UtcOffset};

use super::Parts;
use crate::case::{known, required, text, texts};
use crate::observed::Log;
use crate::verdict::{Check, refused, unsupported};

pub(super) fn access_log(parts: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(
        layer,
        "config",
        &["middleware", "format", "clock", "exclude", "user_from"],
    )?;
    let wrapper = match text(layer, "format") {
        Some("common") => AccessLog::common(),
        Some("combined") => AccessLog::combined(),
        Some(format) if format.contains('%') => AccessLog::format(format).or_else(refused)?,
        other => return unsupported(format!("the format {other:?}")),
    };
    let (now, offset) = clock(required(layer, "clock")?)?;
    let mut wrapper = wrapper
        .writer(parts.watched.log.clone())
        .clock(move || now)
        .utc_offset(offset);
    match text(layer, "user_from") {
        None => {}
        Some("basic") => wrapper = wrapper.unverified_basic_user(),
        Some(other) => return unsupported(format!("user_from {other:?}")),
    }
    if let Some(paths) = layer.get("exclude") {
        for path in texts(paths)? {
            wrapper = wrapper.exclude_path(path);
        }
    }
    Ok(app.wrap(wrapper))
}

/// Returns the line of this format for an exchange with `app`.
pub(crate) fn log_format(format: &str, log: &Log, app: Application) -> Check<Application> {
    let wrapper = AccessLog::format(format).or_else(refused)?;
    Ok(app.wrap(wrapper.writer(log.clone())))
}

pub(super) fn request_id(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(
        layer,
        "config",
        &["middleware", "header", "incoming", "generator"],
    )?;
    let mut wrapper = RequestId::new()
        .header(required(layer, "header")?)
        .or_else(refused)?;
    match text(layer, "incoming") {
        Some("accept when valid") => {}
        Some("ignore") => wrapper = wrapper.ignore_inbound(),
        other => return unsupported(format!("incoming ids: {other:?}")),
    }
    Ok(app.wrap(match text(layer, "generator") {
        None => wrapper,
        Some("uuid v4") => wrapper.generator(version_4()),
        Some("returns 'custom-id'") => wrapper.generator(|| "custom-id".to_owned()),
        Some(r"returns 'bad\r\nvalue'") => wrapper.generator(|| "bad\r\nvalue".to_owned()),
        Some(other) => return unsupported(format!("the generator that {other}")),
    }))
}

/// Makes UUIDs of version 4 (RFC 9562, section 5.4), like an application's own generator; ours makes version 7.
fn version_4() -> impl Fn() -> String + Send + Sync {
    let (random, count) = (RandomState::new(), AtomicU64::new(0));
    move || {
        let half = || random.hash_one(count.fetch_add(1, Ordering::Relaxed));
        let (high, low) = (half(), half());
        let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
        let (fourth, last) = (low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        format!("{first:08x}-{second:04x}-4{third:03x}-{fourth:04x}-{last:012x}")
    }
}

/// Reads `fixed at 784111777 (...)` and `fixed at 784111777, zone +0530`.
fn clock(text: &str) -> Check<(OffsetDateTime, UtcOffset)> {
    let unknown = || unsupported(format!("the clock {text:?}"));
    let Some(rest) = text.strip_prefix("fixed at ") else {
        return unknown();
    };
    let (seconds, rest) = rest.split_at(
        rest.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len()),
    );
    let seconds = seconds.parse().ok();
    let Some(Ok(now)) = seconds.map(OffsetDateTime::from_unix_timestamp) else {
        return unknown();
    };
    let offset = match rest.strip_prefix(", zone ") {
        // The text in parentheses has the same time.
        None if rest.is_empty() || rest.starts_with(" (") => Some(UtcOffset::UTC),
        None => None,
        Some(zone) => zone.parse::<i32>().ok().and_then(|zone| {
            let seconds = (zone / 100 * 60 + zone % 100) * 60;
            UtcOffset::from_whole_seconds(seconds).ok()
        }),
    };
    offset.map_or_else(unknown, |offset| Ok((now, offset)))
}
