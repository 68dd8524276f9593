//! An application as an SCGI server, for a web server such as nginx, lighttpd or Apache.
//!
//! ```no_run
//! use enfilade::{Application, Request, scgi};
//!
//! # fn main() -> std::io::Result<()> {
//! let app = Application::new(|request: Request| format!("You are in {}\n", request.path()));
//! scgi::Server::bind("127.0.0.1:4000")?.serve_forever(app)
//! # }
//! ```
//!
//! And of nginx, with the `scgi_params` that come with it:
//!
//! ```nginx
//! location / {
//!     include scgi_params;
//!     scgi_pass 127.0.0.1:4000;
//! }
//! ```
//!
//! What a request is, and what becomes of an answer, is as in [`cgi`](crate::cgi). A connection is for one request. What
//! is no SCGI, such as variables without `CONTENT_LENGTH` in the first place, is a 400.
//!
//! The connection of a response that breaks off is reset, so that it does not look complete. A Unix socket cannot be
//! reset: over one, a response that may break off needs a `Content-Length`, or FastCGI.
//!
//! # Security
//!
//! Whoever can connect can say anything, the client's address and `REMOTE_USER` included: listen on loopback, or on a
//! Unix socket that the web server alone may open.

mod connection;
mod netstring;

use std::io;

use enfilade_core::{Application, TryIntoApplication};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::listening::web_server::{Protocol, Serving, Settings, Speak};
use crate::unbuilt::built;

/// An SCGI server for an [`Application`]; see the [module](self).
pub type Server = crate::cgi::Server<Scgi>;

/// The protocol SCGI, for [`cgi::Server`](crate::cgi::Server).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Scgi;

impl Protocol for Scgi {}

impl Speak for Scgi {
    const RESETS: bool = true;

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
/// Where the connection failed, was broken off, or ended too early; and where an answer broke off.
pub async fn serve_connection<S, M>(stream: S, app: impl TryIntoApplication<M>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let settings = Settings::default();
    let app = built(app)?;
    Serving::alone(async |serving| connection::serve(stream, &app, settings, serving).await).await
}

#[cfg(test)]
mod tests;
