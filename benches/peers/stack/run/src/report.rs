//! Medians, and the tables of them.

use std::fmt::Write as _;

use stack::Case;

use crate::Result;

/// The result of one round of load.
#[derive(Clone, Copy)]
pub struct Round {
    /// Requests per second.
    pub rate: f64,
    /// Microseconds of the server's CPU per request.
    pub cpu: f64,
    /// The part of them outside the kernel.
    pub user: f64,
}

/// The rounds of one candidate for one case.
pub struct Measured {
    /// The candidate.
    pub name: &'static str,
    /// The body of a response, as it was sent.
    pub bytes: usize,
    /// In order, so that those with the same index were measured one after the other.
    pub rounds: Vec<Round>,
}

/// The median, the minimum and the maximum.
pub struct Spread(pub f64, pub f64, pub f64);

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Spread(median, least, most) = self;
        write!(f, "{median:.2} ({least:.2} to {most:.2})")
    }
}

/// Of at least one number.
pub fn spread(numbers: impl IntoIterator<Item = f64>) -> Spread {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let median = match numbers.len() % 2 {
        0 => f64::midpoint(numbers[middle - 1], numbers[middle]),
        _ => numbers[middle],
    };
    Spread(median, numbers[0], numbers[numbers.len() - 1])
}

impl Measured {
    /// Relative to the other in the same round.
    pub fn relative(&self, other: &Measured, of: fn(&Round) -> f64) -> Spread {
        let pairs = self.rounds.iter().zip(&other.rounds);
        spread(pairs.map(|(one, other)| of(one) / of(other)))
    }

    fn median(&self, of: fn(&Round) -> f64) -> f64 {
        spread(self.rounds.iter().map(of)).0
    }
}

/// Returns the title of a case.
pub fn title(case: &Case) -> String {
    let path = case.path;
    match case.name {
        "missing" => format!("`{path}`, which is missing"),
        "data" => format!("`{path}`, 30 KB of JSON"),
        "gzip" => format!("`{path}` with `Accept-Encoding: gzip`"),
        "browser" => format!("`{path}` with a browser's headers"),
        _ => format!("`{path}`"),
    }
}

/// Returns the whole table of a case; a compressed case has two more columns.
pub fn table(case: &Case, all: &[Measured]) -> String {
    let bare = &all[0];
    let axum = all
        .iter()
        .find(|measured| measured.name.starts_with("axum"));
    let axum = axum.filter(|_| case.is_compressed);
    let more = axum.map_or(["", ""], |_| [" CPU of axum's | bytes |", "---|---|"]);
    let mut table = format!(
        "| {} | requests/s | of bare's | CPU, µs | of bare's | user CPU of bare's |{}\n|---|---|---|---|---|---|{}\n",
        title(case),
        more[0],
        more[1],
    );
    for one in all {
        let _ = write!(
            table,
            "| {} | {:.0} | {} | {:.2} | {} | {} |",
            one.name,
            one.median(|round| round.rate),
            one.relative(bare, |round| round.rate),
            one.median(|round| round.cpu),
            one.relative(bare, |round| round.cpu),
            one.relative(bare, |round| round.user),
        );
        if let Some(axum) = axum {
            let of_axum = one.relative(axum, |round| round.cpu);
            let _ = write!(table, " {of_axum} | {} |", one.bytes);
        }
        table.push('\n');
    }
    table
}

/// Returns the name of the processor.
pub fn machine() -> Result<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = text.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": "));
    Ok(model
        .map_or("an unnamed processor", |(_, model)| model)
        .to_owned())
}

/// Writes the tables to `benches/README.md`, between the marks.
pub fn write(results: &[(&Case, Vec<Measured>)], rounds: usize, seconds: u32) -> Result<()> {
    let mut text = format!(
        "{rounds} rounds of {seconds} seconds on {}: medians, and in parentheses minimum and maximum.\n",
        machine()?
    );
    for (case, measured) in results {
        let _ = write!(text, "\n{}", table(case, measured));
    }
    replace("stack", &text)
}

/// Writes a text between `<!-- mark -->` and `<!-- /mark -->` of `benches/README.md`.
pub fn replace(mark: &str, text: &str) -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../README.md");
    let page = std::fs::read_to_string(path)?;
    let (start, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let parts = page.split_once(&start).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| format!("no marks of {mark:?} in {path}"))?;
    Ok(std::fs::write(
        path,
        format!("{before}{start}\n{text}\n{end}{after}"),
    )?)
}
