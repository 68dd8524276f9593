//! The sockets of the built-in server: Unix sockets, and several listeners at once.
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

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use enfilade::{Application, Listener, Request, Server};

use self::support::running::Running;
use self::support::wire::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// A directory of one test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let place = std::env::temp_dir().join(format!("enfilade-{name}-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        Place(place)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("house.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The client, as the application sees it.
fn peer() -> Application {
    Application::new(|request: Request| match request.connection().peer() {
        Some(_) => "tcp",
        None => "unix",
    })
}

fn ask(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(GET.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    response.rsplit("\r\n").next().unwrap().to_owned()
}

fn serve(path: &Path) -> Running {
    let server = Server::bind("127.0.0.1:0").unwrap();
    Running::serve(server.listen(Listener::unix(path, 0o660).unwrap()), peer())
}

#[test]
fn serves_several_places_at_once() {
    let place = Place::new("several");
    let second = Listener::tcp("[::1]:0").unwrap();
    let address = second.local_addr().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().listen(second);
    let unix = Listener::unix(place.socket(), 0o600).unwrap();
    assert_eq!(unix.local_addr(), None);
    let running = Running::serve(server.listen(unix), peer());
    assert_eq!(
        Wire::connect(running.address()).send(GET).response().text(),
        "tcp"
    );
    assert_eq!(Wire::connect(address).send(GET).response().text(), "tcp");
    assert_eq!(ask(&place.socket()), "unix");
}

#[test]
fn a_socket_has_its_mode_and_is_removed_in_the_end() {
    let place = Place::new("mode");
    let running = serve(&place.socket());
    let file = fs::metadata(place.socket()).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o660);
    assert_eq!(ask(&place.socket()), "unix");
    drop(running);
    assert_eq!(fs::read_dir(&place.0).unwrap().count(), 0);
}

#[test]
fn a_socket_without_a_listener_is_replaced() {
    let place = Place::new("stale");
    // A server that was killed leaves it like this.
    drop(UnixListener::bind(place.socket()).unwrap());
    let _running = serve(&place.socket());
    assert_eq!(ask(&place.socket()), "unix");
}

#[test]
fn a_socket_in_use_and_other_files_stay() {
    let place = Place::new("taken");
    let other = UnixListener::bind(place.socket()).unwrap();
    let refused = |why: &str| {
        let error = Listener::unix(place.socket(), 0o600).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let expected = format!("cannot listen on {:?}: {why}", place.socket());
        assert_eq!(error.to_string(), expected);
    };
    refused("another process listens on this socket");
    drop(other);
    fs::remove_file(place.socket()).unwrap();
    fs::write(place.socket(), "a file").unwrap();
    refused("the path exists and is not a socket");
    assert_eq!(fs::read_to_string(place.socket()).unwrap(), "a file");
}

#[test]
fn a_socket_that_was_replaced_is_not_removed() {
    let place = Place::new("replaced");
    let running = serve(&place.socket());
    // The next process has taken over the path already.
    fs::remove_file(place.socket()).unwrap();
    let next = UnixListener::bind(place.socket()).unwrap();
    drop(running);
    assert!(place.socket().exists());
    drop(next);
}

#[test]
fn a_listener_of_the_standard_library_can_be_used() {
    let place = Place::new("given");
    let given = UnixListener::bind(place.socket()).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let running = Running::serve(server.listen(Listener::from_unix(given).unwrap()), peer());
    assert_eq!(ask(&place.socket()), "unix");
    drop(running);
    // The process that made it removes it.
    assert!(place.socket().exists());
}

#[test]
fn a_burst_of_clients_waits_to_be_accepted() {
    let connect = |listener: &Listener, count: usize| {
        let address = listener.local_addr().unwrap();
        let timeout = std::time::Duration::from_millis(50);
        let all = (0..count).map(|_| std::net::TcpStream::connect_timeout(&address, timeout));
        all.filter_map(Result::ok).collect::<Vec<_>>().len()
    };
    // No thread accepts them.
    let listener = Listener::tcp("127.0.0.1:0").unwrap();
    assert_eq!(connect(&listener, 300), 300);
    let listener = Listener::tcp("127.0.0.1:0").unwrap().backlog(10).unwrap();
    assert!(connect(&listener, 40) < 20);
}
