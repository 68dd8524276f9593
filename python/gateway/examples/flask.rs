//! Serves `/api` and `/about` in Rust and all other paths with Flask, with one log and gzip for all.
//!
//! Run `VIRTUAL_ENV=path/of/one/with/flask cargo run --example flask`, then `curl localhost:8000/greet/Ada`.

#![expect(clippy::print_stdout, reason = "the program prints its address")]

use enfilade::middleware::{AccessLog, Compression, Mounts, Router};
use enfilade::{Application, HttpError, Request, Server};
use enfilade_python::Wsgi;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flask = Wsgi::new("flask_app:app")
        .search_path(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))
        .threads(4)
        .application()?;
    let app = site(flask)?;
    println!("{}", app.describe());
    let address = std::env::args()
        .nth(1)
        .unwrap_or("127.0.0.1:8000".to_owned());
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    Ok(server.serve_forever(app)?)
}

fn site(flask: Application) -> Result<Application, Box<dyn std::error::Error>> {
    let api = Router::new().get(
        "/add/{a:int}/{b:int}",
        |request: Request| -> Result<String, HttpError> {
            let (a, b): (u32, u32) = (request.param("a")?, request.param("b")?);
            Ok(format!("{}\n", u64::from(a) + u64::from(b)))
        },
    );
    let about = Application::new(|_: Request| "Made of Rust and Python.\n");
    let mounts = Mounts::new()
        .at("/api", api.build()?)?
        .at("/about", about)?
        .otherwise(flask);
    Ok(Application::new(mounts)
        .wrap(Compression::new())
        .wrap(AccessLog::combined()))
}
