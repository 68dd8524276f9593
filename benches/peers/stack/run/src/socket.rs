//! Over loopback: the server on one core, the load generator on the other, in interleaved rounds.

use std::path::Path;

use stack::{CASES, Case};

use crate::process::{Server, beside};
use crate::report::{self, Measured, Round};
use crate::{Result, chart, check};

/// The size of the measurement, and whether it is written down.
pub struct Plan {
    rounds: usize,
    seconds: u32,
    is_written: bool,
}

/// For the tables.
pub const FULL: Plan = Plan {
    rounds: 5,
    seconds: 2,
    is_written: true,
};
/// For a first look.
pub const QUICK: Plan = Plan {
    rounds: 2,
    seconds: 1,
    is_written: false,
};

/// A server; the others are compared with the first.
pub struct Candidate {
    /// The name in the tables.
    pub name: &'static str,
    program: &'static str,
    mode: &'static str,
    /// Whether it compresses responses.
    compresses: bool,
    /// Whether it differs from a candidate before it only in the compressed case.
    is_for_gzip: bool,
}

const fn candidate(name: &'static str, program: &'static str) -> Candidate {
    Candidate {
        name,
        program,
        mode: "serve",
        compresses: true,
        is_for_gzip: false,
    }
}

/// All candidates.
pub const CANDIDATES: [Candidate; 9] = [
    Candidate {
        compresses: false,
        ..candidate("bare hyper", "stack-bare")
    },
    candidate("Enfilade", "stack-ours"),
    Candidate {
        is_for_gzip: true,
        ..candidate("Enfilade, libdeflate", "stack-libdeflate")
    },
    Candidate {
        mode: "memo",
        is_for_gzip: true,
        ..candidate("Enfilade, memo", "stack-ours")
    },
    candidate("axum, tower-http", "stack-axum"),
    candidate("actix-web", "stack-actix"),
    candidate("salvo", "stack-salvo"),
    candidate("poem", "stack-poem"),
    candidate("nginx", "nginx"),
];

impl Candidate {
    fn start(&self) -> Result<Server> {
        if self.program == "nginx" {
            return Server::start(Path::new("nginx"), nginx);
        }
        Server::start(&beside(self.program)?, |address| {
            Ok(vec![self.mode.to_owned(), address.to_owned()])
        })
    }

    fn is_asked(&self, case: &Case) -> bool {
        case.is_compressed || !self.is_for_gzip
    }
}

/// Writes nginx's files to a folder beside this program.
fn nginx(address: &str) -> Result<Vec<String>> {
    let folder = beside("nginx-of-the-benches")?;
    std::fs::create_dir_all(&folder)?;
    let configuration = include_str!("../../nginx.conf").replace("ADDRESS", address);
    std::fs::write(folder.join("nginx.conf"), configuration)?;
    std::fs::write(folder.join("data.json"), stack::data())?;
    let folder = folder.to_string_lossy().into_owned();
    let arguments = ["-p", &folder, "-c", "nginx.conf", "-e", "stderr"];
    Ok(arguments.map(str::to_owned).into())
}

fn round(server: &Server, case: &Case, seconds: u32) -> Result<Round> {
    let before = server.cpu()?;
    let load = server.load(&case.into(), seconds)?;
    let after = server.cpu()?;
    Ok(Round {
        rate: load.rate,
        cpu: (after.total - before.total) / load.requests,
        user: (after.user - before.user) / load.requests,
    })
}

/// The rounds of each candidate for one case.
fn measure(servers: &[Server], case: &'static Case, plan: &Plan) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    for (candidate, server) in CANDIDATES.iter().zip(servers) {
        if candidate.is_asked(case) {
            let bytes = check::check(server.address, case, candidate.compresses);
            let bytes =
                bytes.map_err(|error| format!("{} at {}: {error}", candidate.name, case.name))?;
            let measured = Measured {
                name: candidate.name,
                bytes,
                rounds: Vec::new(),
            };
            all.push((server, measured));
        }
    }
    for _ in 0..plan.rounds {
        for (server, measured) in &mut all {
            measured.rounds.push(round(server, case, plan.seconds)?);
        }
    }
    Ok(all.into_iter().map(|(_, measured)| measured).collect())
}

/// Measures all cases, and prints tables.
pub fn run(plan: &Plan) -> Result<()> {
    let servers: Result<Vec<Server>> = CANDIDATES.iter().map(Candidate::start).collect();
    let servers = servers?;
    let mut results = Vec::new();
    for case in &CASES {
        let measured = measure(&servers, case, plan)?;
        println!("{}", report::table(case, &measured));
        results.push((case, measured));
    }
    if plan.is_written {
        report::write(&results, plan.rounds, plan.seconds)?;
        chart::write(&results)?;
    }
    Ok(())
}
