//! An application with the two-argument callable of WSGI.
//!
//! ```sh
//! cargo run --example wsgi --features wsgi
//! curl -i localhost:8000
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::env;
use std::io;

use enfilade::{Server, wsgi};

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let app = wsgi::application(|environ, start_response| {
        let (status, body) = match environ.get("PATH_INFO").as_deref() {
            Some("/") => ("200 OK", "<h1>Welcome to WSGI!</h1>"),
            _ => ("404 Not Found", "Page not found"),
        };
        start_response(status, &[("Content-Type", "text/html; charset=utf-8")])?;
        Ok([body])
    });
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app)
}
