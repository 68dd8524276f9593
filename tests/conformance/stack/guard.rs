//! Wrappers that reject requests, and the one that finds the client's address.

use std::time::Duration;

use enfilade::middleware::{
    Basic, BodyLimit, ConcurrencyLimit, Guard, Mounts, Passwords, ProxyFix, Timeout, TrustedHosts,
    When, XForwarded,
};
use enfilade::{Application, Request, around};
use http::StatusCode;
use serde_json::Value;

use super::Parts;
use crate::case::{known, number, object, required, text, texts};
use crate::matchers::text_of;
use crate::quotas;
use crate::verdict::{Check, refused, unsupported};

pub(super) fn host_allow(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "hosts"])?;
    let hosts = layer.get("hosts").map_or_else(|| Ok(Vec::new()), texts)?;
    Ok(app.wrap(trusted_hosts(&hosts)?))
}

pub(crate) fn trusted_hosts(hosts: &[&str]) -> Check<TrustedHosts> {
    TrustedHosts::new(hosts).or_else(refused)
}

/// Requires credentials below a path, in each of the ways in which a program may do so.
pub(super) fn fence(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "by", "path"])?;
    let fence = Application::new(|_: Request| {
        let challenge = [("www-authenticate", "Basic realm=\"fence\"")];
        (StatusCode::UNAUTHORIZED, challenge, ())
    });
    let path = required(layer, "path")?.to_owned();
    match text(layer, "by") {
        Some("guard") => {
            let guard = Guard::path(&path).or_else(refused)?;
            Ok(When::new(guard, fence).otherwise(app).into())
        }
        Some("mounts") => {
            let mounts = Mounts::new().at(&path, fence).or_else(refused)?;
            Ok(mounts.otherwise(app).into())
        }
        Some("prefix") => Ok(app.wrap(around("prefix", move |inner, request| {
            match request.path().strip_prefix(&*path) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => fence.call(request),
                _ => inner.call(request),
            }
        }))),
        other => unsupported(format!("a fence by {other:?}")),
    }
}

pub(super) fn proxy_fix(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(
        layer,
        "config",
        &["middleware", "trusted_hops", "trusted_proxies"],
    )?;
    let hops = &layer["trusted_hops"];
    let keys = ["for", "proto", "host", "port", "prefix"];
    known(hops, "trusted_hops", &[&keys[..], &["forwarded"]].concat())?;
    let count = |key: &str| number(hops, key).and_then(|count| usize::try_from(count).ok());
    let fix = match (layer.get("trusted_proxies"), count("forwarded")) {
        (Some(networks), _) => trusted_proxies(&texts(networks)?)?,
        // If a case has both families, this one is read.
        (None, Some(count)) => ProxyFix::trust_forwarded_hops(count),
        (None, None) => {
            let counts = keys.into_iter().zip(X_FORWARDED);
            let counts = counts.filter_map(|(key, header)| Some((header, count(key)?)));
            ProxyFix::trust_x_forwarded_hops(counts)
        }
    };
    Ok(app.wrap(fix))
}

const X_FORWARDED: [XForwarded; 5] = [
    XForwarded::For,
    XForwarded::Proto,
    XForwarded::Host,
    XForwarded::Port,
    XForwarded::Prefix,
];

/// Trusts all of `X-Forwarded-*` from these.
pub(crate) fn trusted_proxies(networks: &[&str]) -> Check<ProxyFix> {
    ProxyFix::trust_x_forwarded(networks, X_FORWARDED).or_else(refused)
}

pub(super) fn rate_limit(parts: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    let clock = match text(layer, "clock") {
        Some("controlled") => parts.watched.clock.clone(),
        other => return unsupported(format!("the clock {other:?}")),
    };
    Ok(app.wrap(quotas::limit(layer)?.timer(move || clock.now())))
}

pub(super) fn concurrency_limit(
    _: &Parts<'_>,
    layer: &Value,
    app: Application,
) -> Check<Application> {
    known(
        layer,
        "config",
        &["middleware", "limit", "backlog", "wait_ms"],
    )?;
    let count = |key: &str| number(layer, key).map(usize::try_from);
    let Some(Ok(limit)) = count("limit") else {
        return unsupported(format!("the limit of {layer}"));
    };
    let mut wrapper = ConcurrencyLimit::new(limit);
    match count("backlog") {
        None => {}
        Some(Ok(requests)) => wrapper = wrapper.backlog(requests),
        Some(Err(_)) => return unsupported(format!("the backlog of {layer}")),
    }
    if let Some(milliseconds) = number(layer, "wait_ms") {
        wrapper = wrapper.wait(Duration::from_millis(milliseconds));
    }
    Ok(app.wrap(wrapper))
}

pub(super) fn body_limit(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "max_bytes", "mount"])?;
    let Some(bytes) = number(layer, "max_bytes") else {
        return unsupported(format!("the limit of {layer}"));
    };
    let limited = app.clone().wrap(BodyLimit::new(bytes));
    match text(layer, "mount") {
        None => Ok(limited),
        Some(prefix) => {
            let mounts = Mounts::new().at(prefix, limited).or_else(refused)?;
            Ok(Application::new(mounts.otherwise(app)))
        }
    }
}

pub(super) fn timeout(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "ms", "status", "scope"])?;
    let Some(limit) = number(layer, "ms").map(Duration::from_millis) else {
        return unsupported(format!("the time of {layer}"));
    };
    let wrapper = match text(layer, "scope") {
        None | Some("headers only") => Timeout::new(limit),
        Some("reading the request body") => Timeout::new(limit * 100).request_idle(limit),
        Some(other) => return unsupported(format!("the scope {other:?}")),
    };
    let status = number(layer, "status").map(u16::try_from);
    Ok(match status {
        None => app.wrap(wrapper),
        Some(Ok(status)) => {
            let status = StatusCode::from_u16(status).or_else(refused)?;
            app.wrap(wrapper.response(move || status))
        }
        Some(Err(_)) => return unsupported(format!("the status of {layer}")),
    })
}

pub(super) fn basic_auth(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "realm", "users"])?;
    let mut passwords = Passwords::new();
    for (user, password) in object(&layer["users"])? {
        passwords = passwords.user(user, text_of(password)?);
    }
    let basic = Basic::new(required(layer, "realm")?, passwords).or_else(refused)?;
    Ok(app.wrap(basic))
}
