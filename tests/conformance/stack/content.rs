//! Wrappers of content: compression, decompression, tags and conditions.

use enfilade::Application;
use enfilade::middleware::{Coding, Compression, Conditional, Decompression, Etag, Flush};
use serde_json::{Value, json};

use super::Parts;
use crate::case::{known, number, text, texts};
use crate::verdict::{Check, needs, unsupported};

pub(super) fn compression(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    let keys = [
        "middleware",
        "codings",
        "min_size",
        "flush",
        "content_types",
        "predicate",
    ];
    known(layer, "config", &keys)?;
    // The cases expect a 406 if the client accepts nothing, which this option does.
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
        Some("always false") => wrapper = wrapper.only_if(|_| false),
        Some(other) => return unsupported(format!("the predicate {other:?}")),
    }
    match text(layer, "flush") {
        None => {}
        Some("never") => wrapper = wrapper.flush(Flush::Never),
        // A chunk is all data that is ready when the source has to be waited for.
        Some("each chunk") => wrapper = wrapper.flush(Flush::WhenPending),
        Some(other) => return unsupported(format!("flush {other:?}")),
    }
    Ok(app.wrap(wrapper))
}

pub(super) fn conditional(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "preconditions"])?;
    match text(layer, "preconditions") {
        // They are always compared.
        None | Some("also If-Match and If-Unmodified-Since") => Ok(app.wrap(Conditional::new())),
        Some(other) => unsupported(format!("the preconditions {other:?}")),
    }
}

pub(super) fn etag(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware"])?;
    Ok(app.wrap(Etag::new()))
}

/// Returns the codings of a case that were built in; [`missing_coding`] finds the cases that are about another.
fn codings(layer: &Value) -> Check<Vec<Coding>> {
    let names = coding_names(layer)?;
    let found = names.iter().filter_map(|name| Coding::from_name(name));
    let found: Vec<Coding> = found.collect();
    match found.is_empty() {
        true => needs(format!("compression with {}", names.join(", "))),
        false => Ok(found),
    }
}

/// Returns the names of codings, which a build may leave out; every other name is a mistake.
fn coding_names(layer: &Value) -> Check<Vec<&str>> {
    let names = layer.get("codings").map_or_else(|| Ok(Vec::new()), texts)?;
    let unknown = |name: &&&str| !["br", "deflate", "gzip", "zstd"].contains(name);
    match names.iter().find(unknown) {
        Some(name) => unsupported(format!("the coding {name:?}")),
        None => Ok(names),
    }
}

pub(super) fn decompression(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "codings", "stack_inner"])?;
    let names = coding_names(layer)?;
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

/// Returns the bytes of a limit inside a decompression: it counts the same as the limit of the decompression itself.
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

/// Returns the coding that a case expects and that was not built in.
pub(crate) fn missing_coding(case: &Value) -> Option<&'static str> {
    let expect = &case["expect"];
    let coding = &expect["headers"]["content-encoding"]["equals"];
    let decoded = &expect["body"]["decoded"]["coding"];
    let missing = ["br", "zstd"].into_iter();
    missing
        .filter(|name| Coding::from_name(name).is_none())
        .find(|name| *coding == json!(name) || *decoded == json!(name))
}
