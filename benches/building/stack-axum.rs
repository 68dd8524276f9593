//! The stack of the README: axum and tower-http. Its log is the events of `TraceLayer`, without a subscriber:
//! `tracing-subscriber` would write them, but is not counted.

use std::error::Error;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::routing::get;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let library = Router::new().route(
        "/shelves/{shelf}",
        get(async |Path(shelf): Path<u32>| format!("Shelf {shelf}")),
    );
    let app = Router::new()
        .route("/", get(async || "Hello, world!"))
        .nest("/library", library)
        .fallback(async || (StatusCode::NOT_FOUND, "No such room"))
        .layer(CompressionLayer::new())
        .layer(SetResponseHeaderLayer::overriding(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        ))
        .layer(TraceLayer::new_for_http());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
