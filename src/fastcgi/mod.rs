//! An application as a FastCGI responder, for a web server such as nginx, lighttpd or Apache.
//!
//! ```no_run
//! use enfilade::{Application, Request, fastcgi};
//!
//! # fn main() -> std::io::Result<()> {
//! let app = Application::new(|request: Request| format!("You are in {}\n", request.path()));
//! fastcgi::Server::bind("127.0.0.1:9000")?.at_root().serve_forever(app)
//! # }
//! ```
//!
//! And of nginx, with the `fastcgi_params` that come with it:
//!
//! ```nginx
//! location / {
//!     include fastcgi_params;
//!     fastcgi_pass 127.0.0.1:9000;
//! }
//! ```
//!
//! What a request is, and what becomes of an answer, is as in [`cgi`](crate::cgi).
//!
//! Of the FastCGI specification, version 1, it is a responder: other roles are refused. A connection has one request at
//! a time and stays where the web server wants it to; a second at the same time is refused (`FCGI_CANT_MPX_CONN`), and
//! `FCGI_GET_VALUES` says so beforehand. A request that is aborted is dropped, with its body and its answer. Request
//! bodies arrive as the application reads them. nginx sends nothing more of a body once the answer has begun: behind it,
//! read the body before you answer.
//!
//! What is no FastCGI closes the connection. An answer that breaks off in the middle ends with eight bytes that are no
//! record, as web servers take the end of a connection alone for the end of the answer: nginx breaks off too, then.
//!
//! # Security
//!
//! Whoever can connect can say anything, the client's address and `REMOTE_USER` included: listen on loopback, or on a
//! Unix socket that the web server alone may open.

mod connection;
mod halves;
mod record;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::time::Duration;

use enfilade_core::Application;
use tokio::io::{AsyncRead, AsyncWrite};

use self::connection::serve;
use self::halves::Settings;
use crate::listening::web_server::{Listening, Serving};
use crate::listening::{Listener, Socket};

/// How long the web server may take to send the variables of a request.
const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes the variables of a request may have.
const MAX_VARIABLES_SIZE: usize = 64 * 1024;

/// A FastCGI server for an [`Application`]; see the [module](self).
#[derive(Debug)]
#[must_use = "a server does nothing until one of its `serve` functions is called"]
pub struct Server {
    listening: Listening,
    settings: Settings,
}

impl Server {
    /// Serves what this listener accepts: on TCP, a Unix socket, or the one that the program was started with.
    ///
    /// ```no_run
    /// use enfilade::{Application, Listener, Request, fastcgi};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let app = Application::new(|_: Request| "Hello");
    /// let listener = Listener::unix("/run/house/fastcgi.sock", 0o660)?;
    /// fastcgi::Server::new(listener).serve_forever(app)
    /// # }
    /// ```
    pub fn new(listener: Listener) -> Server {
        Server {
            listening: Listening::new(listener),
            settings: SETTINGS,
        }
    }

    /// Listens at an address; port 0 takes a free one, which [`local_addr`](Server::local_addr) tells.
    ///
    /// # Errors
    ///
    /// Where the address cannot be had; the text names it.
    pub fn bind(address: impl ToSocketAddrs + std::fmt::Debug) -> io::Result<Server> {
        Listener::tcp(address).map(Server::new)
    }

    /// The address that this server listens on, with the real port; `None` for a Unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listening.local_addr()
    }

    /// How many connections are served at a time; 1,024 by default. The next wait in the system's queue.
    pub fn max_connections(mut self, count: usize) -> Server {
        self.listening.max_connections = count.max(1);
        self
    }

    /// How long requests in flight may take to finish once the server is told to stop; 30 seconds by default.
    ///
    /// Set it below the time after which your process manager kills the process.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Server {
        self.listening.shutdown_deadline = deadline;
        self
    }

    /// How long the web server may take to send the variables of a request; 30 seconds by default.
    pub fn head_read_timeout(mut self, timeout: Duration) -> Server {
        self.settings.head_read_timeout = timeout;
        self
    }

    /// How many bytes the variables of a request may have, names included; 64 KiB by default. More are a 431.
    pub fn max_variables_size(mut self, bytes: usize) -> Server {
        self.settings.max_variables_size = bytes;
        self
    }

    /// Takes the whole path for the application's, whatever `SCRIPT_NAME` and `PATH_INFO` say.
    ///
    /// It is for a web server that has no script, but says so: nginx with its own `fastcgi_params`, for one, where
    /// `SCRIPT_NAME` is the path of the request.
    pub fn at_root(mut self) -> Server {
        self.settings.is_at_root = true;
        self
    }

    /// Serves until Ctrl-C or SIGTERM, on a runtime of its own; what is in flight is finished.
    ///
    /// # Errors
    ///
    /// Where the runtime cannot be started or the signals cannot be watched; and for a listener that speaks TLS or takes
    /// the PROXY protocol.
    ///
    /// # Panics
    ///
    /// Panics where it is called inside an async runtime.
    pub fn serve_forever(self, app: impl Into<Application>) -> io::Result<()> {
        let serve = serving(app.into(), self.settings());
        self.listening.serve_forever(serve)
    }

    /// Serves until `shutdown` is ready, on the tokio runtime that it is called in; signals are left alone.
    ///
    /// Dropping the future breaks off what is in flight.
    ///
    /// # Errors
    ///
    /// Where the listener does not work with the runtime, speaks TLS or takes the PROXY protocol.
    pub async fn serve_until(
        self,
        app: impl Into<Application>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let serve = serving(app.into(), self.settings());
        self.listening.serve_until(shutdown, serve).await
    }

    fn settings(&self) -> Settings {
        Settings {
            max_connections: self.listening.max_connections,
            ..self.settings
        }
    }
}

const SETTINGS: Settings = Settings {
    max_variables_size: MAX_VARIABLES_SIZE,
    head_read_timeout: HEAD_READ_TIMEOUT,
    max_connections: 1,
    is_at_root: false,
};

type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

fn serving(app: Application, settings: Settings) -> impl Fn(Socket, Serving) -> Served {
    move |socket, serving| {
        let app = app.clone();
        Box::pin(async move {
            // What a web server does to its end of a connection is no error of this server.
            let _ = serve(socket, &app, settings, serving).await;
        })
    }
}

/// Serves one connection of a kind of one's own to its end, with the settings of a [`Server`] that has none set.
///
/// # Errors
///
/// Where the connection failed, was broken off, or what came is no FastCGI; and where an answer broke off.
pub async fn serve_connection<S>(stream: S, app: impl Into<Application>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (serving, _alive) = Serving::forever();
    serve(stream, &app.into(), SETTINGS, serving).await
}

#[cfg(test)]
mod tests;
