//! A FastCGI responder behind a web server.
//!
//! Run `cargo run --features fastcgi --example fastcgi 127.0.0.1:9000`, and configure nginx:
//!
//! ```nginx
//! location / {
//!     include fastcgi_params;
//!     fastcgi_pass 127.0.0.1:9000;
//! }
//! ```
//!
//! If the argument is a path, the program listens on a Unix socket (`fastcgi_pass unix:/run/house/socket;`). Without
//! an argument it takes the socket on standard input, which `spawn-fcgi -p 9000 -n -- target/debug/examples/fastcgi`
//! passes.

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::{env, io};

use enfilade::middleware::{AccessLog, Router};
use enfilade::{Application, Listener, Request, fastcgi};

fn app() -> io::Result<Application> {
    let guest = |request: Request| {
        request
            .param::<String>("name")
            .map(|name| format!("Good evening, {name}\n"))
    };
    let router = Router::new()
        .get("/", |_: Request| "Welcome\n")
        .get("/guests/{name}", guest);
    let router = router.build().map_err(io::Error::other)?;
    Ok(router.wrap(AccessLog::combined()))
}

fn main() -> io::Result<()> {
    let server = match env::args().nth(1) {
        Some(path) if path.starts_with('/') => fastcgi::Server::new(Listener::unix(path, 0o660)?),
        Some(address) => fastcgi::Server::bind(address)?,
        None => fastcgi::Server::new(Listener::from_stdin()?),
    };
    if let Some(address) = server.local_addr() {
        println!("Serving on fastcgi://{address}");
    }
    server.at_root().serve_forever(app()?)
}
