//! Four wrappers around a router with a nested router.
//!
//! ```sh
//! cargo run --example pipeline
//! curl -i --compressed localhost:8000/library/shelves/3
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::env;
use std::error::Error;

use enfilade::http::StatusCode;
use enfilade::middleware::{AccessLog, Compression, Headers, NotFound, Router};
use enfilade::{Application, Pipeline, Request, Server};

/// The wrappers that every application of this house gets, outermost first; projects can share them.
fn house() -> Result<Pipeline, Box<dyn Error>> {
    let headers = Headers::new()
        .set("x-content-type-options", "nosniff")?
        .set("referrer-policy", "no-referrer")?
        .default("cache-control", "no-cache")?;
    let missing = Application::new(|request: Request| {
        let text = format!("There is no {} here\n", request.uri().path());
        (StatusCode::NOT_FOUND, text)
    });
    Ok(Pipeline::new()
        .with(AccessLog::combined())
        .with(headers)
        .with(Compression::new())
        .with(NotFound::new(missing)))
}

/// An application of its own, which does not know its mount prefix.
fn library() -> Router {
    let shelf = |request: Request| {
        let shelf = request.params().get("shelf").unwrap_or_default().to_owned();
        let entrance = request.url_for_path("/");
        format!("A book on shelf {shelf}; the entrance is {entrance}\n").repeat(50)
    };
    Router::new()
        .get("/", |request: Request| {
            format!("The library at {}\n", request.script_name())
        })
        .get("/shelves/{shelf}", shelf)
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let router = Router::new()
        .get("/", |_: Request| "Welcome to the house\n")
        .post("/guests/{name}", |request: Request| {
            let name = request.params().get("name").unwrap_or_default().to_owned();
            (StatusCode::CREATED, format!("Good evening, {name}\n"))
        })
        .nest("/library", library());
    let app = router.build()?.wrap(house()?);
    print!("{}", app.describe());
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app)?;
    Ok(())
}
