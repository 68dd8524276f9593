//! The report as an HTML page.

use std::fmt::Write;

use super::backtrace::Frame;
use super::facts::{ComponentFacts, ShownPairs};
use super::report::{Cause, PanicReport, Report};
use super::source::Excerpt;
use crate::shared::html::HtmlEscaped;

const STYLE: &str = include_str!("style.css");
/// Allows only the page's own style, by its SHA-256: no scripts, images, forms or frames.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'sha256-SPdDHuTqe87u2mAmt2Sm+RRsm3h/ZqahQRXpdUHwQyo='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The maximum indentation of a component, in levels.
const MAX_INDENT: usize = 24;

pub(super) fn html(report: &Report) -> String {
    let (status, headline) = (report.status_text(), HtmlEscaped(&report.headline));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{status}: {headline}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header>\n<p class=\"status\">{status}</p>\n\
         <h1>{headline}</h1>\n<p class=\"line\">{}</p>\n</header>\n<main>\n",
        HtmlEscaped(&report.request.line),
    );
    if let Some(detail) = &report.detail {
        let detail = HtmlEscaped(detail);
        let _ = writeln!(html, "<p>Message for the client: <q>{detail}</q></p>");
    }
    match &report.panic {
        Some(panic) => write_panic(&mut html, panic),
        None => write_causes(&mut html, &report.causes),
    }
    write_request(&mut html, report);
    html.push_str("<section>\n<h2>Components</h2>\n<ul class=\"tree\">\n");
    for component in &report.components {
        write_component(&mut html, component);
    }
    html.push_str("</ul>\n");
    write_more(&mut html, report.more_components);
    html.push_str(
        "</section>\n</main>\n<footer>DebugErrors shows this page. It is for development: \
         whoever sees it learns how the program is made.</footer>\n</body>\n</html>\n",
    );
    html
}

fn write_causes(html: &mut String, causes: &[Cause]) {
    if causes.is_empty() {
        return;
    }
    html.push_str("<section>\n<h2>Errors</h2>\n<ol class=\"causes\">\n");
    for cause in causes {
        let message = HtmlEscaped(&cause.message);
        let _ = write!(html, "<li><span class=\"message\">{message}</span>");
        if let Some(name) = cause.type_name {
            let _ = write!(html, " <code class=\"type\">{}</code>", HtmlEscaped(name));
        }
        if let Some(debug) = &cause.debug {
            let _ = write!(html, "<pre class=\"wrap\">{}</pre>", HtmlEscaped(debug));
        }
        html.push_str("</li>\n");
    }
    html.push_str("</ol>\n</section>\n");
}

fn write_panic(html: &mut String, panic: &PanicReport) {
    html.push_str("<section>\n<h2>Panic</h2>\n");
    if let Some(location) = &panic.location {
        let thread = panic.thread.as_deref().unwrap_or("unnamed");
        let _ = writeln!(
            html,
            "<p>At <code>{}</code>, in the thread <code>{}</code></p>",
            HtmlEscaped(location),
            HtmlEscaped(thread),
        );
    }
    if let Some(source) = &panic.source {
        write_excerpt(html, source);
    }
    html.push_str("</section>\n<section>\n<h2>Backtrace</h2>\n<ol class=\"frames\">\n");
    let groups = panic
        .frames
        .chunk_by(|(first, _), (second, _)| !first.is_own && !second.is_own);
    for group in groups {
        match group {
            [(frame, excerpt)] if frame.is_own => {
                write_frame(html, frame, excerpt.as_ref());
            }
            frames => write_libraries(html, frames),
        }
    }
    html.push_str("</ol>\n</section>\n");
}

/// Writes a frame of the application, whose source can be unfolded.
fn write_frame(html: &mut String, frame: &Frame, excerpt: Option<&Excerpt>) {
    let (name, place) = (HtmlEscaped(&frame.symbol), place(frame));
    let Some(excerpt) = excerpt else {
        let _ = writeln!(html, "<li class=\"own\"><b>{name}</b>{place}</li>");
        return;
    };
    let _ = writeln!(
        html,
        "<li class=\"own\"><details><summary><b>{name}</b>{place}</summary>"
    );
    write_excerpt(html, excerpt);
    html.push_str("</details></li>\n");
}

fn write_libraries(html: &mut String, frames: &[(Frame, Option<Excerpt>)]) {
    let plural = if frames.len() == 1 { "" } else { "s" };
    let _ = writeln!(
        html,
        "<li class=\"library\"><details class=\"library\"><summary>{} frame{plural} of libraries</summary>\n<ol>",
        frames.len(),
    );
    for (frame, _) in frames {
        let (name, place) = (HtmlEscaped(&frame.symbol), place(frame));
        let _ = writeln!(html, "<li>{name}{place}</li>");
    }
    html.push_str("</ol>\n</details></li>\n");
}

fn place(frame: &Frame) -> String {
    let place = frame.place.as_ref().map(|place| {
        let place = place.text();
        format!(" <span class=\"place\">{}</span>", HtmlEscaped(&place))
    });
    place.unwrap_or_default()
}

fn write_excerpt(html: &mut String, excerpt: &Excerpt) {
    html.push_str("<pre class=\"source\"><code>");
    for (number, line) in &excerpt.lines {
        let class = match *number == excerpt.line {
            true => " class=\"here\"",
            false => "",
        };
        let _ = write!(
            html,
            "<span{class}><i>{number}</i>{}</span>",
            HtmlEscaped(line)
        );
    }
    html.push_str("</code></pre>\n");
}

fn write_request(html: &mut String, report: &Report) {
    let request = &report.request;
    html.push_str("<section>\n<h2>Request</h2>\n<dl>\n");
    for (name, value) in &request.rows {
        let _ = writeln!(html, "<dt>{name}</dt><dd>{}</dd>", HtmlEscaped(value));
    }
    html.push_str("</dl>\n");
    write_pairs(html, "Query", &request.query);
    write_pairs(html, "Headers", &request.headers);
    html.push_str("</section>\n");
}

fn write_pairs(html: &mut String, title: &str, pairs: &ShownPairs) {
    if pairs.shown.is_empty() {
        return;
    }
    let _ = writeln!(html, "<h3>{title}</h3>\n<dl>");
    for (name, value) in &pairs.shown {
        let (name, value) = (HtmlEscaped(name), HtmlEscaped(value));
        let _ = writeln!(html, "<dt>{name}</dt><dd>{value}</dd>");
    }
    html.push_str("</dl>\n");
    write_more(html, pairs.more);
}

fn write_component(html: &mut String, component: &ComponentFacts) {
    let label = match component.label.is_empty() {
        true => String::new(),
        false => format!(
            "<span class=\"label\">{}</span> ",
            HtmlEscaped(&component.label)
        ),
    };
    let options = component.options.iter();
    let options: Vec<_> = options
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let options = match options.is_empty() {
        true => String::new(),
        false => format!(
            " <span class=\"options\">{}</span>",
            HtmlEscaped(&options.join(", "))
        ),
    };
    let _ = writeln!(
        html,
        "<li>{}{label}<b>{}</b>{options}</li>",
        // The tree is part of the text, so that it is readable without the style sheet.
        "<i></i>".repeat(component.depth.min(MAX_INDENT)),
        HtmlEscaped(&component.name),
    );
}

fn write_more(html: &mut String, more: usize) {
    if more > 0 {
        let _ = writeln!(html, "<p class=\"more\">And {more} more</p>");
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_lets_this_style_apply() {
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        let source = format!("style-src 'sha256-{hash}';");
        assert!(POLICY.contains(&source), "{source}");
    }
}
