//! How the built-in server stops.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod gated;
    pub(crate) mod process;
    pub(crate) mod running;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use enfilade::{Application, Body, Outcome, Request, Server};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use self::support::gated::gated;
use self::support::process::Process;
use self::support::running::Running;
use self::support::wire::{PATIENCE, Wire};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n";

/// Waits until no process listens at `address`.
fn wait_until_closed(address: SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(start.elapsed() < PATIENCE, "still listens");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn requests_in_flight_finish_and_other_connections_close() {
    let gate = Arc::new(Semaphore::new(0));
    let (sender, calls) = mpsc::channel();
    let app = gated(&gate, move || sender.send(()).unwrap());
    let server = Server::bind("127.0.0.1:0").unwrap();
    let mut running = Running::serve(server.shutdown_deadline(PATIENCE), app);

    let (mut idle, mut fresh, mut busy) = (
        Wire::connect(running.address()),
        Wire::connect(running.address()),
        Wire::connect(running.address()),
    );
    assert_eq!(idle.send(GET).response().text(), "at once");
    busy.send(SLOW);
    calls.recv_timeout(PATIENCE).unwrap();

    running.stop();
    assert_eq!(idle.rest(), b"");
    assert_eq!(fresh.rest(), b"");
    wait_until_closed(running.address());
    gate.add_permits(1);
    assert_eq!(busy.response().text(), "done");
    // The response has `Connection: close` if the connection learns of it in time; it is closed in any case.
    assert_eq!(busy.rest(), b"");
    let start = Instant::now();
    running.join();
    assert!(start.elapsed() < PATIENCE / 2);
}

/// A request on a kept connection used to be lost if it came at the moment of the stop.
#[test]
fn a_kept_connection_serves_until_its_response_says_that_it_is_the_last() {
    let gate = Arc::new(Semaphore::new(0));
    let (sender, calls) = mpsc::channel();
    let app = gated(&gate, move || sender.send(()).unwrap());
    let server = Server::bind("127.0.0.1:0").unwrap();
    let mut running = Running::serve(server.shutdown_deadline(PATIENCE), app);
    let (mut kept, mut busy) = (
        Wire::connect(running.address()),
        Wire::connect(running.address()),
    );
    assert_eq!(kept.send(GET).response().header("connection"), None);
    busy.send(SLOW);
    calls.recv_timeout(PATIENCE).unwrap();
    running.stop();
    wait_until_closed(running.address());
    loop {
        let response = kept.send(GET).response();
        assert_eq!(response.text(), "at once");
        match response.header("connection").as_deref() {
            // The connection has not learned of the stop yet.
            None => {}
            closes => break assert_eq!(closes, Some("close")),
        }
    }
    assert_eq!(kept.rest(), b"");
    gate.add_permits(1);
    assert_eq!(busy.response().text(), "done");
    running.join();
}

#[test]
fn requests_of_connections_that_wait_to_be_accepted_are_served() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let mut waiting = [0; 3].map(|_| Wire::connect(server.local_addr()));
    for wire in &mut waiting {
        wire.send(GET);
    }
    let app = Application::new(|_: Request| "served");
    // It stops before it has accepted any.
    let stopped = std::future::ready(());
    runtime()
        .block_on(server.serve_until(app, stopped))
        .unwrap();
    for wire in &mut waiting {
        assert_eq!(wire.response().text(), "served");
        assert_eq!(wire.rest(), b"");
    }
}

/// An application whose response does not end; sends the outcome of its body.
fn endless() -> (Application, mpsc::Receiver<Outcome>) {
    let (sender, ends) = mpsc::channel();
    let app = Application::new(move |_: Request| {
        let sender = sender.clone();
        let body = Body::from_iterator(std::iter::repeat("endless "));
        body.on_end(move |end| sender.send(end.outcome()).unwrap())
    });
    (app, ends)
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

// In both tests the runtime is the caller's and runs on; the connection used to run on with it.

#[test]
fn the_deadline_aborts_requests_that_hang() {
    let (app, ends) = endless();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr();
    let runtime = runtime();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = server.shutdown_deadline(Duration::from_millis(50));
    let serving = runtime.spawn(server.serve_until(app, async {
        let _ = stopped.await;
    }));
    let mut wire = Wire::connect(address);
    assert_eq!(wire.send(GET).head().status(), "200 OK");
    drop(stop);
    runtime.block_on(serving).unwrap().unwrap();
    assert_eq!(ends.try_recv(), Ok(Outcome::Dropped));
    assert!(!wire.rest().ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_server_that_is_dropped_drops_its_connections() {
    let (app, ends) = endless();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr();
    let runtime = runtime();
    let serving = runtime.spawn(server.serve_until(app, std::future::pending()));
    let (mut idle, mut busy) = (Wire::connect(address), Wire::connect(address));
    assert_eq!(busy.send(GET).head().status(), "200 OK");
    serving.abort();
    assert_eq!(idle.rest(), b"");
    assert_eq!(ends.recv_timeout(PATIENCE), Ok(Outcome::Dropped));
    wait_until_closed(address);
}

#[test]
fn a_signal_lets_requests_in_flight_finish() {
    for name in ["TERM", "INT"] {
        let mut process = Process::example("gated_server", &[]);
        let mut wire = Wire::connect(process.address);
        wire.send(SLOW);
        process.wait_for_line("called");
        process.signal(name);
        wait_until_closed(process.address);
        process
            .child
            .stdin
            .take()
            .unwrap()
            .write_all(b"\n")
            .unwrap();
        assert_eq!(wire.response().text(), "done");
        let (status, _) = process.end();
        assert!(status.success(), "{name}: {status}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    for names in [["TERM", "TERM"], ["INT", "TERM"]] {
        let mut process = Process::example("gated_server", &[]);
        let mut wire = Wire::connect(process.address);
        wire.send(SLOW);
        process.wait_for_line("called");
        process.signal(names[0]);
        wait_until_closed(process.address);
        assert_eq!(process.child.try_wait().unwrap(), None);
        // The deadline is the default, 30 seconds: longer than this test waits.
        process.signal(names[1]);
        let (status, _) = process.end();
        assert!(status.success(), "{names:?}: {status}");
        assert_eq!(wire.rest(), b"");
    }
}
