//! What a request's body says, as a value: ours, axum's and actix-web's readers, serde_json and multer alone, in one run.
//!
//! Each makes its request and reads it, in rounds that take turns. The output has medians, and exact counts of allocations.
//! `data upload OURS|MULTER` reads a body of 100 MiB and prints how much memory that took.

mod kinds;
mod upload;

use std::hint::black_box;
use std::time::Instant;

use self::kinds::{Kind, kinds};

const ROUNDS: usize = 31;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("upload") {
        let who = arguments.next().unwrap_or_default();
        return upload::run(&who);
    }
    println!("| | | ns | of ours | allocations |\n|---|---|---|---|---|");
    for (title, requests, list) in kinds() {
        compare(title, requests, &list);
    }
    upload::compare();
}

/// Prints a row for each reader.
fn compare(title: &str, requests: usize, list: &[Kind]) {
    let mut times = vec![Vec::new(); list.len()];
    for _ in 0..ROUNDS {
        for (kind, times) in list.iter().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..requests {
                black_box((kind.read)());
            }
            times.push(start.elapsed().as_nanos() as f64 / requests as f64);
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    for (kind, median) in list.iter().zip(&medians) {
        let counted = allocation_counter::measure(|| {
            black_box((kind.read)());
        });
        let ratio = median / medians[0];
        println!(
            "| {title} | {} | {median:.0} | {ratio:.2} | {} |",
            kind.name, counted.count_total
        );
    }
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
