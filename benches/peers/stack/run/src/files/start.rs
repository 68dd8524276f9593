//! The time from the start of a process to its first response from a large tree.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

use super::candidates::Candidate;
use super::tree::Tree;
use crate::process::{Requests, free_address};
use crate::{Result, check};

/// The times of one candidate, in milliseconds.
pub struct Starts {
    /// The candidate.
    pub name: &'static str,
    /// In order.
    pub rounds: Vec<f64>,
}

/// A process that ends when this is dropped.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // If that fails, it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Moves this thread to a core; processes that it starts then are on it.
fn to_core(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// Starts a server on its core, and asks it from the other until it responds.
fn round(candidate: &Candidate, tree: &Tree) -> Result<f64> {
    let address = free_address()?;
    let arguments = candidate.arguments(tree, &address.to_string())?;
    let mut command = Command::new(candidate.program()?);
    command.args(arguments).stdin(Stdio::null());
    to_core(0)?;
    let start = Instant::now();
    let process = command.spawn().map(Started);
    to_core(1)?;
    let _process = process?;
    while TcpStream::connect(address).is_err() {
        if start.elapsed() > Duration::from_secs(10) {
            return Err(format!("{} does not listen", candidate.name).into());
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    let requests = Requests {
        path: "/many/42/17",
        headers: Vec::new(),
        status: 200,
    };
    let reply = check::ask(address, &requests)?;
    let taken = start.elapsed().as_secs_f64() * 1e3;
    match (reply.status, reply.body.len()) {
        (200, 1024) => Ok(taken),
        other => Err(format!("{}: {other:?}", candidate.name).into()),
    }
}

/// The rounds of each candidate that serves files.
pub fn measure(candidates: &[Candidate], tree: &Tree, rounds: usize) -> Result<Vec<Starts>> {
    let candidates = candidates.iter().filter(|one| !one.is_constant);
    let mut all: Vec<_> = candidates
        .map(|candidate| {
            let name = candidate.name;
            (
                candidate,
                Starts {
                    name,
                    rounds: Vec::new(),
                },
            )
        })
        .collect();
    for _ in 0..rounds {
        for (candidate, starts) in &mut all {
            starts.rounds.push(round(candidate, tree)?);
        }
    }
    Ok(all.into_iter().map(|(_, starts)| starts).collect())
}
