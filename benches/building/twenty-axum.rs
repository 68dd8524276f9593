//! An application with twenty wrappers: axum and tower-http.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::propagate_header::PropagateHeaderLayer;
use tower_http::request_id::{MakeRequestUuid, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

fn set(name: &'static str, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    let name = HeaderName::from_static(name);
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // One `ServiceBuilder` of these twenty took the compiler more than five minutes and nine gigabytes.
    let app = Router::new()
        .route("/", get(async || "Hello, world!"))
        .route(
            "/users/{id}",
            get(async |Path(id): Path<String>| format!("user {id}")),
        )
        .route("/users", post(async || "made"))
        .layer(RequestBodyLimitLayer::new(1 << 20))
        .layer(CompressionLayer::new())
        .layer(set("x-one", "1"))
        .layer(set("x-two", "2"))
        .layer(set("x-three", "3"))
        .layer(set("x-four", "4"))
        .layer(set("x-five", "5"))
        .layer(set("x-six", "6"))
        .layer(set("x-seven", "7"))
        .layer(set("x-eight", "8"))
        .layer(set("x-nine", "9"))
        .layer(set("x-ten", "10"))
        .layer(set("x-eleven", "11"))
        .layer(set("x-twelve", "12"))
        .layer(CorsLayer::permissive())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            Duration::from_secs(10),
        ))
        .layer(PropagateHeaderLayer::new(HeaderName::from_static(
            "x-tenant",
        )))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(CatchPanicLayer::new())
        .layer(TraceLayer::new_for_http());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
