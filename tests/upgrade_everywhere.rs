//! Upgrades over TLS, over HTTP/2, and with axum on either side.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod running;
}

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::{any, get};
use bytes::Bytes;
use enfilade::middleware::Router;
use enfilade::{
    Application, BodyEnd, Certificates, IntoResponse, Listener, Outcome, Request, Response, Server,
    TokioStream, tower,
};
use h2::client::SendRequest;
use h2::ext::Protocol;
use http::{Method, StatusCode};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use self::support::running::Running;

const PATIENCE: Duration = Duration::from_secs(20);
const ASK: &str = "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

fn echo(request: Request) -> Response {
    let Some(upgrade) = request.upgrade("echo") else {
        return (StatusCode::UPGRADE_REQUIRED, [("upgrade", "echo")], "").into_response();
    };
    upgrade.respond(async |connection| {
        let (mut reader, mut writer) = tokio::io::split(TokioStream::new(connection));
        tokio::io::copy(&mut reader, &mut writer).await?;
        writer.write_all(b"bye").await?;
        writer.shutdown().await
    })
}

/// With a router, as most applications are.
fn house() -> Application {
    Router::new()
        .get("/echo", echo)
        .get("/page", |_: Request| "page")
        .build()
        .unwrap()
}

fn watched(app: Application) -> (Application, mpsc::Receiver<BodyEnd>) {
    let (sender, ends) = mpsc::channel();
    let app = Application::new(move |request: Request| {
        let sender = sender.clone();
        app.call(request).map(move |response: Response| {
            response.map(|body| body.on_end(move |end| sender.send(end).unwrap()))
        })
    });
    (app, ends)
}

fn server() -> Server {
    Server::bind("127.0.0.1:0").unwrap()
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = patiently(stream.read_u8()).await;
        head.push(byte.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

/// An echo over HTTP/1.1.
async fn echoes(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    stream.write_all(ASK.as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    assert!(
        head.starts_with("http/1.1 101 ") && head.contains("\r\nupgrade: echo\r\n"),
        "{head}"
    );
    stream.write_all(b"Hello").await.unwrap();
    let mut buffer = [0; 5];
    patiently(stream.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(&buffer, b"Hello");
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    patiently(stream.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, "bye");
}

/// A client of HTTP/2, whose server supports extended CONNECT.
async fn http2(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = connect(address).await;
    let (sender, mut connection) = h2::client::handshake(stream).await.unwrap();
    let mut sender = sender;
    // The setting has arrived once there is a response.
    let ping = connection.ping_pong();
    tokio::spawn(connection);
    if let Some(mut ping) = ping {
        patiently(ping.ping(h2::Ping::opaque())).await.unwrap();
    }
    sender = sender.ready().await.unwrap();
    assert!(sender.is_extended_connect_protocol_enabled());
    sender
}

fn ask_for(target: &str, protocol: &'static str) -> http::Request<()> {
    http::Request::builder()
        .method(Method::CONNECT)
        .version(http::Version::HTTP_2)
        .uri(target)
        .extension(Protocol::from_static(protocol))
        .body(())
        .unwrap()
}

/// Sends an extended CONNECT, and some bytes; returns the status and all content.
async fn exchange(
    address: SocketAddr,
    target: &str,
    protocol: &'static str,
    parts: &[Vec<u8>],
) -> (u16, Vec<u8>) {
    let mut sender = http2(address).await;
    let request = ask_for(target, protocol);
    let (response, mut content) = sender.send_request(request, false).unwrap();
    let response = patiently(response).await.unwrap();
    let status = response.status().as_u16();
    assert!(!response.headers().contains_key("upgrade"));
    let mut body = response.into_body();
    let mut all = Vec::new();
    if status == 200 {
        for part in parts {
            content.send_data(Bytes::from(part.clone()), false).unwrap();
            let data = patiently(body.data()).await.unwrap().unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            all.extend_from_slice(&data);
        }
        content.send_data(Bytes::new(), true).unwrap();
    }
    while let Some(data) = patiently(body.data()).await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    (status, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2() {
    let (app, ends) = watched(house());
    let running = Running::serve(server(), app);
    let (address, parts) = (running.address(), [b"Hello".to_vec(), b"again".to_vec()]);
    let found = exchange(address, "http://h/echo", "ECHO", &parts).await;
    assert_eq!(found, (200, b"Helloagainbye".to_vec()));
    let end = ends.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (end.received(), end.bytes(), end.outcome()),
        (10, 13, Outcome::Complete)
    );
    // The application does not accept these.
    let unknown = "The protocol is not known here";
    for (target, protocol, status, text) in [
        ("http://h/page", "echo", 501, unknown),
        ("http://h/echo", "other", 426, ""),
        ("http://h/nothing", "echo", 404, ""),
    ] {
        let (found, content) = exchange(address, target, protocol, &[]).await;
        assert_eq!(found, status, "{target}");
        assert_eq!(String::from_utf8(content).unwrap(), text, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_http_2_ends_with_its_connection_and_with_the_server() {
    let waiting = Application::new(|request: Request| {
        let upgrade = request.upgrade("echo").unwrap();
        upgrade.respond(async |_| std::future::pending().await)
    });
    let (app, ends) = watched(waiting);
    let server = server().shutdown_deadline(Duration::from_millis(50));
    let mut running = Running::serve(server, app);
    for is_stopped in [false, true] {
        let stream = connect(running.address()).await;
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        while !sender.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let request = ask_for("http://h/", "echo");
        let (response, _content) = sender.send_request(request, false).unwrap();
        assert_eq!(patiently(response).await.unwrap().status(), 200);
        assert!(ends.try_recv().is_err());
        match is_stopped {
            false => connection.abort(),
            true => running.stop(),
        }
        let end = tokio::task::block_in_place(|| ends.recv_timeout(PATIENCE));
        assert_eq!(end.unwrap().outcome(), Outcome::Dropped);
    }
}

#[tokio::test]
async fn over_tls() {
    let key = rcgen::generate_simple_self_signed(["house.example".to_owned()]).unwrap();
    let place = std::env::temp_dir().join(format!("enfilade-upgrade-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let (certificate, secret) = (place.join("house.pem"), place.join("house.key"));
    std::fs::write(&certificate, key.cert.pem()).unwrap();
    std::fs::write(&secret, key.signing_key.serialize_pem()).unwrap();
    let certificates = Certificates::load(&certificate, &secret).unwrap();
    std::fs::remove_dir_all(&place).unwrap();
    let listener = Listener::tcp("127.0.0.1:0").unwrap().tls(certificates);
    let running = Running::serve(Server::new(listener), house());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("house.example").unwrap();
    let stream = connect(running.address()).await;
    echoes(connector.connect(name, stream).await.unwrap()).await;
}

/// axum on a runtime of the test.
async fn axum_serves(router: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    address
}

#[tokio::test]
async fn under_axum() {
    let (app, ends) = watched(house());
    let router = axum::Router::new().nest_service("/house", tower::AppService::new(app.clone()));
    let router = router.fallback_service(tower::AppService::new(app));
    let address = axum_serves(router).await;
    echoes(connect(address).await).await;
    let end = ends.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (end.received(), end.bytes(), end.outcome()),
        (5, 8, Outcome::Complete)
    );
    let mut plain = connect(address).await;
    plain
        .write_all(b"GET /echo HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let head = head(&mut plain).await;
    assert!(
        head.starts_with("http/1.1 426 ") && head.contains("\r\nupgrade: echo\r\n"),
        "{head}"
    );
}

/// Upper-case echo over axum's WebSockets.
fn sockets() -> axum::Router {
    let response = async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                if let Message::Text(text) = message {
                    let text = text.to_uppercase();
                    socket.send(Message::Text(text.into())).await.unwrap();
                }
            }
        })
    };
    let lie = async || (StatusCode::SWITCHING_PROTOCOLS, "");
    axum::Router::new()
        .route("/socket", any(response))
        .route("/lie", get(lie))
}

const WEBSOCKET: &str = "GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// `hello` and a close frame, under a mask of zeros.
const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";
const CLOSE: &[u8] = b"\x88\x80\0\0\0\0";

async fn speaks_websocket(address: SocketAddr) {
    let mut stream = connect(address).await;
    stream.write_all(WEBSOCKET.as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
        "{head}"
    );
    stream.write_all(HELLO).await.unwrap();
    let mut buffer = [0; 7];
    patiently(stream.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(&buffer, b"\x81\x05HELLO");
    stream.write_all(CLOSE).await.unwrap();
    let mut rest = Vec::new();
    patiently(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"\x88\0");
}

#[tokio::test]
async fn websockets_of_axum_run_here() {
    let (app, ends) = watched(tower::application(sockets()));
    let running = Running::serve(server(), app);
    speaks_websocket(running.address()).await;
    let end = ends.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (end.received(), end.bytes(), end.outcome()),
        (17, 9, Outcome::Complete)
    );
    let mut stream = connect(running.address()).await;
    let lie = WEBSOCKET.replace("/socket", "/lie");
    stream.write_all(lie.as_bytes()).await.unwrap();
    // The application has not taken the connection.
    assert!(head(&mut stream).await.starts_with("http/1.1 500 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_of_axum_run_here_over_http_2() {
    let running = Running::serve(server(), tower::application(sockets()));
    let parts = [HELLO.to_vec()];
    let target = "http://h/socket";
    let mut sender = http2(running.address()).await;
    let mut request = ask_for(target, "websocket");
    let version = http::HeaderValue::from_static("13");
    request
        .headers_mut()
        .insert("sec-websocket-version", version);
    let (response, mut content) = sender.send_request(request, false).unwrap();
    let response = patiently(response).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let [hello] = parts;
    content.send_data(hello.into(), false).unwrap();
    let data = patiently(body.data()).await.unwrap().unwrap();
    assert_eq!(data, b"\x81\x05HELLO"[..]);
}

#[tokio::test]
async fn websockets_of_axum_run_in_ours_in_axum() {
    let limit =
        tower_http::timeout::TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, PATIENCE);
    let ours = tower::application(sockets()).wrap(tower::layer(limit));
    let router = axum::Router::new().fallback_service(tower::AppService::new(ours));
    speaks_websocket(axum_serves(router).await).await;
}

#[tokio::test]
async fn a_layer_that_changes_bodies_leaves_an_upgrade() {
    let app = house().wrap(tower::layer(
        tower_http::map_response_body::MapResponseBodyLayer::new(|body: enfilade::Body| {
            axum::body::Body::new(body)
        }),
    ));
    let running = Running::serve(server(), app);
    echoes(connect(running.address()).await).await;
}
