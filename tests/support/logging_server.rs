//! The program for the tests of the access log: it logs to the file of its argument, and opens it anew on SIGHUP.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the test reads it"
)]

use std::env;
use std::io;

use enfilade::middleware::{AccessLog, LogFile};
use enfilade::{Application, Request, Server};

fn main() -> io::Result<()> {
    let path = env::args().nth(1).unwrap_or_default();
    let file = LogFile::open(path)?;
    let handle = file.handle();
    let log = AccessLog::format("%r %s").map_err(io::Error::other)?;
    let app = Application::new(|_: Request| "Hello").wrap(log.writer(file));
    let server = Server::bind("127.0.0.1:0")?.on_hangup(move || match handle.reopen() {
        Ok(()) => println!("opened anew"),
        Err(error) => eprintln!("{error}"),
    });
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app)
}
