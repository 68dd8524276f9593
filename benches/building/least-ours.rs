//! The router and the server: Enfilade.

use std::error::Error;

use enfilade::middleware::Router;
use enfilade::{Request, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let app = Router::new()
        .get("/", |_: Request| "Hello, world!")
        .get("/users/{id}", |request: Request| {
            format!("user {}", request.params().get("id").unwrap_or_default())
        })
        .post("/users", async |_: Request| "made")
        .build()?;
    Server::bind("127.0.0.1:8000")?.serve_forever(app)?;
    Ok(())
}
