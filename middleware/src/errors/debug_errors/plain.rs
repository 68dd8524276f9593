//! The report as text, for terminals.

use std::fmt::Write;

use super::backtrace::SourceLocation;
use super::facts::ShownPairs;
use super::report::{PanicReport, Report};
use super::source::Excerpt;

pub(super) fn text(report: &Report) -> String {
    let mut text = format!("{}\n\n", report.status_text());
    indented(&mut text, "  ", &report.headline);
    if let Some(panic) = &report.panic {
        write_panic(&mut text, panic);
    } else {
        write_causes(&mut text, report);
    }
    write_request(&mut text, report);
    text.push_str("\nComponents\n");
    for component in &report.components {
        let label = match component.label.is_empty() {
            true => String::new(),
            false => format!("{}: ", component.label),
        };
        let options = component.options.iter();
        let options: Vec<_> = options
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let options = match options.is_empty() {
            true => String::new(),
            false => format!(" ({})", options.join(", ")),
        };
        let line = format!("{label}{}{options}", component.name);
        indented(&mut text, &"  ".repeat(component.depth.min(40) + 1), &line);
    }
    write_more(&mut text, report.more_components);
    text
}

/// Indents every line of `value`, so that it cannot be mistaken for a line of the report.
fn indented(text: &mut String, space: &str, value: &str) {
    for line in value.split('\n') {
        let _ = writeln!(text, "{space}{line}");
    }
}

fn write_panic(text: &mut String, panic: &PanicReport) {
    if let Some(location) = &panic.location {
        let thread = panic.thread.as_deref().unwrap_or("unnamed");
        indented(
            text,
            "  ",
            &format!("at {location}, in the thread {thread}"),
        );
    }
    if let Some(source) = &panic.source {
        text.push('\n');
        write_excerpt(text, source);
    }
    text.push_str("\nBacktrace\n");
    for group in panic
        .frames
        .chunk_by(|(first, _), (second, _)| !first.is_own && !second.is_own)
    {
        match group {
            [(frame, _)] if frame.is_own => {
                let place = frame.place.as_ref().map(SourceLocation::text);
                indented(text, "  ", &frame.symbol);
                indented(text, "      at ", &place.unwrap_or_default());
            }
            frames => {
                let _ = writeln!(text, "  [frames of libraries: {}]", frames.len());
            }
        }
    }
}

fn write_excerpt(text: &mut String, excerpt: &Excerpt) {
    for (number, line) in &excerpt.lines {
        let mark = if *number == excerpt.line { '>' } else { ' ' };
        let _ = writeln!(text, "{mark} {number:5} | {line}");
    }
}

fn write_causes(text: &mut String, report: &Report) {
    if report.causes.is_empty() {
        return;
    }
    text.push_str("\nErrors\n");
    for (number, cause) in report.causes.iter().enumerate() {
        let number = number + 1;
        indented(text, "  ", &format!("{number}. {}", cause.message));
        if let Some(name) = cause.type_name {
            indented(text, "     type: ", name);
        }
        if let Some(debug) = &cause.debug {
            indented(text, "     debug: ", debug);
        }
    }
}

fn write_request(text: &mut String, report: &Report) {
    let request = &report.request;
    text.push_str("\nRequest\n");
    indented(text, "  ", &request.line);
    for (name, value) in &request.rows {
        indented(text, "  ", &format!("{name}: {value}"));
    }
    write_pairs(text, "Query", &request.query);
    write_pairs(text, "Headers", &request.headers);
}

fn write_pairs(text: &mut String, title: &str, pairs: &ShownPairs) {
    if pairs.shown.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for (name, value) in &pairs.shown {
        indented(text, "  ", &format!("{name}: {value}"));
    }
    write_more(text, pairs.more);
}

fn write_more(text: &mut String, more: usize) {
    if more > 0 {
        let _ = writeln!(text, "  [and {more} more]");
    }
}
