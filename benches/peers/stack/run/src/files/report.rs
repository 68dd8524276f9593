//! The tables and the chart.

use std::fmt::Write as _;

use super::download::{CONNECTIONS, Download, Downloads};
use super::start::Starts;
use super::{Case, Plan};
use crate::Result;
use crate::chart::{self, Group};
use crate::report::{Measured, Spread, machine, spread};

const CONSTANT: &str = "Enfilade, a constant route";

/// Returns a text for a candidate that cannot be compared, too.
fn or_none(spread: Option<Spread>) -> String {
    spread.map_or(String::new(), |spread| spread.to_string())
}

fn short(text: &mut String, case: &Case, all: &[Measured]) {
    let constant = all.iter().find(|one| one.name == CONSTANT);
    let _ = write!(
        text,
        "\n| {} | responses/s | CPU, µs | of nginx's | of nginx's with sendfile | of our constant route's |\n\
         |---|---|---|---|---|---|\n",
        case.title
    );
    for one in all {
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.2} | {} | {} | {} |",
            one.name,
            spread(one.rounds.iter().map(|round| round.rate)).0,
            spread(one.rounds.iter().map(|round| round.cpu)).0,
            one.relative(&all[0], |round| round.cpu),
            one.relative(&all[1], |round| round.cpu),
            or_none(constant.map(|constant| one.relative(constant, |round| round.cpu))),
        );
    }
}

fn relative(one: &Downloads, other: &Downloads, of: fn(&Download) -> f64) -> Spread {
    let pairs = one.rounds.iter().zip(&other.rounds);
    spread(pairs.map(|(one, other)| of(one) / of(other)))
}

fn long(text: &mut String, all: &[Downloads]) {
    let _ = write!(
        text,
        "\n| 1 GiB, {CONNECTIONS} connections | MB/s | of nginx's | of nginx's with sendfile | CPU, ms for 1 GiB | of nginx's \
         | of nginx's with sendfile | most memory for a connection |\n|---|---|---|---|---|---|---|---|\n"
    );
    for one in all {
        let _ = writeln!(
            text,
            "| {} | {:.0} | {} | {} | {:.0} | {} | {} | {:.0} KiB |",
            one.name,
            spread(one.rounds.iter().map(|round| round.rate)).0,
            relative(one, &all[0], |round| round.rate),
            relative(one, &all[1], |round| round.rate),
            spread(one.rounds.iter().map(|round| round.cpu)).0,
            relative(one, &all[0], |round| round.cpu),
            relative(one, &all[1], |round| round.cpu),
            spread(one.rounds.iter().map(|round| round.memory)).2,
        );
    }
}

fn starts(text: &mut String, all: &[Starts]) {
    text.push_str("\n| the first response of 10,000 files | ms after the start |\n|---|---|\n");
    for one in all {
        let times = spread(one.rounds.iter().copied());
        let _ = writeln!(text, "| {} | {times} |", one.name);
    }
}

/// Returns all tables.
pub fn text(
    plan: &Plan,
    short_ones: &[(&Case, Vec<Measured>)],
    downloads: &[Downloads],
    started: &[Starts],
) -> Result<String> {
    let mut text = format!(
        "{} rounds of {} seconds, {} of downloads and {} starts on {}: medians, and in parentheses minimum and maximum.\n",
        plan.rounds,
        plan.seconds,
        plan.downloads,
        plan.starts,
        machine()?
    );
    for (case, all) in short_ones {
        short(&mut text, case, all);
    }
    long(&mut text, downloads);
    starts(&mut text, started);
    Ok(text)
}

/// Draws `benches/files.svg`.
pub fn draw(short_ones: &[(&Case, Vec<Measured>)], downloads: &[Downloads]) -> Result<()> {
    let mut groups: Vec<Group> = short_ones
        .iter()
        .map(|(case, all)| Group {
            head: format!("{}, of nginx's with sendfile off", case.title),
            most: 6.0,
            bars: all
                .iter()
                .map(|one| {
                    let value = one.relative(&all[0], |round| round.cpu).0;
                    (one.name.to_owned(), value)
                })
                .collect(),
        })
        .collect();
    let bar = |one: &Downloads| {
        let value = relative(one, &downloads[0], |round| round.cpu).0;
        (one.name.to_owned(), value)
    };
    groups.push(Group {
        head: "1 GiB, of nginx's with sendfile off".to_owned(),
        most: 6.0,
        bars: downloads.iter().map(bar).collect(),
    });
    chart::draw(
        "files.svg",
        "CPU of the server for a file: less is better",
        &groups,
    )
}
