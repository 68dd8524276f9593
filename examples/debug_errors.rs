//! A small library that fails in two ways, with pages that show developers why.
//!
//! ```sh
//! cargo run --example debug_errors
//! curl localhost:8000/lend/Ada/x    # or in a browser
//! curl localhost:8000/shelves/7
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::env;
use std::error::Error;
use std::fmt;

use enfilade::middleware::{DebugErrors, RequestId, Router};
use enfilade::{HttpError, Request, Server};

const SHELVES: [&str; 3] = ["Poetry", "Travel", "Cookery"];

/// Why a loan failed.
#[derive(Debug)]
struct LoanError {
    reader: String,
    cause: std::num::ParseIntError,
}

impl fmt::Display for LoanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no book was lent to {:?}", self.reader)
    }
}

impl Error for LoanError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// An error with a cause: `/lend/Ada/x`.
fn lend(request: Request) -> Result<String, HttpError> {
    let reader = request.param::<String>("reader")?;
    let book = request.params().get("book").unwrap_or_default();
    match book.parse::<u32>() {
        Ok(book) => Ok(format!("{reader} has book {book}\n")),
        Err(cause) => Err(LoanError { reader, cause }.into()),
    }
}

/// A panic, because there are three shelves: `/shelves/7`.
fn shelf(request: Request) -> Result<&'static str, HttpError> {
    let number: usize = request.param("number")?;
    Ok(SHELVES[number])
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let app = Router::new()
        .get("/lend/{reader}/{book}", lend)
        .get("/shelves/{number:int}", shelf)
        .build()?;
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app.wrap(DebugErrors::new()?).wrap(RequestId::new()))?;
    Ok(())
}
