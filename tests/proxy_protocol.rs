//! A proxy in front that sends the address of its client.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod running;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::io::Read;

use enfilade::{Application, Listener, Request, Server};

use self::support::running::Running;
use self::support::wire::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

#[test]
fn a_proxy_sends_the_address_of_its_client() {
    let app = || {
        Application::new(|request: Request| {
            let address = |address: Option<std::net::SocketAddr>| address.unwrap().to_string();
            let connection = request.connection();
            format!(
                "{} {}",
                address(connection.peer()),
                address(connection.local())
            )
        })
    };
    let serve = |network| {
        let listener = Listener::tcp("127.0.0.1:0").unwrap();
        Running::serve(
            Server::new(listener.proxy_protocol([network]).unwrap()),
            app(),
        )
    };
    let trusting = serve("127.0.0.0/8");
    for header in [
        &b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\0\x50",
    ] {
        let mut wire = Wire::connect(trusting.address());
        wire.send(header);
        assert_eq!(
            wire.send(GET).response().text(),
            "192.0.2.7:4711 10.0.0.1:80"
        );
    }
    // A trusted proxy that sends no address is not served, and an address from other peers is not used.
    let mut wire = Wire::connect(trusting.address());
    wire.send(GET);
    assert!(matches!(wire.stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    let other = serve("192.0.2.0/24");
    let mut wire = Wire::connect(other.address());
    let own = wire.stream.local_addr().unwrap();
    let expected = format!("{own} {}", other.address());
    assert_eq!(wire.send(GET).response().text(), expected);
    let mut wire = Wire::connect(other.address());
    wire.send("PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n");
    assert_eq!(wire.send(GET).line(), "HTTP/1.1 400 Bad Request");
}

#[test]
fn a_listener_with_the_proxy_protocol_works_only_with_http() {
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    let server = enfilade::fastcgi::Server::new(listener.proxy_protocol(["10.0.0.0/8"]).unwrap());
    let error = server
        .serve_forever(Application::new(|_: Request| ""))
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "a listener with the PROXY protocol only works with HTTP"
    );
}
