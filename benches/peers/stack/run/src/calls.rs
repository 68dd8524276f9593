//! In process, without the kernel and HTTP/1: time, instructions and allocations per response.

use std::process::Command;

use stack::CASES;

use crate::process::beside;
use crate::report::{replace, spread};
use crate::{Result, report};

const ROUNDS: usize = 5;
/// A name, a program, and its argument; the others are compared with the first.
const CANDIDATES: [(&str, &str, &str); 4] = [
    ("Enfilade", "stack-ours", "calls"),
    ("axum, `ServiceBuilder`", "stack-axum", "calls"),
    ("axum, a `layer` each", "stack-axum", "chained"),
    ("actix-web", "stack-actix", "calls"),
];

/// The cost of a response: nanoseconds, instructions of all threads, and allocations of all threads.
#[derive(Clone, Copy)]
struct Cost {
    time: f64,
    instructions: f64,
    allocations: f64,
}

/// Returns the number that a program prints.
pub fn number(command: &mut Command) -> Result<f64> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.trim().parse();
    number.map_err(|_| format!("{command:?}: {output:?}").into())
}

/// Returns the count per response of a script beside the programs' sources.
pub fn counted(script: &str, program: &str, mode: &str, case: &str, calls: u32) -> Result<f64> {
    let script = format!("{}/../../{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(script);
    command.env("FEW", calls.to_string()).arg(beside(program)?);
    number(command.args([mode, case]))
}

fn times(case: &str) -> Result<Vec<f64>> {
    let mut times = vec![Vec::new(); CANDIDATES.len()];
    for _ in 0..ROUNDS {
        for (times, (_, program, mode)) in times.iter_mut().zip(CANDIDATES) {
            times.push(number(Command::new(beside(program)?).args([mode, case]))?);
        }
    }
    Ok(times.into_iter().map(|times| spread(times).0).collect())
}

fn costs(case: &str, calls: u32) -> Result<Vec<Cost>> {
    let times = times(case)?.into_iter();
    let costs = CANDIDATES.iter().zip(times);
    let costs = costs.map(|((_, program, mode), time)| {
        Ok(Cost {
            time,
            instructions: counted("instructions.sh", program, mode, case, calls)?,
            allocations: counted("allocations.sh", program, mode, case, calls)?,
        })
    });
    costs.collect()
}

/// Measures all cases, prints a table, and writes it into `benches/README.md`.
pub fn run() -> Result<()> {
    let mut table = "| | | ns | of ours | instructions | of ours | allocations |\n|---|---|---|---|---|---|---|\n".to_owned();
    for case in &CASES {
        // A queue of lines grows to its full size in the first thousands of responses, which is not the cost of one.
        let calls = if case.is_compressed { 20 } else { 3000 };
        // The cost of making the request, which is subtracted.
        let request = costs(&format!("none-{}", case.name), calls)?;
        let costs = costs(case.name, calls)?;
        let costs: Vec<Cost> = costs.iter().zip(&request).map(less).collect();
        for ((name, _, _), cost) in CANDIDATES.iter().zip(&costs) {
            table += &format!(
                "| {} | {name} | {:.0} | {:.2} | {} | {:.2} | {} |\n",
                report::title(case),
                cost.time,
                cost.time / costs[0].time,
                cost.instructions,
                cost.instructions / costs[0].instructions,
                cost.allocations,
            );
        }
    }
    println!("{table}");
    replace("calls", &table)
}

fn less((cost, request): (&Cost, &Cost)) -> Cost {
    Cost {
        time: cost.time - request.time,
        instructions: cost.instructions - request.instructions,
        allocations: cost.allocations - request.allocations,
    }
}
