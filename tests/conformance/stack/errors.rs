//! Wrappers that respond for an application that fails.

use enfilade::middleware::{CatchPanic, DebugErrors, ErrorPages};
use enfilade::{Application, Reply, Request, around};
use http::StatusCode;
use serde_json::Value;

use super::Parts;
use crate::case::{known, object, text};
use crate::verdict::{Check, refused, unsupported};

pub(super) fn catch_panic(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "handler"])?;
    let wrapper = match text(layer, "handler") {
        None => CatchPanic::new(),
        Some("returns JSON {\"error\":\"internal\"}") => CatchPanic::new().response(|_| {
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

pub(super) fn panics_on_request(
    _: &Parts<'_>,
    layer: &Value,
    app: Application,
) -> Check<Application> {
    known(layer, "config", &["middleware"])?;
    let panics = |_: &Application, _: Request| -> Reply { panic!("before the application") };
    Ok(app.wrap(around("Panics", panics)))
}

/// The pages of the cases also replace content of the application.
pub(super) fn error_pages(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    known(layer, "config", &["middleware", "pages"])?;
    let pages = object(&layer["pages"])?;
    let wrapper = pages.iter().try_fold(
        ErrorPages::new().replace_content(),
        |wrapper, (status, page)| match (status.parse(), page.as_str()) {
            (Ok(status), Some(page)) => wrapper.page(status, page.to_owned()).or_else(refused),
            _ => unsupported(format!("a page {status:?}: {page}")),
        },
    )?;
    Ok(app.wrap(wrapper))
}

/// The cases need the pages in any build of these tests.
pub(super) fn show_exceptions(
    _: &Parts<'_>,
    layer: &Value,
    app: Application,
) -> Check<Application> {
    known(layer, "config", &["middleware"])?;
    Ok(app.wrap(DebugErrors::insecure_in_release()))
}
