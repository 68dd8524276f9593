//! Wrappers that choose between applications, and wrappers that change a path before them.

use enfilade::middleware::{self, Cascade, Mounts, NotFound, Router, Slashes};
use enfilade::{Application, Request};
use http::{Method, StatusCode};
use serde_json::Value;

use super::{Inner, Parts};
use crate::case::{known, number, pairs, required, text};
use crate::verdict::{Check, refused, unsupported};

/// Makes a cascade of the list that the case has in place of an application.
pub(super) fn cascade(app: &Value, layer: &Value, make_inner: Inner<'_>) -> Check<Application> {
    known(layer, "config", &["middleware", "pass_on", "replay_bodies"])?;
    let (Some("list"), Some(list)) = (text(app, "kind"), app["apps"].as_array()) else {
        return unsupported(format!("a cascade of {app}"));
    };
    known(app, "app", &["kind", "apps"])?;
    let apps: Vec<Application> = list.iter().map(make_inner).collect::<Check<_>>()?;
    let mut cascade = Cascade::new(apps);
    match number(layer, "replay_bodies").map(usize::try_from) {
        None => {}
        Some(Ok(bytes)) => cascade = cascade.replay_bodies(bytes),
        Some(Err(_)) => return unsupported(format!("replay_bodies of {layer}")),
    }
    Ok(Application::new(match layer.get("pass_on") {
        Some(list) => cascade.pass_on(statuses(list)?).or_else(refused)?,
        None => cascade,
    }))
}

fn statuses(list: &Value) -> Check<Vec<StatusCode>> {
    let status = |value: &Value| {
        let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
        match number.map(StatusCode::from_u16) {
            Some(Ok(status)) => Ok(status),
            _ => unsupported(format!("the status {value}")),
        }
    };
    match list {
        Value::Array(list) => list.iter().map(status).collect(),
        other => unsupported(format!("{other} is not a list of statuses")),
    }
}

/// A cascade cannot be put around an application.
pub(super) fn outer_cascade(_: &Parts<'_>, _: &Value, _: Application) -> Check<Application> {
    unsupported("a cascade that is not the innermost layer")
}

/// Makes routes by prefix: each `app` is a name for the innermost application, an application, or a `config`.
pub(super) fn mount(parts: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "routes", "default"])?;
    let routes = layer.get("routes").and_then(Value::as_array);
    let Some(routes) = routes else {
        return unsupported(format!("the routes of {layer}"));
    };
    drop(app);
    match routes.iter().any(|route| route.get("host").is_some()) {
        true => mounts(parts, layer, routes),
        false => router(parts, layer, routes),
    }
}

fn router(parts: &Parts<'_>, layer: &Value, routes: &[Value]) -> Check<Application> {
    let mut router = Router::new();
    for route in routes {
        known(route, "route", &["prefix", "app"])?;
        let app = parts.application(&route["app"])?;
        router = router.mount(required(route, "prefix")?, app);
    }
    if let Some(spec) = layer.get("default").filter(|spec| !spec.is_null()) {
        router = router.fallback(parts.application(spec)?);
    }
    router.build().or_else(refused)
}

/// Makes the routes of a case in which some are for one host.
fn mounts(parts: &Parts<'_>, layer: &Value, routes: &[Value]) -> Check<Application> {
    let mut mounts = Mounts::new();
    for route in routes {
        known(route, "route", &["host", "prefix", "app"])?;
        let app = parts.application(&route["app"])?;
        let prefix = required(route, "prefix")?;
        let made = match text(route, "host") {
            Some(host) => mounts.at_host(host, prefix, app),
            None => mounts.at(prefix, app),
        };
        mounts = made.or_else(refused)?;
    }
    if let Some(spec) = layer.get("default").filter(|spec| !spec.is_null()) {
        mounts = mounts.otherwise(parts.application(spec)?);
    }
    Ok(Application::from(mounts))
}

/// Returns whether each way to mount an application at this prefix is refused.
pub(crate) fn mount_prefix(prefix: &str) -> Vec<Result<(), middleware::Error>> {
    let app = || Application::new(|_: Request| "mounted");
    vec![
        Router::new().mount(prefix, app()).build().map(drop),
        Mounts::new().at(prefix, app()).map(drop),
        Mounts::new().at_host("a.example", prefix, app()).map(drop),
    ]
}

/// Makes a router of `[method, pattern]`; each has an application of that name.
pub(super) fn routes(parts: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "routes"])?;
    let mut router = Router::new();
    for (method, pattern) in pairs(layer, "routes")? {
        let app = parts.inner(Some(&format!("{method} {pattern}")))?;
        let method = Method::try_from(method).or_else(refused)?;
        router = router.on(&[method], pattern, app);
    }
    drop(app);
    router.build().or_else(refused)
}

/// Makes a status page, which is our fallback: it responds if the application returns a 404 without content.
pub(super) fn status_pages(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware"])?;
    let page = Application::new(|request: Request| {
        let text = format!("There is no {}", request.path());
        (StatusCode::NOT_FOUND, text)
    });
    Ok(app.wrap(NotFound::new(page)))
}

pub(super) fn trailing_slash(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "mode"])?;
    Ok(app.wrap(slashes(required(layer, "mode")?)?))
}

/// Returns the way to treat slashes that a case calls so.
pub(crate) fn slashes(mode: &str) -> Check<Slashes> {
    Ok(match mode {
        "trim" | "trim (internal)" => Slashes::trim(),
        "append" => Slashes::append(),
        "merge slashes + trim" => Slashes::trim().merge(),
        "merge slashes + append" => Slashes::append().merge(),
        "merge slashes only" => Slashes::merged(),
        "redirect-trim" => Slashes::trim().redirect(),
        "redirect-append" => Slashes::append().redirect(),
        other => return unsupported(format!("the mode {other:?}")),
    })
}
