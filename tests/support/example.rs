//! The examples, run as programs.

use super::process::Process;
use super::wire::{Wire, WireResponse};

/// Starts an example on a free port.
pub(crate) fn start(name: &str) -> Process {
    let process = Process::example(name, &["127.0.0.1:0"]);
    assert!(process.address.ip().is_loopback());
    assert_ne!(process.address.port(), 0);
    process
}

/// Sends one request and reads its response; `line` is the method and the target, `more` are header lines.
pub(crate) fn ask(wire: &mut Wire, line: &str, more: &str) -> WireResponse {
    wire.send(format!(
        "{line} HTTP/1.1\r\nHost: h\r\nUser-Agent: test/1\r\n{more}\r\n"
    ));
    if line.starts_with("HEAD ") {
        wire.head()
    } else {
        wire.response()
    }
}

/// Stops an example as a process manager does, and returns the lines that it wrote.
pub(crate) fn stop(mut process: Process) -> Vec<String> {
    process.signal("TERM");
    let (status, lines) = process.end();
    assert!(status.success(), "{status}");
    lines
}
