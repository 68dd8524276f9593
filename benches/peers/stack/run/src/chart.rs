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

/// A part of a chart: its heading, the longest bar, and the values, which are relative to 1.
pub struct Group {
    /// The heading.
    pub head: String,
    /// The value of a bar of the whole width; longer ones are cut.
    pub most: f64,
    /// Names and values.
    pub bars: Vec<(String, f64)>,
}

fn group(svg: &mut String, y: &mut i32, group: &Group) {
    let (head, most) = (escaped(&group.head), group.most);
    *y += 26;
    let _ = writeln!(svg, r#"<text class="head" x="8" y="{y}">{head}</text>"#);
    *y += 8;
    let top = *y;
    for (name, value) in &group.bars {
        let value = *value;
        let length = value.min(most) / most * BARS;
        let class = if name.starts_with("Enfilade") {
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
            escaped(name),
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
    let groups = results.iter().map(|(case, all)| {
        let (unit, of) = unit(case, all);
        let bar = |one: &Measured| {
            let value = one.relative(unit, |round| round.cpu).0;
            (one.name.to_owned(), value)
        };
        Group {
            head: format!("{}, {of}", title(case)),
            most: if case.is_compressed { 2.0 } else { MOST },
            bars: all.iter().map(bar).collect(),
        }
    });
    let groups: Vec<Group> = groups.collect();
    let head = "CPU of the server for a request: less is better";
    draw("stack.svg", head, &groups)
}

/// Draws a chart of groups into `benches/`.
pub fn draw(file: &str, head: &str, groups: &[Group]) -> Result<()> {
    let (mut body, mut y) = (String::new(), 22);
    let _ = writeln!(
        body,
        r#"<text class="head" x="8" y="{y}">{}</text>"#,
        escaped(head)
    );
    for one in groups {
        group(&mut body, &mut y, one);
    }
    let label = escaped(head.split(':').next().unwrap_or_default());
    let (width, height) = (NAMES + BARS as i32 + 70, y + 12);
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\n<style>{STYLE}</style>\n{body}</svg>\n"
    );
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    Ok(std::fs::write(format!("{folder}/{file}"), svg)?)
}
