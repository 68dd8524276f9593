//! The report as a problem in JSON (RFC 9457).

use serde_json::{Map, Value, json};

use super::backtrace::{Frame, Place};
use super::facts::{Component, Pairs};
use super::report::{PanicReport, Report};

/// What goes beyond the status is in extension members (RFC 9457, section 3.2).
pub(super) fn text(report: &Report) -> String {
    let request = &report.request;
    let rows = request.rows.iter();
    let rows = rows.map(|(name, value)| {
        let name = name.to_ascii_lowercase().replace(' ', "_");
        (name, Value::from(&**value))
    });
    let causes = report.causes.iter();
    let causes = causes.map(
        |cause| json!({ "message": cause.message, "type": cause.type_name, "debug": cause.debug }),
    );
    let components = report.components.iter().map(component);
    let mut request_members: Map<_, _> = rows.collect();
    request_members.insert("line".to_owned(), request.line.clone().into());
    request_members.insert("query".to_owned(), pairs(&request.query));
    request_members.insert("headers".to_owned(), pairs(&request.headers));
    json!({
        // Nothing more than what the status says (RFC 9457, section 4.2.1).
        "type": "about:blank",
        "title": report.title(),
        "status": report.status.as_u16(),
        "detail": report.detail.as_ref().unwrap_or(&report.headline),
        "causes": causes.collect::<Vec<_>>(),
        "panic": report.panic.as_ref().map(panic),
        "request": request_members,
        "components": components.collect::<Vec<_>>(),
    })
    .to_string()
}

fn pairs(pairs: &Pairs) -> Value {
    let pairs = pairs.shown.iter();
    pairs.map(|(name, value)| json!([name, value])).collect()
}

fn component(component: &Component) -> Value {
    let options = component.options.iter();
    let options = options.map(|(name, value)| (name.clone(), Value::from(&**value)));
    json!({
        "depth": component.depth,
        "label": component.label,
        "name": component.name,
        "options": options.collect::<Map<_, _>>(),
    })
}

fn panic(panic: &PanicReport) -> Value {
    let frames = panic.frames.iter().map(|(found, _)| frame(found));
    json!({
        "location": panic.location,
        "thread": panic.thread,
        "frames": frames.collect::<Vec<_>>(),
    })
}

fn frame(frame: &Frame) -> Value {
    let place = frame.place.as_ref();
    json!({
        "symbol": frame.symbol,
        "place": place.map(Place::text),
        "is_application": frame.is_own,
    })
}
