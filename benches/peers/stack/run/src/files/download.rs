//! A long file over several connections at the same time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::candidates::Candidate;
use super::tree::LONG;
use crate::Result;
use crate::process::Server;

/// The connections of a download.
pub const CONNECTIONS: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(20);

/// The result of one round.
#[derive(Clone, Copy)]
pub struct Download {
    /// Megabytes per second, of all connections together.
    pub rate: f64,
    /// Milliseconds of the server's CPU for a gigabyte (2^30 bytes).
    pub cpu: f64,
    /// KiB by which its memory grew at most, for each connection.
    pub memory: f64,
}

/// The rounds of one candidate.
pub struct Downloads {
    /// The candidate.
    pub name: &'static str,
    /// In order, so that those with the same index were measured one after the other.
    pub rounds: Vec<Download>,
}

/// Reads the long file to its end; returns the number of its bytes.
fn download(address: SocketAddr) -> Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let request = format!("GET /1g HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut buffer = vec![0; 256 << 10];
    let (mut head, mut bytes) = (Vec::new(), 0);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(bytes);
        }
        if bytes > 0 {
            bytes += count as u64;
            continue;
        }
        head.extend_from_slice(&buffer[..count]);
        if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            if !head.starts_with(b"HTTP/1.1 200 ") {
                return Err(format!("{}", String::from_utf8_lossy(&head[..at])).into());
            }
            bytes = (head.len() - at - 4) as u64;
        }
    }
}

fn round(server: &Server) -> Result<Download> {
    server.forget_peak()?;
    let (memory, cpu, start) = (server.memory("VmRSS")?, server.cpu()?, Instant::now());
    let address = server.address;
    let clients = [(); CONNECTIONS]
        .map(|()| std::thread::spawn(move || download(address).map_err(|error| error.to_string())));
    for client in clients {
        let bytes = client.join().map_err(|_| "a client panicked")??;
        if bytes != LONG {
            return Err(format!("{bytes} bytes").into());
        }
    }
    let gigabytes = CONNECTIONS as f64;
    let bytes = gigabytes * LONG as f64;
    Ok(Download {
        rate: bytes / start.elapsed().as_secs_f64() / 1e6,
        cpu: (server.cpu()?.total - cpu.total) / 1e3 / gigabytes,
        memory: (server.memory("VmHWM")? - memory) / gigabytes,
    })
}

/// The rounds of each candidate that serves files.
pub fn measure(servers: &[(Candidate, Server)], rounds: usize) -> Result<Vec<Downloads>> {
    let servers = servers.iter().filter(|(one, _)| !one.is_constant);
    let mut all: Vec<_> = servers
        .map(|(candidate, server)| {
            let name = candidate.name;
            (
                server,
                Downloads {
                    name,
                    rounds: Vec::new(),
                },
            )
        })
        .collect();
    for _ in 0..rounds {
        for (server, downloads) in &mut all {
            let measured = round(server);
            let measured = measured.map_err(|error| format!("{}: {error}", downloads.name))?;
            downloads.rounds.push(measured);
        }
    }
    Ok(all.into_iter().map(|(_, downloads)| downloads).collect())
}
