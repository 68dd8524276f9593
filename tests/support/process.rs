//! A server in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::wire::PATIENCE;

/// A process that is killed when this is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a program and waits until it prints its address.
    pub(crate) fn start(command: &mut Command) -> Process {
        let command = command.stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut process = Process {
            child,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            lines,
        };
        let line = process.wait_for_line("Serving on ");
        process.address = line.rsplit('/').next().unwrap().parse().unwrap();
        process
    }

    /// Starts one of the examples that `cargo test` builds.
    pub(crate) fn example(name: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new(Process::path(name));
        Process::start(command.args(arguments).stdin(Stdio::piped()))
    }

    /// Returns the path of an example.
    pub(crate) fn path(name: &str) -> PathBuf {
        // target/debug/deps/shutdown-0123456789abcdef
        let this = std::env::current_exe().unwrap();
        let program = this.ancestors().nth(2).unwrap().join("examples").join(name);
        assert!(
            program.exists(),
            "{} is missing; `cargo build --examples` makes it, and so does `cargo test` without `--test`",
            program.display()
        );
        program
    }

    /// Waits for a line that begins with `start`; skips those before it.
    pub(crate) fn wait_for_line(&self, start: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(_) => {}
                Err(error) => panic!("waited for {start:?}: {error}"),
            }
        }
    }

    /// Sends a signal, `TERM` for example.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        // The shell's own: a small system may have no program of that name.
        let script = r#"kill -s "$0" "$1""#;
        let status = Command::new("sh").args(["-c", script, name, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Waits until the process has ended, and returns the lines that it wrote since the last call.
    pub(crate) fn end(&mut self) -> (ExitStatus, Vec<String>) {
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if start.elapsed() > PATIENCE => panic!("the process does not end"),
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        (status, self.lines.iter().collect())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
