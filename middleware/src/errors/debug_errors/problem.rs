//! The report as a problem in JSON (RFC 9457).

use std::collections::BTreeMap;

use super::backtrace::{Frame, SourceLocation};
use super::facts::{ComponentFacts, ShownPairs};
use super::report::{PanicReport, Report};
use crate::shared::json::{array, object, object_of_texts, string, string_or_null};

/// Details beyond the status are extension members (RFC 9457, section 3.2).
pub(super) fn text(report: &Report) -> String {
    let causes = report.causes.iter().map(|cause| {
        object([
            ("debug", string_or_null(cause.debug.as_deref())),
            ("message", string(&cause.message)),
            ("type", string_or_null(cause.type_name)),
        ])
    });
    let panic = report
        .panic
        .as_ref()
        .map_or_else(|| "null".to_owned(), panic);
    let detail = report.detail.as_ref().unwrap_or(&report.headline);
    object([
        ("causes", array(causes)),
        ("components", array(report.components.iter().map(component))),
        ("detail", string(detail)),
        ("panic", panic),
        ("request", request(report)),
        ("status", report.status.as_u16().to_string()),
        ("title", string(report.title())),
        // `about:blank` means nothing more than the status (RFC 9457, section 4.2.1).
        ("type", string("about:blank")),
    ])
}

fn request(report: &Report) -> String {
    let request = &report.request;
    let rows = request.rows.iter();
    let rows = rows.map(|(name, value)| {
        let name = name.to_ascii_lowercase().replace(' ', "_");
        (name, string(value))
    });
    let mut members: BTreeMap<_, _> = rows.collect();
    members.insert("line".to_owned(), string(&request.line));
    members.insert("query".to_owned(), pairs(&request.query));
    members.insert("headers".to_owned(), pairs(&request.headers));
    object(members)
}

fn pairs(pairs: &ShownPairs) -> String {
    let pairs = pairs.shown.iter();
    array(pairs.map(|(name, value)| array([string(name), string(value)])))
}

fn component(component: &ComponentFacts) -> String {
    object([
        ("depth", component.depth.to_string()),
        ("label", string(&component.label)),
        ("name", string(&component.name)),
        ("options", object_of_texts(&component.options)),
    ])
}

fn panic(panic: &PanicReport) -> String {
    let frames = panic.frames.iter().map(|(found, _)| frame(found));
    object([
        ("frames", array(frames)),
        ("location", string_or_null(panic.location.as_deref())),
        ("thread", string_or_null(panic.thread.as_deref())),
    ])
}

fn frame(frame: &Frame) -> String {
    let place = frame.place.as_ref().map(SourceLocation::text);
    object([
        ("is_application", frame.is_own.to_string()),
        ("place", string_or_null(place.as_deref())),
        ("symbol", string(&frame.symbol)),
    ])
}
