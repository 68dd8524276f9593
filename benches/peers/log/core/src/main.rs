//! Runs the candidates in interleaved rounds, and prints the cost of a log; `log.sh` builds them.

use std::process::Command;

const ROUNDS: usize = 7;
/// A program beside this one, and its formats.
const CANDIDATES: [(&str, &[&str]); 3] = [
    ("log-actix", &["none", "combined", "json"]),
    ("log-axum", &["none", "combined", "json"]),
    ("log-ours", &["none", "combined", "json"]),
];

fn run(command: &mut Command) -> Vec<f64> {
    let output = command.output().expect("it was built");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.split_whitespace().map(str::parse);
    let numbers: Result<Vec<f64>, _> = numbers.collect();
    numbers
        .ok()
        .filter(|numbers| !numbers.is_empty())
        .unwrap_or_else(|| panic!("{command:?}: {output:?}"))
}

/// Nanoseconds, allocations and instructions per response.
fn measure(program: &str, format: &str) -> [f64; 3] {
    let here = std::env::current_exe().expect("this program");
    let program = here.with_file_name(program);
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| run(Command::new(&program).arg(format)))
        .collect();
    rounds.sort_by(|one, other| one[0].total_cmp(&other[0]));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../instructions.sh");
    let mut script = Command::new(script);
    // A queue grows to its full size in the first thousands of requests, which is not the cost of a request.
    script.env("FEW", "5000").arg(&program).arg(format);
    let instructions = run(&mut script)[0];
    [rounds[ROUNDS / 2][0], rounds[ROUNDS / 2][1], instructions]
}

fn main() {
    println!("| | format | ns | allocations | instructions |\n|---|---|---|---|---|");
    for (program, formats) in CANDIDATES {
        let without = measure(program, formats[0]);
        for format in &formats[1..] {
            let with = measure(program, format);
            let [time, allocations, instructions] = [0, 1, 2].map(|at| with[at] - without[at]);
            println!("| {program} | {format} | {time:.0} | {allocations} | {instructions} |");
        }
    }
}
