//! The page that shows a profile.

use std::fmt::Write;
use std::sync::Arc;

use enfilade_core::{Description, Handler, HttpError, IntoResponse, Reply, Request, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};

use super::report::{self, ComponentRow};
use super::stats::ComponentTable;
use crate::shared::html::HtmlEscaped;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Allows only files that this application serves itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) struct ProfilePage {
    components: Arc<ComponentTable>,
}

impl ProfilePage {
    pub(super) fn new(components: Arc<ComponentTable>) -> ProfilePage {
        ProfilePage { components }
    }

    fn html(&self, request: &Request) -> String {
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>Profile</title>\n\
             <link rel=\"stylesheet\" href=\"{}\">\n<script src=\"{}\" defer></script>\n</head>\n\
             <body>\n<h1>Profile</h1>\n<p>What each component took by itself, without what is inside it. \
             <a href=\"{}\">JSON</a></p>\n<main>\n",
            HtmlEscaped(&request.url_for_path("/style.css")),
            HtmlEscaped(&request.url_for_path("/script.js")),
            HtmlEscaped(&request.url_for_path("/json")),
        );
        write_table(&mut html, &report::rows(self.components.all()));
        html.push_str("</main>\n</body>\n</html>\n");
        html
    }
}

impl Handler for ProfilePage {
    fn call(&self, request: Request) -> Reply {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let allow = HeaderValue::from_static("GET, HEAD");
            let error = HttpError::new(StatusCode::METHOD_NOT_ALLOWED);
            return Reply::new(error.header(ALLOW, allow));
        }
        Reply::new(match request.path() {
            "" | "/" => respond("text/html; charset=utf-8", self.html(&request)),
            "/json" => {
                let rows = report::rows(self.components.all());
                respond("application/json", report::to_json(&rows))
            }
            "/style.css" => respond("text/css; charset=utf-8", STYLE),
            "/script.js" => respond("text/javascript; charset=utf-8", SCRIPT),
            _ => StatusCode::NOT_FOUND.into_response(),
        })
    }

    fn describe(&self) -> Description {
        Description::new("Profile page")
    }
}

fn respond(media_type: &'static str, content: impl IntoResponse) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::OK, headers, content).into_response()
}

fn write_table(html: &mut String, rows: &[ComponentRow]) {
    html.push_str(
        "<table>\n<thead><tr><th>Component</th><th>Calls</th><th>In flight</th><th>Own time</th>\
         <th>Share</th><th>p50</th><th>p90</th><th>p99</th><th>Bytes</th><th>Statuses</th></tr></thead>\n<tbody>\n",
    );
    for row in rows {
        write_row(html, row);
    }
    html.push_str("</tbody>\n</table>\n");
}

fn write_row(html: &mut String, row: &ComponentRow) {
    let (component, totals) = (&row.component, &row.totals);
    let _ = writeln!(
        html,
        "<tr><th scope=\"row\">{}<b>{}</b>{}{}</th><td>{}</td><td>{}</td><td>{}</td>\
         <td><meter value=\"{:.4}\"></meter> {:.0} %</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        // The tree is part of the text, so that it is readable without the style sheet.
        "<i></i>".repeat(component.depth),
        HtmlEscaped(&component.name),
        note("when", &component.label),
        note("options", &options(row)),
        totals.calls,
        component.in_flight(),
        duration(totals.total),
        row.share,
        row.share * 100.0,
        duration(row.percentile(50.0)),
        duration(row.percentile(90.0)),
        duration(row.percentile(99.0)),
        bytes(totals.bytes),
        HtmlEscaped(&statuses(row)),
    );
}

fn note(class: &str, text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!(" <span class=\"{class}\">{}</span>", HtmlEscaped(text)),
    }
}

fn options(row: &ComponentRow) -> String {
    let options = row.component.options.iter();
    let options = options.map(|(name, value)| format!("{name}: {value}"));
    options.collect::<Vec<_>>().join(", ")
}

/// Calls by status, and those that did not end.
fn statuses(row: &ComponentRow) -> String {
    let name = |status: u16| match status {
        0 => "aborted".to_owned(),
        status => status.to_string(),
    };
    let all = row.totals.statuses.iter();
    let all = all.map(|(status, calls)| (name(*status), *calls));
    let ends = [
        ("failed", row.totals.failed),
        ("dropped", row.totals.dropped),
    ];
    let ends = ends.map(|(name, calls)| (name.to_owned(), calls));
    let shown = all.chain(ends).filter(|(_, calls)| *calls > 0);
    let shown: Vec<_> = shown
        .map(|(name, calls)| format!("{name}: {calls}"))
        .collect();
    shown.join(", ")
}

/// With three digits and a suitable unit: `1.23 ms`.
fn duration(nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => (nanoseconds as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    let digits = match value {
        0.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_unit_that_fits() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_234, "1.23 µs"),
            (12_345, "12.3 µs"),
            (123_456, "123 µs"),
            (1_500_000, "1.50 ms"),
            (61_000_000_000, "61.0 s"),
        ];
        for (nanoseconds, expected) in cases {
            assert_eq!(duration(nanoseconds), expected);
        }
        for (count, expected) in [
            (9_999, "9999 B"),
            (10_000, "10.0 kB"),
            (12_345_678, "12.3 MB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
    }
}
