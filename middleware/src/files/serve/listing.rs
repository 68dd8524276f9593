//! The entries of a directory, as HTML or as JSON.

use std::fmt::Write as _;

use enfilade_core::headers::vary_add;
use enfilade_core::path::{decode, encode_segment};
use enfilade_core::{IntoResponse, Request, Response};
use http::HeaderValue;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use time::OffsetDateTime;

use super::find::Listing;
use crate::files::tree::entry::ListedEntry;
use crate::matching::accept::choose;
use crate::shared::html::HtmlEscaped;
use crate::shared::json;

#[derive(Clone, Copy)]
enum Form {
    Html,
    Json,
}

/// Lists the entries.
pub(super) fn respond(request: &Request, listing: &Listing) -> Response {
    let mut shown: Vec<&ListedEntry> = listing.entries.iter().collect();
    shown.sort_by(|a, b| (!a.is_directory(), a.name()).cmp(&(!b.is_directory(), b.name())));
    let offered = [("text/html", Form::Html), ("application/json", Form::Json)];
    let form = choose(request.headers(), &offered).unwrap_or(Form::Html);
    let (media_type, text) = match form {
        Form::Html => (
            "text/html; charset=utf-8",
            html(request, &shown, listing.more),
        ),
        Form::Json => ("application/json", json_text(&shown)),
    };
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Nothing of the page is more than text.
    let policy =
        HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    vary_add(headers, &ACCEPT);
    response
}

fn html(request: &Request, entries: &[&ListedEntry], more: bool) -> String {
    let path = format!("{}{}", request.script_name(), request.path());
    let path = decode(&path);
    let title = HtmlEscaped(&path);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<h1>{title}</h1>\n<table>\n"
    );
    if !matches!(request.path(), "" | "/") {
        page.push_str("<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    for entry in entries {
        let slash = if entry.is_directory() { "/" } else { "" };
        // The dot keeps a colon in the name from being read as the end of a scheme.
        let href = format!("./{}{slash}", encode_segment(entry.name()));
        let (href, name) = (HtmlEscaped(&href), HtmlEscaped(entry.name()));
        let length = entry.known_length().map(|length| length.to_string());
        let time = entry.last_modified().map(timestamp);
        let (length, time) = (length.unwrap_or_default(), time.unwrap_or_default());
        let _ = writeln!(
            page,
            "<tr><td><a href=\"{href}\">{name}{slash}</a><td>{length}<td>{time}"
        );
    }
    page.push_str("</table>\n");
    if more {
        page.push_str("<p>There are more entries.</p>\n");
    }
    page.push_str("</html>\n");
    page
}

fn json_text(entries: &[&ListedEntry]) -> String {
    json::array(entries.iter().map(|entry| {
        let kind = if entry.is_directory() {
            "directory"
        } else {
            "file"
        };
        let mut members = vec![
            ("name", json::string(entry.name())),
            ("type", json::string(kind)),
        ];
        members.extend(
            entry
                .known_length()
                .map(|length| ("size", length.to_string())),
        );
        members.extend(
            entry
                .last_modified()
                .map(|time| ("modified", json::string(&timestamp(time)))),
        );
        json::object(members)
    }))
}

/// A time as RFC 3339 has it, in seconds.
fn timestamp(time: OffsetDateTime) -> String {
    let (date, (hour, minute, second)) = (time.date(), time.to_hms());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
