//! The bar chart of the tables.

use std::fmt::Write as _;

use stack::Case;

use crate::Result;
use crate::report::{Measured, title};

const NAMES: i32 = 190;
const BARS: f64 = 420.0;
const ROW: i32 = 17;
/// The longest bar, so that one that is far longer than the others does not flatten them.
const MOST: f64 = 6.0;
const STYLE: &str = "
text { font: 12px system-ui, sans-serif; fill: #24292f }
.head { font-weight: 600 }
.name { text-anchor: end }
.bar { fill: #8c959f }
.ours { fill: #1f6feb }
.line { stroke: #8c959f; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.bar { fill: #6e7681 }
.ours { fill: #58a6ff }
}
";

fn escaped(text: &str) -> String {
    text.replace('`', "")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
}

/// Returns the candidate that is the unit: bare hyper does not compress.
fn unit<'a>(case: &Case, all: &'a [Measured]) -> (&'a Measured, &'static str) {
    let axum = all.iter().find(|one| one.name.starts_with("axum"));
    match axum.filter(|_| case.is_compressed) {
        Some(axum) => (axum, "of axum and tower-http's"),
        None => (&all[0], "of bare hyper's"),
    }
}

fn group(svg: &mut String, y: &mut i32, case: &Case, all: &[Measured]) {
    let (unit, of) = unit(case, all);
    let most = if case.is_compressed { 2.0 } else { MOST };
    let head = escaped(&title(case));
    *y += 26;
    let _ = writeln!(
        svg,
        r#"<text class="head" x="8" y="{y}">{head}, {of}</text>"#
    );
    *y += 8;
    let top = *y;
    for one in all {
        let value = one.relative(unit, |round| round.cpu).0;
        let length = value.min(most) / most * BARS;
        let class = if one.name.starts_with("Enfilade") {
            "ours"
        } else {
            "bar"
        };
        let over = if value > most { " \u{2192}" } else { "" };
        let _ = writeln!(
            svg,
            concat!(
                r#"<text class="name" x="{}" y="{}">{}</text>"#,
                r#"<rect class="{}" x="{}" y="{}" width="{:.1}" height="{}" rx="2"/>"#,
                r#"<text x="{:.1}" y="{}">{:.2}{}</text>"#
            ),
            NAMES - 8,
            *y + 12,
            escaped(one.name),
            class,
            NAMES,
            *y + 2,
            length,
            ROW - 4,
            f64::from(NAMES) + length + 6.0,
            *y + 12,
            value,
            over,
        );
        *y += ROW;
    }
    let x = f64::from(NAMES) + BARS / most;
    let _ = writeln!(
        svg,
        r#"<line class="line" x1="{x:.1}" x2="{x:.1}" y1="{top}" y2="{y}"/>"#
    );
}

/// Draws `benches/stack.svg`: the CPU of a request in each case.
pub fn write(results: &[(&Case, Vec<Measured>)]) -> Result<()> {
    let (mut body, mut y) = (String::new(), 22);
    let _ = writeln!(
        body,
        r#"<text class="head" x="8" y="{y}">CPU of the server for a request: less is better</text>"#
    );
    for (case, all) in results {
        group(&mut body, &mut y, case, all);
    }
    let (width, height) = (NAMES + BARS as i32 + 70, y + 12);
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"CPU of the server for a request\">\n<style>{STYLE}</style>\n{body}</svg>\n"
    );
    Ok(std::fs::write(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../stack.svg"),
        svg,
    )?)
}
