//! axum and tower-http: `serve ADDRESS | calls CASE | chained CASE`. `chained` has a `Router::layer` for each wrapper,
//! the others have one `ServiceBuilder`.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::BodyExt;
use stack::{Case, HEADERS, MISSING, RESOURCES, TEXT};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tracing_appender::non_blocking::NonBlocking;

fn api() -> Router {
    RESOURCES.iter().fold(Router::new(), |router, resource| {
        router
            .route(&format!("/{resource}"), get(async || *resource))
            .route(
                &format!("/{resource}/{{id}}"),
                get(async |Path(id): Path<String>| stack::one(resource, &id)),
            )
    })
}

fn routes() -> Router {
    let data = Bytes::from(stack::data());
    let json = [(CONTENT_TYPE, "application/json")];
    Router::new()
        .route("/", get(async || TEXT))
        .route(
            "/users/{id}",
            get(async |Path(id): Path<String>| stack::user(&id)),
        )
        .route("/data", get(async move || (json, data.clone())))
        .nest("/api", api())
        .fallback(async || (StatusCode::NOT_FOUND, MISSING))
}

fn header(at: usize) -> SetResponseHeaderLayer<HeaderValue> {
    let (name, value) = HEADERS[at];
    let (name, value) = (
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    );
    SetResponseHeaderLayer::overriding(name, value)
}

fn stacked(appender: NonBlocking) -> Router {
    routes().layer(
        ServiceBuilder::new()
            .layer(from_fn_with_state((appender, false), log_axum::log))
            .layer(header(0))
            .layer(header(1))
            .layer(header(2))
            .layer(CompressionLayer::new()),
    )
}

fn chained(appender: NonBlocking) -> Router {
    routes()
        .layer(CompressionLayer::new())
        .layer(header(2))
        .layer(header(1))
        .layer(header(0))
        .layer(from_fn_with_state((appender, false), log_axum::log))
}

fn request(case: &Case, peer: SocketAddr) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = axum::http::Uri::from_static(case.path);
    request.extensions_mut().insert(ConnectInfo(peer));
    let host = ("host", "localhost:8000");
    for (name, value) in std::iter::once(&host).chain(case.headers) {
        let name = HeaderName::from_static(name);
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    request
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let of = |at: usize| arguments.get(at).map_or("", |text| text);
    let (appender, _guard) = tracing_appender::non_blocking(std::io::sink());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    if of(1) == "serve" {
        let app = stacked(appender).into_make_service_with_connect_info::<SocketAddr>();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(of(2)).await;
            let listener = listener.expect("a free address");
            axum::serve(listener, app).await.expect("no failure");
        });
        return;
    }
    let mut router = match of(1) {
        "chained" => chained(appender),
        _ => stacked(appender),
    };
    let mut service = router.as_service::<Body>();
    let peer: SocketAddr = stack::PEER.parse().expect("an address");
    stack::measure(|case, is_asked| {
        let request = request(case, peer);
        if !is_asked {
            return (0, usize::from(request.method() == "POST"));
        }
        runtime.block_on(async {
            let service = service.ready().await.expect("ready");
            let response = service.call(request).await.expect("a response");
            let status = response.status().as_u16();
            let body = response.into_body().collect().await;
            (status, body.expect("no failure").to_bytes().len())
        })
    });
}
