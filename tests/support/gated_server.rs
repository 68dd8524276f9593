//! The program for the tests of signals: `/slow` responds when a line arrives on standard input.

#![expect(clippy::print_stdout, reason = "the test reads it")]

mod gated;

use std::io;
use std::sync::Arc;

use enfilade::Server;
use tokio::sync::Semaphore;

fn main() -> io::Result<()> {
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    std::thread::spawn(move || {
        // The end of the input opens the gate too: then the process that started this has ended.
        let _ = io::stdin().read_line(&mut String::new());
        opened.add_permits(1);
    });
    let server = Server::bind("127.0.0.1:0")?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(gated::gated(&gate, || println!("called")))
}
