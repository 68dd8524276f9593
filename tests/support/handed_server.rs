//! The program for the test of restarts, with a socket that already listens: `/slow` takes a moment.

#![expect(clippy::print_stdout, reason = "the test reads it")]

use std::io;
use std::time::Duration;

use enfilade::{Application, Listener, Request, Server};

fn main() -> io::Result<()> {
    let given = Listener::inherited()?.into_iter().next();
    let listener = given.ok_or_else(|| io::Error::other("there is no socket"))?;
    let app = Application::new(|request: Request| async move {
        if request.path() == "/slow" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        format!("{}", std::process::id())
    });
    let server = Server::new(listener).notify_systemd();
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app)
}
