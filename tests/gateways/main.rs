//! The same requests through every gateway: an application responds in the same way behind each of them.
//!
//! `tests/peers/gateways.rs` sends them through gateways behind a web server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests and their helpers")]

mod client;
mod compare;
#[path = "../support/every_response.rs"]
mod every_response;
mod suite;
#[expect(dead_code, reason = "it has the timeout of all tests")]
#[path = "../support/wire.rs"]
mod wire;

use std::net::SocketAddr;

use enfilade::tower::{AppService, application, layer};
use enfilade::{Connection, Scheme, Server};
use tower_http::trace::TraceLayer;

use self::compare::{Running, app, compare};

#[test]
fn the_built_in_server() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr();
    let _running =
        Running::start(|stopped| server.serve_until(app(), async { drop(stopped.await) }));
    compare("server", address, "", &[]);
}

fn axum_router() -> axum::Router {
    let service = AppService::new(app()).connection(|parts| {
        let peer = parts
            .extensions
            .get::<axum::extract::ConnectInfo<SocketAddr>>()?;
        Some(Connection::new(Scheme::Http).with_peer(peer.0))
    });
    axum::Router::new().fallback_service(service)
}

#[test]
fn a_service_under_axum() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _running = Running::start(async move |stopped| {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let service = axum_router().into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service)
            .with_graceful_shutdown(async { drop(stopped.await) })
            .await
    });
    compare("axum", address, "", &[]);
}

#[test]
fn an_axum_router_and_a_layer_under_the_built_in_server() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr();
    let inside = application(axum::Router::new().fallback_service(AppService::new(app())));
    let stack = inside.wrap(layer(TraceLayer::new_for_http()));
    let _running =
        Running::start(|stopped| server.serve_until(stack, async { drop(stopped.await) }));
    compare("axum inside", address, "", &[]);
}
