//! The smallest program: an application of one line.
//!
//! ```sh
//! cargo run --example hello
//! curl -i localhost:8000
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::env;
use std::io;

use enfilade::{Request, Server};

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(|_: Request| "Hello, World!\n")
}
