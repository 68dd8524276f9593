//! The logger around one route: `none | combined | json`; `json` is by `serde_json`.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderValue;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use http_body_util::BodyExt;
use tower::{Service, ServiceExt};

fn main() {
    let (appender, _guard) = tracing_appender::non_blocking(std::io::sink());
    let router = Router::new().route("/library/shelves/3", get(async || logging::TEXT));
    let mut router = match std::env::args().nth(1).as_deref() {
        None | Some("none") => router,
        Some(format) => router.layer(from_fn_with_state(
            (appender, format == "json"),
            log_axum::log,
        )),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let peer: SocketAddr = logging::PEER.parse().expect("an address");
    let mut router = router.as_service::<Body>();
    logging::measure(|| {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = "/library/shelves/3?page=2".parse().expect("a target");
        request.extensions_mut().insert(ConnectInfo(peer));
        for (name, value) in logging::HEADERS {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        runtime.block_on(async {
            let service = router.ready().await.expect("ready");
            let response = service.call(request).await.expect("a response");
            let body = response.into_body().collect().await;
            body.expect("no failure").to_bytes().len()
        })
    });
}
