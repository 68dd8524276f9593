//! Clients of upgrades over HTTP/2 that disconnect, stall or send odd requests.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod running;
}

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use enfilade::{Application, BodyEnd, Outcome, Request, Response, Server, Upgraded};
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, SendStream};
use http::Method;
use tokio::net::TcpStream;

use self::support::running::Running;

const PATIENCE: Duration = Duration::from_secs(20);

/// An application with these paths, and the outcomes of its responses: `/wait` reads nothing, `/close` closes its side
/// before, `/flood` writes for ever, `/echo` sends back all bytes.
fn paths() -> (Application, mpsc::Receiver<(String, BodyEnd)>) {
    let (sender, ends) = mpsc::channel();
    let app = Application::new(move |request: Request| -> Response {
        let (path, sender) = (request.path().to_owned(), sender.clone());
        let what = path.clone();
        let response = request
            .upgrade("echo")
            .unwrap()
            .respond(async move |upgraded| run(&what, upgraded).await);
        response.map(|body| body.on_end(move |end| sender.send((path, end)).unwrap()))
    });
    (app, ends)
}

async fn run(path: &str, mut upgraded: Upgraded) -> io::Result<()> {
    match path {
        "/wait" => pending().await,
        "/close" => {
            upgraded.close().await?;
            pending().await
        }
        "/flood" => loop {
            upgraded.write_all(&[b'x'; 100_000]).await?;
        },
        _ => {
            let mut buffer = [0; 16];
            loop {
                match upgraded.read(&mut buffer).await? {
                    0 => return upgraded.write_all(b"bye").await,
                    count => upgraded.write_all(&buffer[..count]).await?,
                }
            }
        }
    }
}

fn server() -> Server {
    let server = Server::bind("127.0.0.1:0").unwrap();
    server.shutdown_deadline(Duration::from_millis(50))
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let sender = sender.ready().await.unwrap();
    while !sender.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    sender
}

fn ask(
    sender: &mut SendRequest<Bytes>,
    path: &str,
    ends: bool,
    headers: &[(&'static str, &'static str)],
) -> (ResponseFuture, SendStream<Bytes>) {
    let mut request = http::Request::builder()
        .method(Method::CONNECT)
        .version(http::Version::HTTP_2)
        .uri(format!("http://h{path}"))
        .extension(Protocol::from_static("echo"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    sender
        .send_request(request.body(()).unwrap(), ends)
        .unwrap()
}

/// An upgraded stream.
async fn upgrade(
    sender: &mut SendRequest<Bytes>,
    path: &str,
) -> (h2::RecvStream, SendStream<Bytes>) {
    let (response, content) = ask(sender, path, false, &[]);
    let response = patiently(response).await.unwrap();
    assert_eq!(response.status(), 200);
    (response.into_body(), content)
}

async fn rest(body: &mut h2::RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(data) = patiently(body.data()).await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    all
}

async fn next(ends: &mpsc::Receiver<(String, BodyEnd)>) -> (String, Outcome) {
    let (path, end) = tokio::task::block_in_place(|| ends.recv_timeout(PATIENCE)).unwrap();
    (path, end.outcome())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_ends_its_task_and_no_other() {
    let (app, ends) = paths();
    let running = Running::serve(server(), app);
    let mut sender = connect(running.address()).await;
    let (mut echoes, mut content) = upgrade(&mut sender, "/echo").await;
    let (mut closed, mut open) = upgrade(&mut sender, "/close").await;
    // This side is closed, and the task goes on.
    assert!(rest(&mut closed).await.is_empty());
    for path in ["/wait", "/flood"] {
        let (_body, mut stream) = upgrade(&mut sender, path).await;
        stream.send_reset(Reason::CANCEL);
        let expected = (path.to_owned(), Outcome::Dropped);
        assert_eq!(next(&ends).await, expected);
    }
    open.send_data(Bytes::from_static(b"x"), false).unwrap();
    content
        .send_data(Bytes::from_static(b"Hello"), true)
        .unwrap();
    assert_eq!(rest(&mut echoes).await, b"Hellobye");
    assert_eq!(next(&ends).await, ("/echo".to_owned(), Outcome::Complete));
    assert!(ends.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_opens_no_window_is_dropped() {
    let (app, ends) = paths();
    let server = server().write_timeout(Duration::from_millis(300));
    let running = Running::serve(server, app);
    let mut sender = connect(running.address()).await;
    let (_body, _content) = upgrade(&mut sender, "/flood").await;
    assert_eq!(next(&ends).await, ("/flood".to_owned(), Outcome::Failed));
    // The connection still works.
    let (mut body, mut content) = upgrade(&mut sender, "/echo").await;
    content.send_data(Bytes::from_static(b"x"), true).unwrap();
    // Its window is full of data that the client does not read.
    assert_eq!(next(&ends).await.0, "/echo");
    drop((_body, _content));
    assert_eq!(rest(&mut body).await, b"xbye");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_gets_all() {
    let (app, _ends) = paths();
    let server = server().write_timeout(Duration::from_secs(2));
    let running = Running::serve(server, app);
    let mut sender = connect(running.address()).await;
    let (mut body, _content) = upgrade(&mut sender, "/flood").await;
    let mut taken = 0;
    while taken < 3_000_000 {
        let data = patiently(body.data()).await.unwrap().unwrap();
        assert!(data.iter().all(|byte| *byte == b'x'));
        taken += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_with_its_request_is_read_to_that_end() {
    let (app, ends) = paths();
    let running = Running::serve(server(), app);
    let mut sender = connect(running.address()).await;
    let (response, _) = ask(&mut sender, "/echo", true, &[]);
    let response = patiently(response).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(rest(&mut response.into_body()).await, b"bye");
    assert_eq!(next(&ends).await, ("/echo".to_owned(), Outcome::Complete));
    // An extended CONNECT has no content with a length of its own: hyper closes the connection, and only that.
    let mut other = connect(running.address()).await;
    let (response, _content) = ask(&mut other, "/echo", false, &[("content-length", "5")]);
    patiently(response).await.unwrap_err();
    let (mut body, mut content) = upgrade(&mut sender, "/echo").await;
    content.send_data(Bytes::from_static(b"x"), true).unwrap();
    assert_eq!(rest(&mut body).await, b"xbye");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_of_a_connection_are_upgraded_beside_each_other() {
    let (app, _ends) = paths();
    let running = Running::serve(server(), app);
    let mut sender = connect(running.address()).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(upgrade(&mut sender, "/echo").await);
    }
    for (number, (_, content)) in streams.iter_mut().enumerate() {
        content
            .send_data(Bytes::from(format!("{number}")), true)
            .unwrap();
    }
    for (number, (body, _)) in streams.iter_mut().enumerate() {
        assert_eq!(rest(body).await, format!("{number}bye").into_bytes());
    }
}
