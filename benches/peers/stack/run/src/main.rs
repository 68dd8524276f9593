//! Runs servers side by side: `socket [--quick]` the stacks over loopback, `calls` in process; `layers` for wrappers alone;
//! `files [--quick]` for files.
//!
//! `benches/run.sh`, `stack.sh`, `layers.sh` and `files.sh` build the programs, which are beside this one.

mod calls;
mod chart;
mod check;
mod files;
mod layers;
mod process;
mod report;
mod socket;

/// Any error; its text has the place.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["socket"] => socket::run(&socket::FULL),
        ["socket", "--quick"] => socket::run(&socket::QUICK),
        ["files"] => files::run(&files::FULL),
        ["files", "--quick"] => files::run(&files::QUICK),
        ["calls"] => calls::run(),
        ["layers"] => layers::run(),
        _ => Err("usage: stack-run socket [--quick] | calls | layers | files [--quick]".into()),
    }
}
