//! A server is replaced under load, and no request is lost.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod process;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use self::support::process::Process;
use self::support::wire::PATIENCE;

const RESTARTS: usize = 5;

/// Starts the server with this socket as its descriptor 3, as systemd does.
fn start(listener: &TcpListener, notify: &std::path::Path) -> Process {
    let socket: OwnedFd = listener.try_clone().unwrap().into();
    let script = r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" 3<&0 </dev/null"#;
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(Process::path("handed_server"))
        .env("NOTIFY_SOCKET", notify)
        .stdin(socket);
    Process::start(&mut command)
}

/// Sends one request on a new connection; returns the response.
fn ask(address: SocketAddr, target: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    match response.strip_prefix("HTTP/1.1 200 OK\r\n") {
        Some(rest) => Ok(rest.rsplit("\r\n").next().unwrap().to_owned()),
        None => Err(std::io::Error::other(format!("answered {response:?}"))),
    }
}

#[test]
fn no_request_is_lost_when_the_socket_is_handed_over() {
    let place = std::env::temp_dir().join(format!("enfilade-notify-{}", std::process::id()));
    let manager = UnixDatagram::bind(&place).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = |expected: &str| {
        let mut message = [0; 256];
        let count = manager.recv(&mut message).unwrap();
        let text = String::from_utf8_lossy(&message[..count]).into_owned();
        assert_eq!(text.trim_end(), expected);
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = start(&listener, &place);
    told("READY=1");

    let is_over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = ["/", "/slow", "/", "/slow", "/"]
        .into_iter()
        .map(|target| {
            let is_over = is_over.clone();
            thread::spawn(move || {
                let mut responses = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    responses.push(ask(address, target).map_err(|error| error.to_string()));
                }
                responses
            })
        })
        .collect();
    for _ in 0..RESTARTS {
        thread::sleep(Duration::from_millis(200));
        let next = start(&listener, &place);
        told("READY=1");
        server.signal("TERM");
        told("STOPPING=1");
        let (status, _) = server.end();
        assert!(status.success(), "{status}");
        server = next;
    }
    thread::sleep(Duration::from_millis(200));
    is_over.store(true, Ordering::Relaxed);
    let responses: Vec<_> = clients
        .into_iter()
        .flat_map(|client| client.join().unwrap())
        .collect();
    let _ = std::fs::remove_file(place);

    let failures: Vec<_> = responses
        .iter()
        .filter_map(|response| response.as_ref().err())
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {}: {failures:?}",
        failures.len(),
        responses.len()
    );
    let servers: HashSet<_> = responses.iter().flatten().collect();
    assert_eq!(servers.len(), RESTARTS + 1, "each has answered");
}
