use std::sync::mpsc::channel;
use std::time::Duration;

use enfilade_core::{Application, Body, HttpError, Outcome, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::serve_connection;

const WAIT: Duration = Duration::from_secs(10);

/// A connection to `app` with a buffer of this size, on a runtime of its own.
fn connected<F: Future<Output = ()>>(
    app: Application,
    size: usize,
    test: impl FnOnce(DuplexStream) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (front, back) = tokio::io::duplex(size);
        tokio::spawn(async move { serve_connection(back, app).await });
        tokio::time::timeout(WAIT, test(front)).await.unwrap();
    });
}

fn request(length: &str, body: &str) -> Vec<u8> {
    let head =
        format!("CONTENT_LENGTH\0{length}\0SCGI\x001\0REQUEST_METHOD\0POST\0REQUEST_URI\0/a%2Fb\0");
    format!("{}:{head},{body}", head.len()).into_bytes()
}

/// The whole response to these bytes.
fn response_to(app: Application, size: usize, bytes: Vec<u8>) -> String {
    let mut all = String::new();
    connected(app, size, async |front| {
        let (mut reader, mut writer) = tokio::io::split(front);
        let sending = tokio::spawn(async move {
            let _ = writer.write_all(&bytes).await;
            writer
        });
        reader.read_to_string(&mut all).await.unwrap();
        drop(sending.await.unwrap());
    });
    all
}

fn echo() -> Application {
    Application::new(async |mut request: Request| -> Result<String, HttpError> {
        let body = request.take_body().collect(1 << 20).await?;
        Ok(format!("{} {}", request.path(), body.len()))
    })
}

#[test]
fn a_request_gets_a_response_and_the_connection_is_closed() {
    for size in [16, 1 << 16] {
        let response = response_to(echo(), size, request("4", "four"));
        let expected = "Status: 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 8\r\n\r\n/a%2Fb 4";
        assert_eq!(response, expected);
    }
}

#[test]
fn a_body_is_as_long_as_was_said() {
    assert!(response_to(echo(), 1 << 16, request("4", "four and more")).ends_with("/a%2Fb 4"));
    let large = "x".repeat(300_000);
    assert!(response_to(echo(), 64, request("300000", &large)).ends_with("/a%2Fb 300000"));
    assert!(
        response_to(
            Application::new(|_: Request| "early"),
            64,
            request("300000", &large)
        )
        .ends_with("early")
    );
}

#[test]
fn large_bodies_pass_in_both_directions_at_the_same_time() {
    let mirror = Application::new(|mut request: Request| request.take_body());
    let large = "x".repeat(300_000);
    assert!(response_to(mirror, 64, request("300000", &large)).ends_with(&large));
}

#[test]
fn what_is_no_scgi_is_refused() {
    for (bytes, expected) in [
        (
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            "Status: 400 Bad Request\r\n",
        ),
        (b"99999:", "Status: 431 Request Header Fields Too Large\r\n"),
        (&request("x", ""), "Status: 400 Bad Request\r\n"),
    ] {
        assert!(response_to(echo(), 1 << 16, bytes.to_vec()).starts_with(expected));
    }
}

#[test]
fn a_web_server_that_disconnects_ends_the_response() {
    let (sender, ends) = channel();
    let app = Application::new(move |_: Request| {
        let sender = sender.clone();
        Body::new(Never).on_end(move |end| sender.send(end.outcome()).unwrap())
    });
    connected(app, 1 << 16, async |mut front| {
        front.write_all(&request("0", "")).await.unwrap();
        let mut head = [0; 14];
        front.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"Status: 200 OK");
        drop(front);
        let ended = tokio::task::spawn_blocking(move || ends.recv_timeout(WAIT));
        assert_eq!(ended.await.unwrap(), Ok(Outcome::Dropped));
    });
}

#[test]
fn a_body_that_is_cut_off_never_reaches_its_end() {
    let (sender, ends) = channel();
    let app = Application::new(move |mut request: Request| {
        let sender = sender.clone();
        let body = request
            .take_body()
            .on_end(move |end| sender.send(end.outcome()).unwrap());
        async move { body.collect(100).await.map_err(HttpError::from) }
    });
    connected(app, 1 << 16, async |mut front| {
        front.write_all(&request("9", "four")).await.unwrap();
        drop(front);
        let ended = tokio::task::spawn_blocking(move || ends.recv_timeout(WAIT));
        assert_ne!(ended.await.unwrap(), Ok(Outcome::Complete));
    });
}

struct Never;

impl http_body::Body for Never {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
        std::task::Poll::Pending
    }
}

/// A client that sends a request over TCP, and returns the whole response.
fn client(address: std::net::SocketAddr) -> std::thread::JoinHandle<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.write_all(&request("0", "")).unwrap();
    std::thread::spawn(move || {
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        all
    })
}

#[test]
fn a_server_takes_so_many_at_a_time_and_finishes_what_is_in_flight() {
    let (called, calls) = channel();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let opened = gate.clone();
    let app = Application::new(move |_: Request| {
        called.send(()).unwrap();
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            "finished"
        }
    });
    let server = super::Server::bind("127.0.0.1:0")
        .unwrap()
        .max_connections(1);
    let address = server.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(server.serve_until(app, async { drop(stopped.await) }))
    });
    let first = client(address);
    calls.recv_timeout(WAIT).unwrap();
    let second = client(address);
    // The second is not called while the first is running.
    assert!(calls.recv_timeout(Duration::from_millis(100)).is_err());
    opened.add_permits(1);
    assert!(first.join().unwrap().ends_with("finished"));
    calls.recv_timeout(WAIT).unwrap();
    drop(stop);
    std::thread::sleep(Duration::from_millis(50));
    assert!(!serving.is_finished());
    opened.add_permits(1);
    assert!(second.join().unwrap().ends_with("finished"));
    serving.join().unwrap().unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn what_is_spawned_runs_to_its_end() {
    let (sender, done) = std::sync::mpsc::channel();
    let app = Application::new(move |request: Request| {
        let sender = sender.clone();
        let task = async move {
            tokio::task::yield_now().await;
            sender.send(()).unwrap();
        };
        let spawned = request.connection().spawn(task);
        spawned.map_or("nothing runs it", |()| "Hello")
    });
    connected(app, 1 << 16, async |mut front| {
        front.write_all(&request("0", "")).await.unwrap();
        let mut response = String::new();
        front.read_to_string(&mut response).await.unwrap();
        assert!(response.ends_with("\r\n\r\nHello"), "{response}");
        while done.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    });
}
