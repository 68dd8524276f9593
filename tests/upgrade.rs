//! Upgrades of HTTP/1.1 connections behind the built-in server.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod running;
}

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use enfilade::middleware::{AccessLog, ConcurrencyLimit, Router};
use enfilade::{Application, BodyEnd, IntoResponse, Outcome, Request, Response, Server, Upgraded};
use http::StatusCode;

use self::support::running::Running;

const PATIENCE: Duration = Duration::from_secs(20);
const ASK: &str = "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

async fn copy(mut connection: Upgraded) -> io::Result<()> {
    let mut buffer = [0; 16];
    loop {
        match connection.read(&mut buffer).await? {
            0 => return connection.write_all(b"bye").await,
            count => connection.write_all(&buffer[..count]).await?,
        }
        connection.flush().await?;
    }
}

fn echo(request: Request) -> Response {
    match request.upgrade("echo") {
        Some(upgrade) => upgrade.respond(copy),
        None => (StatusCode::UPGRADE_REQUIRED, [("upgrade", "echo")], "").into_response(),
    }
}

/// An application, and the outcomes of its responses.
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

struct Lines(mpsc::Sender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in String::from_utf8_lossy(bytes).lines() {
            self.0.send(line.to_owned()).unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
fn head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn read(client: &mut TcpStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn rest(client: &mut TcpStream) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn an_echo_responds_until_its_client_closes() {
    let (app, ends) = watched(Application::new(echo));
    let running = Running::serve(server(), app);
    let mut client = connect(running.address(), ASK);
    let head = head(&mut client);
    assert!(
        head.starts_with("http/1.1 101 switching protocols\r\n"),
        "{head}"
    );
    for line in ["connection: upgrade", "upgrade: echo", "date: "] {
        assert!(head.contains(&format!("\r\n{line}")), "{head}");
    }
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"));
    for text in ["Hello", "GET / HTTP/1.1\r\n\r\n", "\0\n\n\u{7f}"] {
        client.write_all(text.as_bytes()).unwrap();
        assert_eq!(read(&mut client, text.len()), text);
    }
    assert!(ends.try_recv().is_err());
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), "bye");
    let end = ends.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (end.received(), end.bytes(), end.outcome()),
        (27, 30, Outcome::Complete)
    );
}

#[test]
fn bytes_sent_ahead_are_not_lost_or_parsed_as_http() {
    let running = Running::serve(server(), Application::new(echo));
    for ahead in [
        "x",
        "GET /#fragment HTTP/1.1\r\n\r\n",
        &"long".repeat(50_000),
    ] {
        let mut client = TcpStream::connect(running.address()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut writer = client.try_clone().unwrap();
        let sent = format!("{ASK}{ahead}");
        let writing = std::thread::spawn(move || {
            writer.write_all(sent.as_bytes()).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        assert!(head(&mut client).starts_with("http/1.1 101 "));
        assert_eq!(rest(&mut client), format!("{ahead}bye"));
        writing.join().unwrap();
    }
}

#[test]
fn without_an_upgrade_a_101_is_a_500_and_the_connection_stays() {
    let app = Application::new(|request: Request| match request.path() {
        "/101" => (StatusCode::SWITCHING_PROTOCOLS, [("upgrade", "echo")], "").into_response(),
        _ => echo(request),
    });
    let running = Running::serve(server(), app);
    let ask = "GET /101 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut client = connect(running.address(), ask);
    assert!(head(&mut client).starts_with("http/1.1 500 "));
    assert_eq!(read(&mut client, 21), "Internal Server Error");
    // One that gets a 426, one that asks without `Connection`, and one that does it right.
    let plain = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let alone = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\n\r\n";
    for request in [plain, alone] {
        client.write_all(request.as_bytes()).unwrap();
        let head = head(&mut client);
        assert!(head.starts_with("http/1.1 426 "), "{head}");
        assert!(
            head.contains("\r\nconnection: upgrade\r\n") && head.contains("\r\nupgrade: echo\r\n")
        );
    }
    client.write_all(ASK.as_bytes()).unwrap();
    assert!(head(&mut client).starts_with("http/1.1 101 "));
}

#[test]
fn a_body_comes_before_the_upgrade() {
    let app = Application::new(async |mut request: Request| {
        assert!(request.upgrade("echo").is_none());
        let body = request.take_body().collect(100).await.unwrap();
        let upgrade = request.upgrade("echo").unwrap();
        upgrade.respond(async move |mut connection| {
            connection.write_all(&body).await?;
            copy(connection).await
        })
    });
    let running = Running::serve(server(), app);
    let ask = "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 3\r\n\r\nabc";
    let mut client = connect(running.address(), ask);
    assert!(head(&mut client).starts_with("http/1.1 101 "));
    assert_eq!(read(&mut client, 3), "abc");
    client.write_all(b"d").unwrap();
    assert_eq!(read(&mut client, 1), "d");
}

#[test]
fn log_and_limit_see_the_end_of_the_conversation() {
    let (sender, lines) = mpsc::channel();
    let router = Router::new().get("/echo", echo).build().unwrap();
    let log = AccessLog::format("%r %>s %I %B").unwrap();
    let app = router
        .wrap(ConcurrencyLimit::new(1))
        .wrap(log.writer(Lines(sender)));
    let running = Running::serve(server(), app);
    let mut client = connect(running.address(), ASK);
    assert!(head(&mut client).starts_with("http/1.1 101 "));
    client.write_all(b"Hello").unwrap();
    assert_eq!(read(&mut client, 5), "Hello");
    let mut second = connect(running.address(), ASK);
    assert!(head(&mut second).starts_with("http/1.1 503 "));
    assert_eq!(
        lines.recv_timeout(PATIENCE).unwrap().trim_end(),
        format!("GET /echo HTTP/1.1 503 {} 19", ASK.len())
    );
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), "bye");
    assert_eq!(
        lines.recv_timeout(PATIENCE).unwrap().trim_end(),
        format!("GET /echo HTTP/1.1 101 {} 8", ASK.len() + 5)
    );
    let mut third = connect(running.address(), ASK);
    assert!(head(&mut third).starts_with("http/1.1 101 "));
}

#[test]
fn a_client_that_disconnects_ends_the_upgrade() {
    let (app, ends) = watched(Application::new(|request: Request| {
        let upgrade = request.upgrade("echo").unwrap();
        upgrade.respond(async |mut connection| {
            loop {
                connection.write_all(&[b'x'; 1024]).await?;
            }
        })
    }));
    let running = Running::serve(server(), app);
    let mut client = connect(running.address(), ASK);
    assert!(head(&mut client).starts_with("http/1.1 101 "));
    drop(client);
    assert_eq!(
        ends.recv_timeout(PATIENCE).unwrap().outcome(),
        Outcome::Dropped
    );
}

#[test]
fn a_panic_ends_one_conversation() {
    let (sender, panics) = mpsc::channel();
    let app = Application::new(|request: Request| match request.upgrade("boom") {
        Some(upgrade) => upgrade.respond(async |_| panic!("boom")),
        None => echo(request),
    });
    let server = server().on_panic(move |_| sender.send(()).unwrap());
    let running = Running::serve(server, app);
    let mut client = connect(running.address(), &ASK.replace(": echo", ": boom"));
    assert!(head(&mut client).starts_with("http/1.1 101 "));
    assert_eq!(rest(&mut client), "");
    panics.recv_timeout(PATIENCE).unwrap();
    let mut client = connect(running.address(), ASK);
    assert!(head(&mut client).starts_with("http/1.1 101 "));
}

#[test]
fn a_server_that_stops_lets_an_upgrade_finish() {
    let app = Application::new(|request: Request| {
        let (upgrade, connection) = (
            request.upgrade("echo").unwrap(),
            request.connection().clone(),
        );
        upgrade.respond(async move |mut upgraded| {
            connection.shutting_down().await;
            upgraded.write_all(b"closing").await
        })
    });
    let mut running = Running::serve(server(), app);
    let mut client = connect(running.address(), ASK);
    assert!(head(&mut client).starts_with("http/1.1 101 "));
    running.stop();
    assert_eq!(rest(&mut client), "closing");
    drop(client);
    running.join();
}

#[test]
fn at_its_deadline_a_server_aborts_an_upgrade() {
    let (app, ends) = watched(Application::new(echo));
    let mut running = Running::serve(server().shutdown_deadline(Duration::from_millis(50)), app);
    let mut client = connect(running.address(), ASK);
    assert!(head(&mut client).starts_with("http/1.1 101 "));
    running.stop();
    running.join();
    assert_eq!(
        ends.recv_timeout(PATIENCE).unwrap().outcome(),
        Outcome::Dropped
    );
    assert_eq!(rest(&mut client), "");
}

#[test]
fn a_spawned_future_outlives_its_response_and_the_server_waits() {
    let (sender, done) = mpsc::channel();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let opened = gate.clone();
    let app = Application::new(move |request: Request| {
        let (sender, gate) = (sender.clone(), opened.clone());
        let spawned = request.connection().spawn(async move {
            let _open = gate.acquire().await.unwrap();
            sender.send("done").unwrap();
        });
        spawned.map_or("nobody runs it", |()| "Hello")
    });
    let mut running = Running::serve(server(), app);
    let mut client = connect(
        running.address(),
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    );
    assert!(rest(&mut client).ends_with("Hello"));
    drop(client);
    running.stop();
    assert!(done.try_recv().is_err());
    gate.add_permits(1);
    assert_eq!(done.recv_timeout(PATIENCE), Ok("done"));
    running.join();
}
