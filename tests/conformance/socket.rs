//! A real server on the loopback, and a client that speaks the bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use enfilade::{Application, Server};
use tokio::sync::oneshot;

use crate::apps::Content;
use crate::observed::{Answer, Log};
use crate::request::Wanted;
use crate::verdict::{Check, Trouble, fail, unsupported};
use crate::wire::{self, Parsed};

/// How long an answer may take to begin or to go on.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A server that runs until this is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// What panicked in its thread.
    pub(crate) panics: Log,
    _stop: oneshot::Sender<()>,
}

pub(crate) fn serve(app: Application) -> Check<Running> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let failed = |error: std::io::Error| Trouble::Failed(format!("the server: {error}"));
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel();
    let name = format!("server {}", COUNT.fetch_add(1, Ordering::Relaxed));
    let panics = crate::panics::of_thread(&name);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let run = move || {
        let stopped = async {
            // Dropping the sender is the sign.
            let _ = stopped.await;
        };
        let server = server.shutdown_deadline(Duration::ZERO);
        runtime.block_on(server.serve_until(app, stopped))
    };
    let thread = std::thread::Builder::new().name(name).spawn(run);
    thread.map_err(failed)?;
    Ok(Running {
        address,
        panics,
        _stop: stop,
    })
}

/// One connection from the client's side.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    pub(crate) closed: bool,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Check<Connection> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE);
        let stream = stream.or_else(|error| fail(format!("connecting: {error}")))?;
        Ok(Connection {
            stream,
            buffer: Vec::new(),
            closed: false,
        })
    }

    /// Writes all of it; a server that refuses may close before it has read it.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // What comes of it is seen in the answer.
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Reads more; `false` at the end or where nothing came in time.
    pub(crate) fn fill(&mut self, patience: Duration) -> bool {
        let mut chunk = [0; 16 * 1024];
        let _ = self.stream.set_read_timeout(Some(patience));
        match self.stream.read(&mut chunk) {
            Ok(0) => self.closed = true,
            Ok(length) => {
                self.buffer.extend_from_slice(&chunk[..length]);
                return true;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            // A reset closes it too.
            Err(_) => self.closed = true,
        }
        false
    }

    /// The next answer; `None` where none came before the end or in time.
    pub(crate) fn answer(&mut self, to_head: bool, patience: Duration) -> Check<Option<Answer>> {
        loop {
            match wire::parse(&self.buffer, to_head, self.closed)? {
                Parsed::Answer(answer, length) => {
                    self.buffer.drain(..length);
                    return Ok(Some(answer));
                }
                Parsed::Incomplete if self.closed => return Ok(None),
                Parsed::Incomplete => {}
            }
            if !self.fill(patience) && !self.closed {
                return Ok(None);
            }
        }
    }
}

/// The answers, the status of the request that followed, and what panicked.
pub(crate) fn exchange(
    app: Application,
    wanted: &Wanted,
) -> Check<(Vec<Answer>, Option<u16>, Log)> {
    wanted.fits_a_socket()?;
    let server = serve(app)?;
    let mut answers = Vec::new();
    let mut second = None;
    for _ in 0..wanted.repeat {
        let mut connection = Connection::open(server.address)?;
        connection.write(&encode(wanted)?);
        if wanted.abort {
            answers.push(first_part(&mut connection)?);
            connection.close();
            continue;
        }
        answers.push(expect_answer(&mut connection, wanted)?);
        if let Some(then) = &wanted.then {
            connection.write(&encode(then)?);
            second = connection
                .answer(then.method == http::Method::HEAD, PATIENCE)?
                .map(|answer| answer.status);
        }
    }
    Ok((answers, second, server.panics))
}

fn expect_answer(connection: &mut Connection, wanted: &Wanted) -> Check<Answer> {
    let to_head = wanted.method == http::Method::HEAD;
    loop {
        match connection.answer(to_head, PATIENCE)? {
            // Interim answers go before the real one (RFC 9110, section 15.2).
            Some(answer) if matches!(answer.status, 100 | 102..=199) => {}
            Some(answer) => return Ok(answer),
            None => return fail("the server gave no whole answer"),
        }
    }
}

/// Reads the head and some of the body.
fn first_part(connection: &mut Connection) -> Check<Answer> {
    while connection.fill(PATIENCE) {
        if let Some(head) = wire::head(&connection.buffer)?
            && connection.buffer.len() > head.length
        {
            return Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: connection.buffer[head.length..].to_vec(),
                ..Answer::default()
            });
        }
    }
    fail("the server gave no answer")
}

/// The bytes of a request; a host and a length are added where they are not said.
fn encode(wanted: &Wanted) -> Check<Vec<u8>> {
    let Content::Full(body) = &wanted.content else {
        return unsupported("a streamed request over a real socket");
    };
    let (method, target) = (&wanted.method, &wanted.target);
    let mut text = format!("{method} {target} {:?}\r\n", wanted.version);
    let has = |name: &str| {
        wanted
            .headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    if !has("host") {
        text.push_str("Host: localhost\r\n");
    }
    if !body.is_empty() && !has("content-length") {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in &wanted.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    Ok([text.as_bytes(), body].concat())
}
