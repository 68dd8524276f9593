//! Runs the candidates in interleaved rounds, and prints medians; `coding.sh` builds them.

use std::collections::BTreeMap;
use std::process::Command;

use coding::CASES;

const ROUNDS: usize = 7;
/// A name, a program beside this one, and its options; the others are compared with the first.
const CANDIDATES: [(&str, &str, &[&str]); 9] = [
    ("tower-http", "coding-tower", &[]),
    ("actix-web", "coding-actix", &[]),
    ("ours", "coding-ours", &[]),
    ("ours, level 1", "coding-ours", &["1"]),
    ("ours, libdeflate", "coding-libdeflate", &[]),
    ("ours, memo", "coding-ours", &["memo"]),
    ("tower, uncompressed", "coding-tower", &["none"]),
    ("ours, uncompressed", "coding-ours", &["none"]),
    ("handover", "coding-ours", &["handover"]),
];

/// One round: nanoseconds, bytes and allocations per response.
#[derive(Clone, Copy)]
struct Round(f64, usize, usize);

fn round(program: &str, case: &str, options: &[&str]) -> Round {
    let beside = std::env::current_exe()
        .expect("this program")
        .with_file_name(program);
    let output = Command::new(beside)
        .arg(case)
        .args(options)
        .output()
        .expect("it was built");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace();
    let mut next = || {
        numbers
            .next()
            .unwrap_or_else(|| panic!("{program} {case}: {output:?}"))
    };
    let number = next().parse().expect("nanoseconds");
    let mut whole = || next().parse().expect("a number");
    Round(number, whole(), whole())
}

fn main() {
    for case in CASES {
        let mut rounds = BTreeMap::<usize, Vec<Round>>::new();
        for _ in 0..ROUNDS {
            for (number, (_, program, options)) in CANDIDATES.iter().enumerate() {
                rounds
                    .entry(number)
                    .or_default()
                    .push(round(program, case, options));
            }
        }
        for rounds in rounds.values_mut() {
            rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        let median = |number: &usize| rounds[number][ROUNDS / 2];
        let first = median(&0);
        println!(
            "\n| {case} | µs | times as fast | bytes | size | allocations |\n|---|---|---|---|---|---|"
        );
        for (number, (name, _, _)) in CANDIDATES.iter().enumerate() {
            let Round(nanoseconds, bytes, allocations) = median(&number);
            println!(
                "| {name} | {:.1} | {:.1} | {bytes} | {:+.1} % | {allocations} |",
                nanoseconds / 1000.0,
                first.0 / nanoseconds,
                (bytes as f64 / first.1 as f64 - 1.0) * 100.0,
            );
        }
    }
}
