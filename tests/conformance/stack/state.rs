//! `session`: values of a client, in memory or in a cookie.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use enfilade::middleware::{CookieKeys, MemorySessions, Sessions};
use enfilade::{Application, Cookie, Request, SameSite};
use serde_json::Value;

use super::Parts;
use crate::case::{known, number, required, text};
use crate::verdict::{Check, refused, unsupported};

const FIRST: &[u8] = b"0123456789abcdef0123456789abcdef";
const SECOND: &[u8] = b"fedcba9876543210fedcba9876543210";

pub(super) fn session(parts: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    let keys = [
        "middleware",
        "clock",
        "cookie",
        "domain",
        "http_only",
        "max_age_s",
        "old_secrets_kept",
        "path",
        "same_site",
        "secret",
        "secure",
        "store",
    ];
    known(layer, "config", &keys)?;
    let first = CookieKeys::new(FIRST).or_else(refused)?;
    match (text(layer, "secret"), layer.get("old_secrets_kept")) {
        (Some("64+ random bytes"), None) => {
            let sessions = sessions(parts, layer, first)?;
            Ok(app.wrap(sessions))
        }
        (Some("rotated between steps"), Some(Value::Bool(true))) => {
            let second = CookieKeys::new(SECOND).or_else(refused)?;
            let second = second.and_earlier(FIRST).or_else(refused)?;
            let before = app.clone().wrap(sessions(parts, layer, first)?);
            let after = app.wrap(sessions(parts, layer, second)?);
            let is_rotated = AtomicBool::new(false);
            Ok(Application::new(move |request: Request| {
                match is_rotated.swap(true, Ordering::Relaxed) {
                    true => after.call(request),
                    false => before.call(request),
                }
            }))
        }
        other => unsupported(format!("the secret {other:?}")),
    }
}

fn sessions(parts: &Parts<'_>, layer: &Value, keys: CookieKeys) -> Check<Sessions> {
    // The time of a case begins at 0, long after 1970.
    const BEGIN: Duration = Duration::from_secs(1_000_000_000);
    let (clock, timer) = (parts.watched.clock.clone(), parts.watched.clock.clone());
    let now = move || UNIX_EPOCH + BEGIN + clock.now();
    let keys = keys.clock(now.clone());
    let sessions = match required(layer, "store")? {
        "memory" => Sessions::new(MemorySessions::new(100).clock(move || timer.now())),
        "signed cookie" => Sessions::signed(keys),
        "encrypted cookie" => Sessions::encrypted(keys),
        other => return unsupported(format!("the store {other:?}")),
    };
    let sessions = match number(layer, "max_age_s") {
        Some(seconds) => sessions.idle(Duration::from_secs(seconds)),
        None => sessions,
    };
    sessions.clock(now).cookie(cookie(layer)?).or_else(refused)
}

fn cookie(layer: &Value) -> Check<Cookie> {
    let mut cookie = Cookie::new(required(layer, "cookie")?, "");
    if let Some(path) = text(layer, "path") {
        cookie = cookie.path(path);
    }
    if let Some(domain) = text(layer, "domain") {
        cookie = cookie.domain(domain);
    }
    if layer.get("http_only") == Some(&Value::Bool(false)) {
        cookie = cookie.readable_by_scripts();
    }
    if layer.get("secure") == Some(&Value::Bool(false)) {
        cookie = cookie.insecure_without_tls();
    }
    match text(layer, "same_site") {
        None => Ok(cookie),
        Some("Strict") => Ok(cookie.same_site(SameSite::Strict)),
        Some(other) => unsupported(format!("the policy {other:?}")),
    }
}
