//! Services that keep reading after they have written everything, and those that just close.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod running;
}

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use enfilade::{Application, BodyEnd, Outcome, Request, Response, Server, tower};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::support::running::Running;

const PATIENCE: Duration = Duration::from_secs(20);

/// A service that sends a greeting, and closes its side; `/stay` then reads to the end, and reports what it read.
fn service(sender: mpsc::Sender<String>) -> axum::Router {
    let speak = async move |mut request: axum::extract::Request| {
        let (upgrade, sender) = (hyper::upgrade::on(&mut request), sender.clone());
        let stays = request.uri().path() == "/stay";
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            stream.write_all(b"Hello").await?;
            if stays {
                stream.shutdown().await?;
                let mut all = String::new();
                stream.read_to_string(&mut all).await?;
                sender.send(all).unwrap();
            }
            io::Result::Ok(())
        });
        let headers = [("connection", "upgrade"), ("upgrade", "tunnel")];
        (StatusCode::SWITCHING_PROTOCOLS, headers, "")
    };
    axum::Router::new().fallback(speak)
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

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

/// A client that has read everything.
async fn client(address: SocketAddr, path: &str, upgrade: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut all = String::new();
    patiently(stream.read_to_string(&mut all)).await.unwrap();
    assert!(all.starts_with("HTTP/1.1 101 "), "{all}");
    assert!(all.ends_with("\r\n\r\nHello"), "{all}");
    stream
}

#[tokio::test]
async fn a_service_that_has_written_all_still_reads() {
    let (sender, read) = mpsc::channel();
    let (app, ends) = watched(tower::application(service(sender)));
    let running = Running::serve(Server::bind("127.0.0.1:0").unwrap(), app);
    let mut stream = client(running.address(), "/stay", "tunnel").await;
    for part in ["and ", "later"] {
        stream.write_all(part.as_bytes()).await.unwrap();
    }
    assert!(ends.try_recv().is_err());
    stream.shutdown().await.unwrap();
    assert_eq!(read.recv_timeout(PATIENCE).unwrap(), "and later");
    let end = ends.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (end.received(), end.bytes(), end.outcome()),
        (9, 5, Outcome::Complete)
    );
}

#[tokio::test]
async fn a_closed_service_ends_the_upgrade_while_its_client_is_silent() {
    let (sender, _read) = mpsc::channel();
    let (app, ends) = watched(tower::application(service(sender)));
    let running = Running::serve(Server::bind("127.0.0.1:0").unwrap(), app);
    // So many members that comparing each with all others would take too long.
    let many = format!("{}tunnel", "a,".repeat(4_000));
    for upgrade in ["tunnel", &many] {
        let stream = client(running.address(), "/go", upgrade).await;
        let end = ends.recv_timeout(PATIENCE).unwrap();
        assert_eq!((end.bytes(), end.outcome()), (5, Outcome::Complete));
        drop(stream);
    }
}
