//! Clients of upgrades over HTTP/1.1 that disconnect, stall or send odd requests.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod running;
}

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use enfilade::{
    Application, BodyEnd, IntoResponse, Outcome, Request, Response, Server, TokioStream, Upgraded,
};
use http::StatusCode;
use tokio::io::{copy, split};

use self::support::running::Running;

const PATIENCE: Duration = Duration::from_secs(20);
const ASK: &str = "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

fn echo(request: Request) -> Response {
    let Some(upgrade) = request.upgrade("echo") else {
        return (StatusCode::UPGRADE_REQUIRED, [("upgrade", "echo")], "").into_response();
    };
    upgrade.respond(async |connection| {
        let (mut reader, mut writer) = split(TokioStream::new(connection));
        copy(&mut reader, &mut writer).await.map(drop)
    })
}

/// An application, and the outcomes of its responses.
fn watched<F, R>(
    run: impl Fn(Upgraded) -> F + Clone + Send + Sync + 'static,
) -> (Application, mpsc::Receiver<BodyEnd>)
where
    F: Future<Output = std::io::Result<R>> + Send + 'static,
    R: Send + 'static,
{
    let (sender, ends) = mpsc::channel();
    let app = Application::new(move |request: Request| {
        let (run, sender) = (run.clone(), sender.clone());
        let upgrade = request.upgrade("echo").unwrap();
        let response = upgrade.respond(async move |upgraded| run(upgraded).await.map(drop));
        response.map(|body| body.on_end(move |end| sender.send(end).unwrap()))
    });
    (app, ends)
}

fn server() -> Server {
    Server::bind("127.0.0.1:0").unwrap()
}

fn connect(address: SocketAddr, request: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    client
}

/// Reads a head.
fn head(client: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn status(client: &mut impl Read) -> String {
    let head = head(client);
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn read(client: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

fn reset(client: TcpStream) {
    let socket = socket2::Socket::from(client);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// It waits for something other than the connection, like a task that only sends news.
#[test]
fn a_task_that_does_not_look_at_its_connection_ends_when_the_client_resets_it() {
    let (app, ends) =
        watched(async |_upgraded| std::future::pending::<std::io::Result<()>>().await);
    let server = server().shutdown_deadline(Duration::from_millis(50));
    let running = Running::serve(server, app);
    let mut client = connect(running.address(), ASK);
    assert_eq!(status(&mut client), "101");
    // A client that only closes its sending side still reads.
    let mut reader = connect(running.address(), ASK);
    assert_eq!(status(&mut reader), "101");
    reader.shutdown(Shutdown::Write).unwrap();
    reset(client);
    let end = ends.recv_timeout(PATIENCE).unwrap();
    assert_eq!(end.outcome(), Outcome::Dropped);
    assert!(ends.try_recv().is_err());
}

#[test]
fn another_task_that_keeps_the_connection_ends_with_the_client() {
    let (sender, gone) = mpsc::channel();
    let app = Application::new(move |request: Request| {
        let sender = sender.clone();
        request
            .upgrade("echo")
            .unwrap()
            .respond(async move |upgraded| {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = split(TokioStream::new(upgraded));
                    let _ = copy(&mut reader, &mut writer).await;
                    sender.send(()).unwrap();
                });
                Ok(())
            })
    });
    let server = server().shutdown_deadline(Duration::from_millis(50));
    let mut running = Running::serve(server, app);
    let mut client = connect(running.address(), ASK);
    assert_eq!(status(&mut client), "101");
    client.write_all(b"Hello").unwrap();
    assert_eq!(read(&mut client, 5), b"Hello");
    reset(client);
    gone.recv_timeout(PATIENCE).unwrap();
    // A server that stops does not wait for another task.
    let mut client = connect(running.address(), ASK);
    assert_eq!(status(&mut client), "101");
    running.stop();
    running.join();
}

#[test]
fn an_unread_response_is_complete_before_the_upgrade() {
    let (sender, called) = mpsc::channel();
    let page = vec![b'x'; 100 << 10];
    let length = page.len();
    let app = Application::new(move |request: Request| match request.path() {
        "/page" => page.clone().into_response(),
        _ => {
            sender.send(()).unwrap();
            echo(request)
        }
    });
    let running = Running::serve(server(), app);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.connect(&running.address().into()).unwrap();
    let mut client = TcpStream::from(socket);
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let both = format!("GET /page HTTP/1.1\r\nHost: h\r\n\r\n{ASK}ahead");
    client.write_all(both.as_bytes()).unwrap();
    called.recv_timeout(PATIENCE).unwrap();
    assert_eq!(status(&mut client), "200");
    assert_eq!(read(&mut client, length), vec![b'x'; length]);
    assert_eq!(status(&mut client), "101");
    client.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"ahead");
}

/// The rest of it would be read as the other protocol.
#[test]
fn a_body_that_was_dropped_unread_leaves_no_upgrade() {
    let app = Application::new(async |mut request: Request| {
        let mut body = request.take_body();
        if request.path() == "/part" {
            let _ = body.frame().await;
        }
        drop(body);
        echo(request)
    });
    let running = Running::serve(server(), app);
    for (target, framing, body) in [
        ("/drop", "Content-Length: 100", "GET /smuggled HTTP/1.1"),
        ("/part", "Content-Length: 100", "GET /smuggled HTTP/1.1"),
        ("/part", "Transfer-Encoding: chunked", "3\r\nabc\r\n"),
    ] {
        let ask = ASK.replace("/echo", target);
        let ask = ask.replace("Host", &format!("{framing}\r\nHost"));
        let mut client = connect(running.address(), &format!("{ask}{body}"));
        assert_eq!(status(&mut client), "426", "{target} {framing}");
    }
}

#[test]
fn a_client_that_waits_for_100_gets_it_before_the_101() {
    let app = Application::new(async |mut request: Request| {
        let body = request.take_body().collect(100).await.unwrap();
        assert_eq!(body, "abc");
        echo(request)
    });
    let running = Running::serve(server(), app);
    let ask = ASK.replace("Host", "Expect: 100-continue\r\nContent-Length: 3\r\nHost");
    let mut client = connect(running.address(), &ask);
    assert_eq!(head(&mut client), "http/1.1 100 continue\r\n\r\n");
    client.write_all(b"abcdef").unwrap();
    assert_eq!(status(&mut client), "101");
    assert_eq!(read(&mut client, 3), b"def");
}

#[test]
fn only_a_valid_upgrade_request_is_an_upgrade() {
    let running = Running::serve(server(), Application::new(echo));
    let many = format!(
        "Connection: upgrade\r\nUpgrade: {}echo",
        "ab,".repeat(2_000)
    );
    for (expected, version, lines) in [
        ("101", "1.1", "Connection: close, upgrade\r\nUpgrade: echo"),
        (
            "101",
            "1.1",
            "Connection: x\r\nConnection: UPGRADE\r\nUpgrade: other\r\nUpgrade: ECHO",
        ),
        ("101", "1.1", "Connection: upgrade\r\nUpgrade: , ,, echo,"),
        ("101", "1.1", &many),
        ("426", "1.0", "Connection: upgrade\r\nUpgrade: echo"),
        ("426", "1.1", "Connection: upgrade\r\nUpgrade: echo/1"),
        ("426", "1.1", "Connection: upgrade\r\nUpgrade: ,"),
        ("426", "1.1", "Connection: upgrade\r\nUpgrade: \"echo\""),
        ("426", "1.1", "Connection: upgrade\r\nUpgrade: \u{e9}, echo"),
        ("426", "1.1", "Connection: upgrade\r\nUpgrade:"),
        ("426", "1.1", "Connection: \"upgrade\"\r\nUpgrade: echo"),
        (
            "426",
            "1.1",
            "Connection: upgrade-insecure\r\nUpgrade: echo",
        ),
        ("426", "1.1", "Upgrade: echo"),
        ("426", "1.1", "Connection: upgrade"),
    ] {
        let ask = format!("GET / HTTP/{version}\r\nHost: h\r\n{lines}\r\n\r\n");
        let mut client = connect(running.address(), &ask);
        let head = head(&mut client);
        assert_eq!(head.split(' ').nth(1), Some(expected), "{lines}");
        if expected == "101" {
            assert!(head.contains("\r\nconnection: upgrade"), "{head}");
            client.write_all(b"x").unwrap();
            assert_eq!(read(&mut client, 1), b"x");
        }
    }
}

#[test]
fn a_client_that_reads_nothing_is_dropped() {
    let (app, ends) = watched(async |mut upgraded: Upgraded| -> std::io::Result<()> {
        loop {
            upgraded.write_all(&[b'x'; 64 * 1024]).await?;
        }
    });
    let server = server().write_timeout(Duration::from_millis(300));
    let running = Running::serve(server, app);
    let mut client = connect(running.address(), ASK);
    assert_eq!(status(&mut client), "101");
    let end = ends.recv_timeout(PATIENCE).unwrap();
    assert_eq!(end.outcome(), Outcome::Failed);
}

#[test]
fn an_upgraded_connection_is_one_of_those_that_are_limited() {
    let running = Running::serve(server().max_connections(1), Application::new(echo));
    let mut first = connect(running.address(), ASK);
    assert_eq!(status(&mut first), "101");
    let mut second = connect(running.address(), ASK);
    assert_eq!(status(&mut second), "503");
    first.write_all(b"x").unwrap();
    assert_eq!(read(&mut first, 1), b"x");
    first.shutdown(Shutdown::Write).unwrap();
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    drop(first);
    let before = Instant::now();
    while before.elapsed() < PATIENCE {
        let mut third = connect(running.address(), ASK);
        if status(&mut third) == "101" {
            return;
        }
    }
    panic!("its place is not free");
}
