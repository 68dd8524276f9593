//! From a case's `config` to our wrappers.

use enfilade::middleware::{self, Headers, NotFound, Router};
use enfilade::{Application, Middleware, RemoteUser, Request, Response, around};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::apps;
use crate::case::{Case, known, required, text};
use crate::observed::{Log, Recorder};
use crate::verdict::{Check, needs, refused, unsupported};

/// The components that exist: a case of any other is not run. A new component is one more line.
const COMPONENTS: [&str; 8] = [
    "accept_encoding",
    "content_length",
    "fallback_404",
    "gateway",
    "head",
    "headers",
    "http1_raw",
    "router_mount",
];

/// What a `middleware` in a case is here.
const MIDDLEWARE: [(&str, Build); 5] = [
    ("content_length", gateway),
    ("head", gateway),
    ("headers", headers),
    ("mount", mount),
    ("status_pages", status_pages),
];

type Build = fn(&Parts<'_>, &Value, Application) -> Check<Application>;

/// What the stack of a case is made of.
struct Parts<'a> {
    app: &'a Value,
    recorder: &'a Recorder,
    log: &'a Log,
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
    recorder: &Recorder,
    log: &Log,
    make_inner: Inner<'_>,
) -> Check<Application> {
    let parts = Parts { app, recorder, log };
    let layers = match config.get("stack").and_then(Value::as_array) {
        Some(stack) => {
            known(config, "config", &["stack"])?;
            stack.clone()
        }
        None => vec![config.clone()],
    };
    let found: Vec<(Build, &Value)> = layers
        .iter()
        .filter(|layer| layer.get("middleware").is_some_and(|name| !name.is_null()))
        .map(|layer| Ok((build_of(required(layer, "middleware")?)?, layer)))
        .collect::<Check<_>>()?;
    let inner = make_inner(app)?;
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
    for operation in operations("response") {
        wrapper = on_response(wrapper, &operation)?;
    }
    for operation in operations("request") {
        wrapper = on_request(wrapper, &operation)?;
    }
    Ok(app.wrap(wrapper))
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
        "default_content_type" => headers.default_content_type(name),
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
    let mut router = Router::new();
    let routes = layer.get("routes").and_then(Value::as_array);
    for route in routes.into_iter().flatten() {
        if route.get("host").is_some() {
            return needs("hosts in mounts");
        }
        known(route, "route", &["prefix", "app"])?;
        let app = apps::build(parts.app, text(route, "app"), parts.recorder)?;
        router = router
            .mount(required(route, "prefix")?, app)
            .or_else(refused)?;
    }
    if let Some(label) = text(layer, "default") {
        router = router.fallback(apps::build(parts.app, Some(label), parts.recorder)?);
    }
    drop(app);
    Ok(Application::from(router))
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

/// The coding that a case expects and that does not exist here yet.
pub(crate) fn missing_coding(case: &Value) -> Option<&'static str> {
    let expect = &case["expect"];
    let coding = &expect["headers"]["content-encoding"]["equals"];
    let decoded = &expect["body"]["decoded"]["coding"];
    let missing = ["br", "zstd"];
    missing
        .into_iter()
        .find(|name| *coding == json!(name) || *decoded == json!(name))
}
