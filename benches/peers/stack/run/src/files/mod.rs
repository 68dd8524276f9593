//! Servers of files: short files, 304s, a long download, and the first response of a large tree.

mod candidates;
mod download;
mod report;
mod start;
mod tree;

use std::net::SocketAddr;

use self::candidates::Candidate;
use self::tree::Tree;
use crate::process::{Requests, Server};
use crate::report::{Measured, Round};
use crate::{Result, check};

/// The size of the measurement, and whether it is written down.
pub struct Plan {
    rounds: usize,
    seconds: u32,
    downloads: usize,
    starts: usize,
    is_written: bool,
}

/// For the tables.
pub const FULL: Plan = Plan {
    rounds: 7,
    seconds: 2,
    downloads: 5,
    starts: 31,
    is_written: true,
};
/// For a first look.
pub const QUICK: Plan = Plan {
    rounds: 2,
    seconds: 1,
    downloads: 1,
    starts: 5,
    is_written: false,
};

/// A load of many short responses.
pub struct Case {
    /// The heading in the tables.
    pub title: &'static str,
    file: &'static str,
    is_known: bool,
}

const CASES: [Case; 3] = [
    Case {
        title: "1 KiB",
        file: "1k",
        is_known: false,
    },
    Case {
        title: "1 KiB with `If-None-Match`: 304",
        file: "1k",
        is_known: true,
    },
    Case {
        title: "100 KiB",
        file: "100k",
        is_known: false,
    },
];

/// The conditional header of a client that has the file: by its tag if the server sends one, otherwise by its time.
fn condition(reply: &check::Reply) -> Result<(&'static str, String)> {
    match (
        reply.values("etag").first(),
        reply.values("last-modified").first(),
    ) {
        (Some(tag), _) => Ok(("if-none-match", (*tag).to_owned())),
        (None, Some(time)) => Ok(("if-modified-since", (*time).to_owned())),
        (None, None) => Err("neither a tag nor a time".into()),
    }
}

/// Checks the responses to a case. Returns the condition of its requests.
fn check(
    address: SocketAddr,
    case: &Case,
    path: &str,
    is_constant: bool,
    content: &[u8],
) -> Result<Option<(&'static str, String)>> {
    let mut requests = Requests {
        path,
        headers: Vec::new(),
        status: 200,
    };
    let reply = check::ask(address, &requests)?;
    if reply.status != 200 || reply.body != content {
        return Err(format!("{} {} bytes", reply.status, reply.body.len()).into());
    }
    if !case.is_known {
        return Ok(None);
    }
    if is_constant {
        // It gets the same requests as the file, and need not look at them.
        let file = format!("/{}", case.file);
        return check(address, case, &file, false, content);
    }
    let (name, value) = condition(&reply)?;
    requests.headers.push((name, &value));
    let reply = check::ask(address, &requests)?;
    if reply.status != 304 || !reply.body.is_empty() {
        return Err(format!("{} to {name}: {value}", reply.status).into());
    }
    Ok(Some((name, value)))
}

/// The rounds of each candidate for one case.
fn measure(
    servers: &[(Candidate, Server)],
    tree: &Tree,
    case: &Case,
    plan: &Plan,
) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    for (candidate, server) in servers {
        if candidate.is_constant && case.file != "1k" {
            continue;
        }
        let path = match candidate.is_constant {
            true => "/constant".to_owned(),
            false => format!("/{}", case.file),
        };
        let content = std::fs::read(tree.folder.join(case.file))?;
        let condition = check(server.address, case, &path, candidate.is_constant, &content)
            .map_err(|error| format!("{} at {path}: {error}", candidate.name))?;
        let measured = Measured {
            name: candidate.name,
            bytes: content.len(),
            rounds: Vec::new(),
        };
        let status = match case.is_known && !candidate.is_constant {
            true => 304,
            false => 200,
        };
        all.push((server, path, status, condition, measured));
    }
    for _ in 0..plan.rounds {
        for (server, path, status, condition, measured) in &mut all {
            let headers = condition
                .iter()
                .map(|(name, value)| (*name, value.as_str()));
            let requests = Requests {
                path,
                headers: headers.collect(),
                status: *status,
            };
            let before = server.cpu()?;
            let load = server.load(&requests, plan.seconds)?;
            let after = server.cpu()?;
            measured.rounds.push(Round {
                rate: load.rate,
                cpu: (after.total - before.total) / load.requests,
                user: (after.user - before.user) / load.requests,
            });
        }
    }
    Ok(all.into_iter().map(|(.., measured)| measured).collect())
}

/// Measures all, and prints tables.
pub fn run(plan: &Plan) -> Result<()> {
    let tree = Tree::new()?;
    let started = start::measure(&candidates::all(), &tree, plan.starts)?;
    let servers: Result<Vec<_>> = candidates::all()
        .into_iter()
        .map(|candidate| {
            let server = candidate.start(&tree)?;
            Ok((candidate, server))
        })
        .collect();
    let servers = servers?;
    let downloads = download::measure(&servers, plan.downloads)?;
    let mut results = Vec::new();
    for case in &CASES {
        results.push((case, measure(&servers, &tree, case, plan)?));
    }
    let text = report::text(plan, &results, &downloads, &started)?;
    println!("{text}");
    if plan.is_written {
        crate::report::replace("files", &text)?;
        report::draw(&results, &downloads)?;
    }
    Ok(())
}
