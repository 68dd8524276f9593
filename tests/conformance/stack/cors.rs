//! Wrappers that allow browsers more: CORS, and other methods than a form can send.

use enfilade::Application;
use enfilade::middleware::{Cors, MethodOverride};
use http::{HeaderName, Method};
use serde_json::Value;

use super::Parts;
use crate::case::{known, number, required, texts};
use crate::verdict::{Check, refused, unsupported};

pub(super) fn cors(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
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
        Value::String(text) if text == "mirror" || text == "predicate: always true" => {
            Cors::origin_test(|_| true)
        }
        Value::String(text) if text == "predicate: always false" => Cors::origin_test(|_| false),
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
        cors = cors.max_age(std::time::Duration::from_secs(seconds));
    }
    if layer["allow_private_network"] == true {
        cors = cors.private_network();
    }
    if layer["allow_credentials"] == true {
        cors = cors.credentials().or_else(refused)?;
    }
    Ok(app.wrap(cors))
}

pub(super) fn method_override(
    _: &Parts<'_>,
    layer: &Value,
    app: Application,
) -> Check<Application> {
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
