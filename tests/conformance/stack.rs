//! From a case's `config` to our wrappers.

use std::time::Duration;

use enfilade::middleware::{
    self, AccessLog, BodyLimit, Cascade, CatchPanic, Coding, Compression, ContentType, Cors,
    DebugErrors, Decompression, ErrorPages, Flush, Headers, MethodOverride, Mounts, NotFound,
    ProxyFix, RequestId, Router, Slashes, Timeout, TrustedHosts, XForwarded,
};
use enfilade::{Application, Middleware, RemoteUser, Reply, Request, Response, around};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset};

use crate::apps;
use crate::case::{Case, known, number, object, pairs, required, text, texts};
use crate::clock::Clock;
use crate::observed::{Log, Recorder};
use crate::quotas;
use crate::verdict::{Check, needs, refused, unsupported};

/// The components that exist: a case of any other is not run. A new component is one more line.
const COMPONENTS: [&str; 24] = [
    "accept_encoding",
    "access_log",
    "cascade",
    "compression",
    "content_length",
    "cors",
    "errors",
    "fallback_404",
    "forwarded_parsing",
    "gateway",
    "head",
    "headers",
    "host_allow",
    "http1_raw",
    "http_dates",
    "limits",
    "lint",
    "method_override",
    "path_normalize",
    "proxy_fix",
    "rate_limit",
    "request_decompression",
    "request_id",
    "router_mount",
];

/// What a `middleware` in a case is here.
const MIDDLEWARE: [(&str, Build); 23] = [
    ("access_log", access_log),
    ("body_limit", body_limit),
    ("cascade", outer_cascade),
    ("catch_panic", catch_panic),
    ("compression", compression),
    ("content_length", gateway),
    ("cors", cors),
    ("error_pages", error_pages),
    ("head", gateway),
    ("headers", headers),
    ("host_allow", host_allow),
    ("method_override", method_override),
    ("mount", mount),
    ("panics on request", panics_on_request),
    ("proxy_fix", proxy_fix),
    ("rate_limit", rate_limit),
    ("request_decompression", decompression),
    ("request_id", request_id),
    ("router with strict slashes", routes),
    ("show_exceptions", show_exceptions),
    ("status_pages", status_pages),
    ("timeout", timeout),
    ("trailing_slash", trailing_slash),
];

type Build = fn(&Parts<'_>, &Value, Application) -> Check<Application>;

/// What the stack of a case is made of.
struct Parts<'a> {
    app: &'a Value,
    watched: Watched<'a>,
}

/// What a run sees of a stack, and the time that it tells it.
#[derive(Clone, Copy)]
pub(crate) struct Watched<'a> {
    pub(crate) recorder: &'a Recorder,
    pub(crate) log: &'a Log,
    pub(crate) clock: &'a Clock,
}

/// How the innermost application is made.
pub(crate) type Inner<'a> = &'a dyn Fn(&Value) -> Check<Application>;

/// A case of a component that does not exist cannot be run.
pub(crate) fn exists(case: &Case) -> Check {
    match COMPONENTS.contains(&case.component.as_str()) {
        true => Ok(()),
        false => needs(&case.component),
    }
}

/// Puts the wrappers of `config` around the application of the case.
pub(crate) fn build(
    config: &Value,
    app: &Value,
    watched: Watched<'_>,
    make_inner: Inner<'_>,
) -> Check<Application> {
    let parts = Parts { app, watched };
    let layers = match config.get("stack").and_then(Value::as_array) {
        Some(stack) => {
            known(config, "config", &["stack"])?;
            stack.clone()
        }
        None => vec![config.clone()],
    };
    let mut found: Vec<(Build, &Value)> = layers
        .iter()
        .filter(|layer| layer.get("middleware").is_some_and(|name| !name.is_null()))
        .map(|layer| Ok((build_of(required(layer, "middleware")?)?, layer)))
        .collect::<Check<_>>()?;
    let inner = match found.pop_if(|(_, layer)| text(layer, "middleware") == Some("cascade")) {
        Some((_, layer)) => cascade(app, layer, make_inner)?,
        None => make_inner(app)?,
    };
    // The list has the outermost first.
    found
        .into_iter()
        .rev()
        .try_fold(inner, |app, (build, layer)| build(&parts, layer, app))
}

fn build_of(name: &str) -> Check<Build> {
    match MIDDLEWARE.iter().find(|(known, _)| *known == name) {
        Some((_, build)) => Ok(*build),
        None => needs(name),
    }
}

/// What an authentication component leaves for those outside it.
pub(crate) fn authenticated(user: &str) -> impl Middleware + use<> {
    let user = RemoteUser::new(user);
    around(
        "Authenticated",
        move |inner: &Application, request: Request| {
            let user = user.clone();
            inner.call(request).map(move |mut response| {
                response.extensions_mut().insert(user);
                response
            })
        },
    )
}

/// A cascade is an application, of the list that the case has in the place of one.
fn cascade(app: &Value, layer: &Value, make_inner: Inner<'_>) -> Check<Application> {
    known(layer, "config", &["middleware", "pass_on"])?;
    let (Some("list"), Some(list)) = (text(app, "kind"), app["apps"].as_array()) else {
        return unsupported(format!("a cascade of {app}"));
    };
    known(app, "app", &["kind", "apps"])?;
    let apps: Vec<Application> = list.iter().map(make_inner).collect::<Check<_>>()?;
    let cascade = Cascade::new(apps);
    Ok(Application::new(match layer.get("pass_on") {
        Some(list) => cascade.pass_on(statuses(list)?),
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
        other => unsupported(format!("{other} is no list of statuses")),
    }
}

/// There is nothing that a cascade could be put around.
fn outer_cascade(_: &Parts<'_>, _: &Value, _: Application) -> Check<Application> {
    unsupported("a cascade that is not the innermost layer")
}

/// What these do is every gateway's work here, `enfilade::gateway::finish`, and the request goes through one.
fn gateway(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware"])?;
    Ok(app)
}

fn headers(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "response", "request"])?;
    let operations = |side: &str| {
        let list = layer.get(side).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let mut wrapper = Headers::new();
    let mut types = None;
    for operation in operations("response") {
        match part(&operation, 0) {
            // A wrapper of its own.
            "default_content_type" => types = Some(ContentType::new(part(&operation, 1))),
            _ => wrapper = on_response(wrapper, &operation)?,
        }
    }
    for operation in operations("request") {
        wrapper = on_request(wrapper, &operation)?;
    }
    let app = app.wrap(wrapper);
    match types {
        Some(types) => types.map(|types| app.wrap(types)).or_else(refused),
        None => Ok(app),
    }
}

fn part(operation: &Value, at: usize) -> &str {
    operation
        .get(at)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn on_response(headers: Headers, operation: &Value) -> Check<Headers> {
    let (name, value) = (part(operation, 1), part(operation, 2));
    let result = match part(operation, 0) {
        "set" => headers.set(name, value),
        "append" => headers.append(name, value),
        "set_if_missing" => headers.default(name, value),
        "remove" => headers.remove(name),
        "set_from" if value == "closure returning DENY" => {
            headers.set_with(name, |_: &Response| Some(HeaderValue::from_static("DENY")))
        }
        "set_from" if value == "closure returning nothing" => {
            headers.set_with(name, |_: &Response| None)
        }
        _ => return unsupported(format!("the header operation {operation}")),
    };
    result.or_else(refused)
}

fn on_request(headers: Headers, operation: &Value) -> Check<Headers> {
    let (name, value) = (part(operation, 1), part(operation, 2));
    let result = match part(operation, 0) {
        "set" => headers.request_set(name, value),
        "append" => headers.request_append(name, value),
        "remove" => headers.request_remove(name),
        _ => return unsupported(format!("the header operation {operation}")),
    };
    result.or_else(refused)
}

/// Whether each way to make an operation of this name and value is refused.
pub(crate) fn header_operations(name: &str, value: &str) -> Vec<Result<(), middleware::Error>> {
    let new = Headers::new;
    let made = [
        new().set(name, value),
        new().append(name, value),
        new().default(name, value),
        new().request_set(name, value),
        new().request_append(name, value),
    ];
    made.into_iter().map(|made| made.map(drop)).collect()
}

fn mount(parts: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "routes", "default"])?;
    let routes = layer.get("routes").and_then(Value::as_array);
    if routes.is_some_and(|routes| routes.iter().any(|route| route.get("host").is_some())) {
        return mounts(parts, layer);
    }
    let mut router = Router::new();
    for route in routes.into_iter().flatten() {
        known(route, "route", &["prefix", "app"])?;
        let app = apps::build(parts.app, text(route, "app"), parts.watched.recorder)?;
        router = router.mount(required(route, "prefix")?, app);
    }
    if let Some(label) = text(layer, "default") {
        router = router.fallback(apps::build(parts.app, Some(label), parts.watched.recorder)?);
    }
    drop(app);
    router.build().or_else(refused)
}

/// A router of `[method, pattern]`, each with an application that is called so.
fn routes(parts: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "routes"])?;
    let mut router = Router::new();
    for (method, pattern) in pairs(layer, "routes")? {
        let label = format!("{method} {pattern}");
        let app = apps::build(parts.app, Some(&label), parts.watched.recorder)?;
        let method = Method::try_from(method).or_else(refused)?;
        router = router.on(&[method], pattern, app);
    }
    drop(app);
    router.build().or_else(refused)
}

/// The routes of a case where some are for one host.
fn mounts(parts: &Parts<'_>, layer: &Value) -> Check<Application> {
    let mut mounts = Mounts::new();
    let routes = layer.get("routes").and_then(Value::as_array);
    for route in routes.into_iter().flatten() {
        known(route, "route", &["host", "prefix", "app"])?;
        let app = apps::build(parts.app, text(route, "app"), parts.watched.recorder)?;
        let prefix = required(route, "prefix")?;
        let made = match text(route, "host") {
            Some(host) => mounts.at_host(host, prefix, app),
            None => mounts.at(prefix, app),
        };
        mounts = made.or_else(refused)?;
    }
    if let Some(label) = text(layer, "default") {
        mounts = mounts.otherwise(apps::build(parts.app, Some(label), parts.watched.recorder)?);
    }
    Ok(Application::from(mounts))
}

fn host_allow(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "hosts"])?;
    let hosts = layer.get("hosts").map_or_else(|| Ok(Vec::new()), texts)?;
    Ok(app.wrap(trusted_hosts(&hosts)?))
}

pub(crate) fn trusted_hosts(hosts: &[&str]) -> Check<TrustedHosts> {
    TrustedHosts::new(hosts).or_else(refused)
}

fn proxy_fix(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
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
        // Where a case has both families, this is the one that is read.
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

/// Believes all of `X-Forwarded-*` from these.
pub(crate) fn trusted_proxies(networks: &[&str]) -> Check<ProxyFix> {
    ProxyFix::trust_x_forwarded(networks, X_FORWARDED).or_else(refused)
}

fn rate_limit(parts: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    let clock = match text(layer, "clock") {
        Some("controlled") => parts.watched.clock.clone(),
        other => return unsupported(format!("the clock {other:?}")),
    };
    Ok(app.wrap(quotas::limit(layer)?.clock(move || clock.now())))
}

/// A status page is our fallback: it answers where the application has a 404 without content.
fn status_pages(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware"])?;
    let page = Application::new(|request: Request| {
        let text = format!("There is no {}", request.path());
        (StatusCode::NOT_FOUND, text)
    });
    Ok(app.wrap(NotFound::new(page)))
}

fn body_limit(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
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

fn catch_panic(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "handler"])?;
    let wrapper = match text(layer, "handler") {
        None => CatchPanic::new(),
        Some("returns JSON {\"error\":\"internal\"}") => CatchPanic::new().answer(|_| {
            let headers = [("content-type", "application/json")];
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                headers,
                "{\"error\":\"internal\"}",
            )
        }),
        Some(other) => return unsupported(format!("the handler {other:?}")),
    };
    Ok(app.wrap(wrapper))
}

fn panics_on_request(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware"])?;
    let panics = |_: &Application, _: Request| -> Reply { panic!("before the application") };
    Ok(app.wrap(around("Panics", panics)))
}

fn cors(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    let keys = [
        "middleware",
        "allow_origins",
        "allow_methods",
        "allow_headers",
        "expose_headers",
        "allow_credentials",
        "max_age",
        "allow_private_network",
    ];
    known(layer, "config", &keys)?;
    let mut cors = match &layer["allow_origins"] {
        Value::String(text) if text == "*" => Cors::any_origin(),
        Value::String(text) if text == "mirror" => Cors::origin_test(|_| true),
        Value::String(text) if text == "predicate: host ends with '.example.com'" => {
            Cors::origin_test(|origin| origin.ends_with(".example.com"))
        }
        list => Cors::origins(texts(list)?).or_else(refused)?,
    };
    cors = match layer["allow_methods"].as_str() {
        Some("*") => cors.any_method(),
        Some("mirror") => cors.asked_method(),
        Some(other) => return unsupported(format!("the methods {other:?}")),
        None => {
            let methods = texts(&layer["allow_methods"])?.into_iter();
            let methods = methods.map(|method| method.parse().or_else(refused));
            cors.methods(methods.collect::<Check<Vec<Method>>>()?)
        }
    };
    cors = match layer["allow_headers"].as_str() {
        Some("*") => cors.any_header(),
        Some("mirror") => cors.asked_headers(),
        Some(other) => return unsupported(format!("the headers {other:?}")),
        None => cors.headers(names(&layer["allow_headers"])?),
    };
    cors = match &layer["expose_headers"] {
        Value::Null => cors,
        Value::String(text) if text == "*" => cors.expose_any(),
        list => cors.expose(names(list)?),
    };
    if let Some(seconds) = number(layer, "max_age") {
        cors = cors.max_age(seconds);
    }
    if layer["allow_private_network"] == true {
        cors = cors.private_network();
    }
    if layer["allow_credentials"] == true {
        cors = cors.credentials().or_else(refused)?;
    }
    Ok(app.wrap(cors))
}

fn method_override(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(
        layer,
        "config",
        &["middleware", "form_field", "header", "allowed"],
    )?;
    let methods = texts(&layer["allowed"])?.into_iter();
    let methods = methods.map(|method| method.parse().or_else(refused));
    let header: HeaderName = required(layer, "header")?.parse().or_else(refused)?;
    let wrapper = MethodOverride::new()
        .header(header)
        .form_field(required(layer, "form_field")?)
        .allow(methods.collect::<Check<Vec<Method>>>()?);
    Ok(app.wrap(wrapper))
}

/// Names of headers.
fn names(list: &Value) -> Check<Vec<HeaderName>> {
    let names = texts(list)?.into_iter();
    names.map(|name| name.parse().or_else(refused)).collect()
}

/// The pages of the cases are for answers that have content of their own too.
fn error_pages(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "pages"])?;
    let pages = object(&layer["pages"])?;
    let wrapper = pages.iter().try_fold(
        ErrorPages::new().replace_content(),
        |wrapper, (status, page)| match (status.parse(), page.as_str()) {
            (Ok(status), Some(page)) => Ok(wrapper.page(status, page.to_owned())),
            _ => unsupported(format!("a page {status:?}: {page}")),
        },
    )?;
    Ok(app.wrap(wrapper))
}

/// The pages are wanted in any build of these tests.
fn show_exceptions(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware"])?;
    Ok(app.wrap(DebugErrors::insecure_in_release()))
}

fn timeout(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
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
            app.wrap(wrapper.answer(move || status))
        }
        Some(Err(_)) => return unsupported(format!("the status of {layer}")),
    })
}

fn trailing_slash(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "mode"])?;
    Ok(app.wrap(slashes(required(layer, "mode")?)?))
}

/// What a case calls this way to treat slashes.
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

fn compression(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    let keys = [
        "middleware",
        "codings",
        "min_size",
        "flush",
        "content_types",
        "predicate",
    ];
    known(layer, "config", &keys)?;
    // The cases expect a 406 where the client accepts nothing, which is this option's effect.
    let mut wrapper = Compression::new().codings(codings(layer)?).strict();
    if let Some(bytes) = number(layer, "min_size") {
        wrapper = wrapper.min_size(bytes);
    }
    if let Some(types) = layer.get("content_types") {
        wrapper = wrapper.content_types(texts(types)?);
    }
    match text(layer, "predicate") {
        None => {}
        Some("always true") => wrapper = wrapper.only_if(|_| true),
        Some(other) => return unsupported(format!("the predicate {other:?}")),
    }
    match text(layer, "flush") {
        None => {}
        Some("never") => wrapper = wrapper.flush(Flush::Never),
        Some(other) => return unsupported(format!("flush {other:?}")),
    }
    Ok(app.wrap(wrapper))
}

/// Those of a case's codings that were built in; [`missing_coding`] finds the cases that are about another.
fn codings(layer: &Value) -> Check<Vec<Coding>> {
    let names = layer.get("codings").map_or_else(|| Ok(Vec::new()), texts)?;
    let found = names.iter().filter_map(|name| Coding::from_name(name));
    let found: Vec<Coding> = found.collect();
    match found.is_empty() {
        true => needs(format!("compression with {}", names.join(", "))),
        false => Ok(found),
    }
}

fn decompression(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "codings", "stack_inner"])?;
    let names = layer.get("codings").map_or_else(|| Ok(Vec::new()), texts)?;
    let coding = |name: &&str| match Coding::from_name(name) {
        Some(coding) => Ok(coding),
        None => needs(format!("decompression of {name}")),
    };
    let codings: Vec<Coding> = names.iter().map(coding).collect::<Check<_>>()?;
    let mut wrapper = Decompression::new().codings(codings);
    if let Some(inner) = layer.get("stack_inner") {
        wrapper = wrapper.limit(decoded_limit(inner)?);
    }
    Ok(app.wrap(wrapper))
}

/// The bytes of a limit inside a decompression: what it counts is what the limit of the decompression itself counts.
fn decoded_limit(layer: &Value) -> Check<u64> {
    known(
        layer,
        "stack_inner",
        &["middleware", "max_bytes", "applies_to"],
    )?;
    let counts = (text(layer, "middleware"), text(layer, "applies_to"));
    match (counts, number(layer, "max_bytes")) {
        ((Some("body_limit"), Some("decoded bytes")), Some(bytes)) => Ok(bytes),
        _ => unsupported(format!("{layer} inside a decompression")),
    }
}

fn access_log(parts: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(
        layer,
        "config",
        &["middleware", "format", "clock", "exclude"],
    )?;
    let wrapper = match text(layer, "format") {
        Some("common") => AccessLog::common(),
        Some("combined") => AccessLog::combined(),
        other => return unsupported(format!("the format {other:?}")),
    };
    let (now, offset) = clock(required(layer, "clock")?)?;
    let mut wrapper = wrapper
        .writer(parts.watched.log.clone())
        .clock(move || now)
        .utc_offset(offset);
    if let Some(paths) = layer.get("exclude") {
        for path in texts(paths)? {
            wrapper = wrapper.exclude_path(path);
        }
    }
    Ok(app.wrap(wrapper))
}

/// The line that this format makes of an exchange with `app`.
pub(crate) fn log_format(format: &str, log: &Log, app: Application) -> Check<Application> {
    let wrapper = AccessLog::format(format).or_else(refused)?;
    Ok(app.wrap(wrapper.writer(log.clone())))
}

fn request_id(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(
        layer,
        "config",
        &["middleware", "header", "incoming", "generator"],
    )?;
    match text(layer, "incoming") {
        Some("accept when valid") => {}
        other => return unsupported(format!("incoming ids: {other:?}")),
    }
    let wrapper = RequestId::new().header(required(layer, "header")?);
    let wrapper = wrapper.or_else(refused)?;
    Ok(app.wrap(match text(layer, "generator") {
        None => wrapper,
        Some("returns 'custom-id'") => wrapper.generator(|| "custom-id".to_owned()),
        Some(r"returns 'bad\r\nvalue'") => wrapper.generator(|| "bad\r\nvalue".to_owned()),
        Some(other) => return unsupported(format!("the generator that {other}")),
    }))
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
        // What is in brackets says the same once more.
        None if rest.is_empty() || rest.starts_with(" (") => Some(UtcOffset::UTC),
        None => None,
        Some(zone) => zone.parse::<i32>().ok().and_then(|zone| {
            let seconds = (zone / 100 * 60 + zone % 100) * 60;
            UtcOffset::from_whole_seconds(seconds).ok()
        }),
    };
    offset.map_or_else(unknown, |offset| Ok((now, offset)))
}

/// The coding that a case expects and that was not built in.
pub(crate) fn missing_coding(case: &Value) -> Option<&'static str> {
    let expect = &case["expect"];
    let coding = &expect["headers"]["content-encoding"]["equals"];
    let decoded = &expect["body"]["decoded"]["coding"];
    let missing = ["br", "zstd"].into_iter();
    missing
        .filter(|name| Coding::from_name(name).is_none())
        .find(|name| *coding == json!(name) || *decoded == json!(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Trouble;

    #[test]
    fn a_list_is_for_a_cascade_that_is_the_innermost_layer() {
        let list = json!({"kind": "list", "apps": [{"name": "a", "kind": "echo"}]});
        let one = json!({"kind": "echo"});
        let (cascade, slashes) = (
            json!({"middleware": "cascade", "pass_on": [404]}),
            json!({"middleware": "trailing_slash", "mode": "trim"}),
        );
        for (stack, app, is_built) in [
            (vec![&cascade], &list, true),
            (vec![&slashes, &cascade], &list, true),
            (vec![&cascade, &slashes], &list, false),
            (vec![&cascade, &cascade], &list, false),
            (vec![&slashes], &list, false),
            (vec![], &list, false),
            (vec![&cascade], &one, false),
            (vec![&cascade, &slashes], &one, false),
        ] {
            let (recorder, log) = (Recorder::default(), Log::default());
            let config = json!({ "stack": stack });
            let inner = |spec: &Value| apps::named(spec, &recorder);
            let watched = Watched {
                recorder: &recorder,
                log: &log,
                clock: &Clock::default(),
            };
            let built = build(&config, app, watched, &inner);
            match built {
                Ok(_) => assert!(is_built, "{config} {app}"),
                Err(Trouble::Unsupported(_)) => assert!(!is_built, "{config} {app}"),
                Err(trouble) => panic!("{config} {app}: {trouble:?}"),
            }
        }
    }
}
