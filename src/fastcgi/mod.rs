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
//! And for nginx, with the `fastcgi_params` that come with it:
//!
//! ```nginx
//! location / {
//!     include fastcgi_params;
//!     fastcgi_pass 127.0.0.1:9000;
//! }
//! ```
//!
//! Requests and responses are mapped as in [`cgi`](crate::cgi).
//!
//! It is a responder of the FastCGI specification, version 1: other roles are rejected. A connection has one request at
//! a time, and stays open if the web server wants it to. A second request at the same time is rejected
//! (`FCGI_CANT_MPX_CONN`), and `FCGI_GET_VALUES` announces that. An aborted request is dropped, with its body and its
//! response. Request bodies arrive as the application reads them. nginx sends no more of a body once the response has
//! begun: behind nginx, read the body before you respond.
//!
//! Invalid FastCGI closes the connection. If a response is aborted in the middle, it ends with eight bytes that are not
//! a valid record. The reason: web servers take the end of a connection alone for the end of the response. With these
//! bytes nginx aborts its response too.
//!
//! # Security
//!
//! Clients that can connect can send anything, including the client's address and `REMOTE_USER`. Listen on loopback, or
//! on a Unix socket that only the web server can open.

mod connection;
mod halves;
mod record;

use std::io;

use enfilade_core::{Application, TryIntoApplication};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::listening::web_server::{Protocol, Serving, Settings, Speak};
use crate::unbuilt::built;

/// A FastCGI server for an [`Application`]; see the [module](self).
pub type Server = crate::cgi::Server<FastCgi>;

/// The protocol FastCGI, for [`cgi::Server`](crate::cgi::Server).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FastCgi;

impl Protocol for FastCgi {}

impl Speak for FastCgi {
    const RESETS: bool = false;

    async fn serve<S>(
        stream: S,
        app: &Application,
        settings: Settings,
        serving: Serving,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        connection::serve(stream, app, settings, serving).await
    }
}

/// Serves one connection over any transport to its end, with the default settings of a [`Server`].
///
/// # Errors
///
/// If the connection fails, is aborted, or receives invalid FastCGI; and if a response is aborted.
pub async fn serve_connection<S, M>(stream: S, app: impl TryIntoApplication<M>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let settings = Settings {
        max_connections: 1,
        ..Settings::default()
    };
    let app = built(app)?;
    Serving::alone(async |serving| connection::serve(stream, &app, settings, serving).await).await
}

#[cfg(test)]
mod tests;
