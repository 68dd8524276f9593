//! The router and the server: axum.

use std::error::Error;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = Router::new()
        .route("/", get(async || "Hello, world!"))
        .route(
            "/users/{id}",
            get(async |Path(id): Path<String>| format!("user {id}")),
        )
        .route("/users", post(async || "made"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
