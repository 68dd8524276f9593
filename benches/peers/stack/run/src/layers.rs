//! Growing numbers of wrappers that each set a header: time, instructions and allocations.

use std::process::Command;

use crate::Result;
use crate::calls::{counted, number};
use crate::process::beside;
use crate::report::{replace, spread};

const ROUNDS: usize = 5;
const DEPTHS: [usize; 6] = [0, 1, 5, 10, 20, 200];
/// A name, a program, its kind, and its maximum number of wrappers.
const CANDIDATES: [(&str, &str, &str, usize); 8] = [
    ("inserts alone", "layers-ours", "inserts", 200),
    ("Enfilade, synchronous", "layers-ours", "synchronous", 200),
    ("Enfilade, asynchronous", "layers-ours", "asynchronous", 200),
    ("passing through", "layers-ours", "passing", 200),
    (
        "passing through, asynchronous",
        "layers-ours",
        "passing-asynchronous",
        200,
    ),
    ("axum, `Router::layer`", "layers-axum", "layer", 200),
    ("axum, `ServiceBuilder`", "layers-axum", "builder", 20),
    ("actix-web, `wrap`", "layers-actix", "wrap", 20),
];
const CALLS: u32 = 100;

/// The values of each candidate at each depth that it has.
type Table = Vec<Vec<Option<f64>>>;

fn each(measure: impl Fn(&str, &str, &str) -> Result<f64>) -> Result<Table> {
    let candidates = CANDIDATES.iter().map(|(_, program, kind, most)| {
        let depths = DEPTHS.iter().map(|depth| {
            let is_there = depth <= most;
            let measured = is_there.then(|| measure(program, kind, &depth.to_string()));
            measured.transpose()
        });
        depths.collect()
    });
    candidates.collect()
}

fn times() -> Result<Table> {
    let rounds: Result<Vec<Table>> = (0..ROUNDS)
        .map(|_| {
            each(|program, kind, depth| number(Command::new(beside(program)?).args([kind, depth])))
        })
        .collect();
    let rounds = rounds?;
    let median = |row: usize, column: usize| {
        let numbers: Option<Vec<f64>> = rounds.iter().map(|table| table[row][column]).collect();
        numbers.map(|numbers| spread(numbers).0)
    };
    let rows = (0..CANDIDATES.len()).map(|row| {
        let columns = (0..DEPTHS.len()).map(|column| median(row, column));
        columns.collect()
    });
    Ok(rows.collect())
}

/// The last columns are the cost of each of the deepest twenty, and of the two hundred for candidates that have them.
fn table(title: &str, table: &Table) -> String {
    let mut text = format!("| {title} |");
    text += &DEPTHS.map(|depth| format!(" {depth} |")).concat();
    text += " each of 20 | each of 200 |\n|---|---|---|---|---|---|---|---|---|\n";
    for ((name, ..), row) in CANDIDATES.iter().zip(table) {
        text += &format!("| {name} |");
        for value in row {
            text += &value.map_or(" |".to_owned(), |value| format!(" {value:.0} |"));
        }
        for column in [4, 5] {
            let each = row[column].zip(row[0]);
            let each = each.map(|(all, none)| (all - none) / DEPTHS[column] as f64);
            text += &each.map_or(" |".to_owned(), |each| format!(" {each:.1} |"));
        }
        text.push('\n');
    }
    text
}

/// Measures all of them, prints tables, and writes them to `benches/README.md`.
pub fn run() -> Result<()> {
    let count = |script: &'static str| {
        each(move |program, kind, depth| counted(script, program, kind, depth, CALLS))
    };
    let text = [
        table("instructions", &count("instructions.sh")?),
        table("allocations", &count("allocations.sh")?),
        table("ns", &times()?),
    ]
    .join("\n");
    println!("{text}");
    replace("layers", &text)
}
