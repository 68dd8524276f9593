//! Makes our wrappers from a case's `config`.

mod content;
mod cors;
mod dispatch;
mod errors;
mod files;
mod guard;
mod headers;
mod observe;
mod state;

use enfilade::{Application, Middleware, RemoteUser, Request, around};
use serde_json::{Value, json};

pub(crate) use self::content::missing_coding;
pub(crate) use self::dispatch::{mount_prefix, slashes};
pub(crate) use self::guard::{trusted_hosts, trusted_proxies};
pub(crate) use self::headers::header_operations;
pub(crate) use self::observe::log_format;
use crate::case::{Case, known, required, text, typed};
use crate::clock::Clock;
use crate::observed::Log;
use crate::verdict::{Check, needs, unsupported};

/// The components that exist. A new component is one more line here, and one less in [`TO_COME`].
const COMPONENTS: [&str; 32] = [
    "accept_encoding",
    "access_log",
    "basic_auth",
    "cascade",
    "compression",
    "conditional",
    "content_length",
    "content_range",
    "cookies",
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
    "one_path",
    "path_normalize",
    "proxy_fix",
    "range_parsing",
    "rate_limit",
    "request_decompression",
    "request_id",
    "router_mount",
    "sessions",
    "static_files",
];

/// The components that cases exist for and that do not exist yet, and the names of their wrappers.
///
/// Every other unknown name is a mistake in a case.
const TO_COME: [&str; 3] = ["basic_auth", "http_parsing", "require_accept"];

/// Our wrapper for each `middleware` of a case.
const MIDDLEWARE: [(&str, Build); 31] = [
    ("access_log", observe::access_log),
    ("basic_auth", guard::basic_auth),
    ("body_limit", guard::body_limit),
    ("cascade", dispatch::outer_cascade),
    ("catch_panic", errors::catch_panic),
    ("compression", content::compression),
    ("concurrency_limit", guard::concurrency_limit),
    ("conditional_get", content::conditional),
    ("content_length", gateway),
    ("cookies", gateway),
    ("cors", cors::cors),
    ("error_pages", errors::error_pages),
    ("etag", content::etag),
    ("fence", guard::fence),
    ("head", gateway),
    ("headers", headers::headers),
    ("host_allow", guard::host_allow),
    ("method_override", cors::method_override),
    ("mount", dispatch::mount),
    ("panics on request", errors::panics_on_request),
    ("proxy_fix", guard::proxy_fix),
    ("rate_limit", guard::rate_limit),
    ("request_decompression", content::decompression),
    ("request_id", observe::request_id),
    ("router with strict slashes", dispatch::routes),
    ("session", state::session),
    ("show_exceptions", errors::show_exceptions),
    ("static", files::files),
    ("status_pages", dispatch::status_pages),
    ("timeout", guard::timeout),
    ("trailing_slash", dispatch::trailing_slash),
];

type Build = fn(&Parts<'_>, &Value, Application) -> Check<Application>;

/// The parts of a case's stack.
struct Parts<'a> {
    app: &'a Value,
    watched: Watched<'a>,
    make_inner: Inner<'a>,
}

impl Parts<'_> {
    /// Returns the innermost application of the case with this name.
    fn inner(&self, label: Option<&str>) -> Check<Application> {
        (self.make_inner)(&named(self.app, label))
    }

    /// Returns the application of a route: the innermost application by a name, another one, or a `config`.
    fn application(&self, spec: &Value) -> Check<Application> {
        match spec {
            Value::Null => self.inner(None),
            Value::String(label) => self.inner(Some(label)),
            spec if spec.get("kind").is_some() => (self.make_inner)(spec),
            spec if spec.is_object() => build(spec, self.app, self.watched, self.make_inner),
            other => unsupported(format!("the app {other} of a route")),
        }
    }
}

/// The same application with another name, also for each of its steps.
fn named(spec: &Value, label: Option<&str>) -> Value {
    let mut spec = spec.clone();
    match (spec.get_mut("by_step").and_then(Value::as_array_mut), label) {
        (_, None) => {}
        (Some(steps), label) => steps.iter_mut().for_each(|step| *step = named(step, label)),
        (None, Some(label)) => spec["name"] = json!(label),
    }
    spec
}

/// The parts of a stack that a run observes, and the time that it sets.
#[derive(Clone, Copy)]
pub(crate) struct Watched<'a> {
    pub(crate) log: &'a Log,
    pub(crate) clock: &'a Clock,
}

/// Makes the innermost application.
pub(crate) type Inner<'a> = &'a dyn Fn(&Value) -> Check<Application>;

/// A case of a component that does not exist cannot run.
pub(crate) fn exists(case: &Case) -> Check {
    match case.component.as_str() {
        component if COMPONENTS.contains(&component) => Ok(()),
        component if TO_COME.contains(&component) => needs(component),
        component => unsupported(format!("there is no component {component:?}")),
    }
}

/// Puts the wrappers of `config` around the application of the case.
pub(crate) fn build(
    config: &Value,
    app: &Value,
    watched: Watched<'_>,
    make_inner: Inner<'_>,
) -> Check<Application> {
    let parts = Parts {
        app,
        watched,
        make_inner,
    };
    let layers = match config.get("stack") {
        Some(Value::Array(stack)) => {
            known(config, "config", &["stack"])?;
            stack.clone()
        }
        Some(other) => return unsupported(format!("the stack {other}")),
        None => vec![config.clone()],
    };
    let mut found: Vec<(Build, &Value)> = Vec::new();
    for layer in &layers {
        typed(layer, "config")?;
        match layer.get("middleware") {
            None | Some(Value::Null) => known(layer, "config without a middleware", &[])?,
            Some(_) => found.push((build_of(required(layer, "middleware")?)?, layer)),
        }
    }
    let inner = match found.pop_if(|(_, layer)| text(layer, "middleware") == Some("cascade")) {
        Some((_, layer)) => dispatch::cascade(app, layer, make_inner)?,
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
        None if TO_COME.contains(&name) => needs(name),
        None => unsupported(format!("there is no middleware {name:?}")),
    }
}

/// Sets what an authentication component leaves for wrappers outside it.
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

/// These are the work of every gateway here, `enfilade::gateway::finish`, and the request goes through one.
fn gateway(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware"])?;
    Ok(app)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps;
    use crate::observed::Recorder;
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
