//! An axum router, an Enfilade stack mounted in it, and an axum router mounted in that stack.
//!
//! ```sh
//! cargo run --example tower --features tower
//! curl -i --compressed localhost:8000/house/library/shelves/3
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::net::SocketAddr;
use std::{env, io};

use axum::extract::{ConnectInfo, OriginalUri, Path};
use axum::routing::get;
use enfilade::middleware::{Headers, NotFound, Router};
use enfilade::{Application, Connection, Request, Scheme, tower};
use tower_http::compression::CompressionLayer;

/// An Enfilade stack: routes and an axum router, inside wrappers and a layer of tower-http.
fn house() -> Result<Application, Box<dyn std::error::Error + Send + Sync>> {
    let shelf = async |Path(shelf): Path<u32>| format!("Shelf {shelf}\n");
    let library = axum::Router::new().route("/shelves/{shelf}", get(shelf));
    let hall = |request: Request| format!("The hall, at {}\n", request.script_name());
    let rooms = Router::new()
        .get("/", hall)
        .mount("/library", tower::application(library));
    let missing = |_: Request| (enfilade::http::StatusCode::NOT_FOUND, "No such room\n");
    Ok(rooms
        .build()?
        .wrap(NotFound::new(Application::new(missing)))
        .wrap(Headers::new().set("x-house", "enfilade")?)
        .wrap(tower::layer(CompressionLayer::new())))
}

/// The stack as a service, with the connection and the target from axum.
fn service(app: Application) -> tower::AppService {
    tower::AppService::new(app)
        .connection(|parts| {
            let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(Connection::new(Scheme::Http).with_peer(peer.0))
        })
        .original_uri(|parts| Some(parts.extensions.get::<OriginalUri>()?.0.clone()))
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let street = axum::Router::new()
        .route("/", get(async || "The street\n"))
        .nest_service("/house", service(house().map_err(io::Error::other)?));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("Serving on http://{}", listener.local_addr()?);
    let stopped = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(
        listener,
        street.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(stopped)
    .await
}
