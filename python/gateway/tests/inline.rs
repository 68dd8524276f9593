//! The server that runs on its caller's thread, with applications in Rust.
//!
//! Python applications cannot send a wrong length.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use enfilade::{Application, Body, Request, Response};
use enfilade_python::{Options, Server, Wsgi};
use pyo3::Python;

/// Returns the bytes that a client of this version receives until the connection ends in any way.
fn exchange(app: Application, version: &str) -> String {
    // This starts the interpreter.
    let apps = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps");
    Wsgi::new("plain").search_path(apps).application().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets = vec![listener.as_raw_fd()];
    let server = Arc::new(Server::new(app, sockets, Options::default()));
    let serving = {
        let server = server.clone();
        std::thread::spawn(move || Python::attach(|py| server.handle_request(py, None)).unwrap())
    };
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let request = format!("GET / {version}\r\nHost: h\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let mut received = Vec::new();
    let mut room = [0; 1024];
    // A reset ends the loop too.
    while let Ok(count @ 1..) = client.read(&mut room) {
        received.extend_from_slice(&room[..count]);
    }
    assert!(serving.join().unwrap(), "there was a request");
    String::from_utf8(received).unwrap()
}

/// The content of a 500.
const FAILED: &str = "Internal Server Error";

#[test]
fn a_body_of_another_length_than_it_says_does_not_look_complete() {
    for (blocks, expected) in [
        (&["ab", "cd", "e"][..], "abcde"),
        (&["ab", "cd"], "abcd"),
        // The first byte of the last block would complete the body.
        (&["ab", "cd", "ef"], "abcd"),
        // Known before the head is sent.
        (&["abcdef"], FAILED),
        (&[], FAILED),
    ] {
        for version in ["HTTP/1.0", "HTTP/1.1"] {
            let app = Application::new(move |_: Request| {
                let mut response = Response::new(Body::from_iterator(blocks.iter().copied()));
                let length = "5".try_into().unwrap();
                response.headers_mut().insert("content-length", length);
                response
            });
            let received = exchange(app, version);
            let (head, body) = received.split_once("\r\n\r\n").unwrap();
            let case = format!("{version} {blocks:?}: {received:?}");
            let (status, length) = match expected {
                FAILED => ("500 Internal Server Error", FAILED.len()),
                _ => ("200 OK", 5),
            };
            assert!(head.starts_with(&format!("{version} {status}")), "{case}");
            assert!(
                head.contains(&format!("\r\ncontent-length: {length}")),
                "{case}"
            );
            assert_eq!(body, expected, "{case}");
        }
    }
}
