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

/// Serves one connection of a kind of one's own to its end, with the settings of a [`Server`] that has none set.
///
/// # Errors
///
/// Where the connection failed, was broken off, or what came is no FastCGI; and where an answer broke off.
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
