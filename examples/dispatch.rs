//! Components of three projects under one host, and the tree that they form.
//!
//! ```sh
//! cargo run --example dispatch
//! curl localhost:8000/shop/
//! curl -i localhost:8000/article7.html
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::env;
use std::error::Error;

use enfilade::middleware::{Cascade, NotFound, Pass, Redirect, Router, Slashes};
use enfilade::{Application, Reply, Request, Server};

/// The shop: a router with named routes, from which URLs are built.
fn shop() -> Router {
    let router = Router::new().get("/items/{id:int}", |request: Request| {
        request.param::<u64>("id").map(|id| format!("Item {id}\n"))
    });
    let router = router.name("item");
    let urls = router.urls();
    router.get("/", move |request: Request| {
        let first = urls.url_for("item", &[("id", "1")])?;
        Ok::<_, enfilade::HttpError>(format!("Try {}\n", request.url_for_path(&first)))
    })
}

/// The wiki: two stores of pages; the first may pass a request on to the second.
fn wiki() -> Cascade {
    let drafts = Application::new(|request: Request| match request.path() {
        "/enfilade" => Reply::new("A draft about doors\n"),
        _ => Reply::new(Pass),
    });
    let pages = Application::new(|request: Request| format!("The page {}\n", request.path_info()));
    Cascade::new([drafts, pages])
}

/// The old site, whose pages have moved.
fn old_site() -> Result<Application, Box<dyn Error>> {
    let rest = Application::new(|_: Request| Pass);
    Ok(rest.wrap(Redirect::permanent().rule("^/article([0-9]+)[.]html$", "/wiki/$1")?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let missing =
        Application::new(|_: Request| (enfilade::http::StatusCode::NOT_FOUND, "Nothing here\n"));
    let router = Router::new()
        .nest("/shop", shop())
        .mount("/wiki", wiki())
        .mount("/", old_site()?);
    let app = router
        .build()?
        .wrap(NotFound::new(missing))
        .wrap(Slashes::merged());
    print!("{}", app.describe());
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app)?;
    Ok(())
}
