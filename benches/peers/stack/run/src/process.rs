//! The servers as processes, pinned to one core, and the output of the load generator on another.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stack::Case;

use crate::Result;

/// The requests of a load: all are the same.
pub struct Requests<'a> {
    /// The target.
    pub path: &'a str,
    /// The headers, without `Host`.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The status of each response.
    pub status: u16,
}

impl From<&Case> for Requests<'static> {
    fn from(case: &Case) -> Requests<'static> {
        Requests {
            path: case.path,
            headers: case.headers.to_vec(),
            status: case.status,
        }
    }
}

/// The core of the servers, and the core of the load generator.
const CORES: [&str; 2] = ["0", "1"];
/// The unit of `/proc/PID/stat`: for programs it is fixed at 100 a second.
const TICK_US: f64 = 10_000.0;

/// A server process, which ends when this value is dropped, and when this program ends, for any reason.
pub struct Server {
    child: Child,
    /// The address that it listens on.
    pub address: SocketAddr,
}

/// The CPU time of a server, in microseconds.
#[derive(Clone, Copy)]
pub struct Cpu {
    /// Of all its threads, in the kernel too.
    pub total: f64,
    /// In the program alone.
    pub user: f64,
}

/// The counts of the load generator.
#[derive(Clone, Copy)]
pub struct Load {
    /// Requests that got a response.
    pub requests: f64,
    /// Requests per second.
    pub rate: f64,
}

/// Returns the path of a program beside this one.
pub fn beside(program: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(program))
}

/// No other process takes the port before a server has it.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn pinned(core: &str, program: &Path) -> Command {
    // Both end in `exec`, so that the process is the program itself.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "taskset", "--cpu-list", core])
        .arg(program)
        .stdin(Stdio::null());
    command
}

impl Server {
    /// Starts the server with its arguments, which contain its address, and waits until it listens.
    pub fn start(
        program: &Path,
        arguments: impl Fn(&str) -> Result<Vec<String>>,
    ) -> Result<Server> {
        let address = free_address()?;
        let arguments = arguments(&address.to_string())?;
        let child = pinned(CORES[0], program).args(arguments).spawn()?;
        let mut server = Server { child, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{} ended: {status}", program.display()).into());
            }
            if started.elapsed() > Duration::from_secs(10) {
                return Err(format!("{} does not listen", program.display()).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Returns the CPU time since the start.
    pub fn cpu(&self) -> Result<Cpu> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program, in parentheses, may have spaces; utime and stime are the 14th and the 15th field.
        let (_, rest) = text.rsplit_once(") ").ok_or("a line without a name")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let (user, system): (f64, f64) = (fields[11].parse()?, fields[12].parse()?);
        Ok(Cpu {
            total: (user + system) * TICK_US,
            user: user * TICK_US,
        })
    }

    /// Returns a line of the kernel's facts about the process, such as `VmRSS`, in KiB.
    pub fn memory(&self, name: &str) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.strip_prefix(':')?.trim().strip_suffix(" kB"));
        Ok(number.ok_or_else(|| format!("no {name}"))?.parse()?)
    }

    /// Makes `VmHWM`, the peak, what `VmRSS` is now.
    pub fn forget_peak(&self) -> Result<()> {
        let file = format!("/proc/{}/clear_refs", self.child.id());
        Ok(std::fs::write(file, "5")?)
    }

    /// Sends requests for so many seconds, over 32 connections.
    pub fn load(&self, requests: &Requests<'_>, seconds: u32) -> Result<Load> {
        let limit = (seconds + 10).to_string();
        let mut command = pinned(CORES[1], Path::new("timeout"));
        command.args(["--foreground", "--kill-after=1", &limit]);
        command.args(["wrk", "--threads=1", "--connections=32", "--timeout=5s"]);
        command.arg(format!("--duration={seconds}s"));
        for (name, value) in &requests.headers {
            command.arg(format!("--header={name}: {value}"));
        }
        let output = command
            .arg(format!("http://{}{}", self.address, requests.path))
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        count(&text, requests.status)
            .ok_or_else(|| format!("wrk for {}: {output:?}", requests.path).into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If that fails, it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns `None` if the report is not one of a run in which each response had this status.
fn count(report: &str, status: u16) -> Option<Load> {
    let line = |has: &str| {
        report
            .lines()
            .map(str::trim)
            .find(|line| line.contains(has))
    };
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let requests = number(line(" requests in ")?.split(' ').next()?)?;
    let rate = number(line("Requests/sec:")?.split_once(':')?.1)?;
    let others = match line("Non-2xx or 3xx responses:") {
        Some(line) => number(line.split_once(':')?.1)?,
        None => 0.0,
    };
    let expected = if status < 400 { 0.0 } else { requests };
    let is_right = requests > 0.0 && others == expected && line("Socket errors:").is_none();
    is_right.then_some(Load { requests, rate })
}
