//! The stack of the README: Enfilade.

use std::error::Error;

use enfilade::middleware::{AccessLog, Compression, Headers, NotFound, Router};
use enfilade::{Application, Pipeline, Request, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let library = Router::new().get("/shelves/{shelf:int}", |request: Request| {
        let shelf = request.param::<u32>("shelf");
        shelf.map(|shelf| format!("Shelf {shelf}"))
    });
    let router = Router::new()
        .get("/", |_: Request| "Hello, world!")
        .nest("/library", library);
    let house = Pipeline::new()
        .with(AccessLog::combined())
        .with(Headers::new().set("x-content-type-options", "nosniff")?)
        .with(Compression::new())
        .with(NotFound::new(Application::new(|_: Request| {
            (http::StatusCode::NOT_FOUND, "No such room")
        })));
    let app = router.build()?.wrap(house);
    Server::bind("127.0.0.1:8000")?.serve_forever(app)?;
    Ok(())
}
