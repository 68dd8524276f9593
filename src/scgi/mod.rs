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
//! And for nginx, with the `scgi_params` that come with it:
//!
//! ```nginx
//! location / {
//!     include scgi_params;
//!     scgi_pass 127.0.0.1:4000;
//! }
//! ```
//!
//! Requests and responses are mapped as in [`cgi`](crate::cgi). A connection is for one request. Invalid SCGI, such as
//! variables that do not begin with `CONTENT_LENGTH`, gets a 400.
//!
//! If a response is aborted, its connection is reset, so that the response does not look complete. A Unix socket cannot
//! be reset: over one, a response that may be aborted needs a `Content-Length`, or FastCGI.
//!
//! # Security
//!
//! Clients that can connect can send anything, including the client's address and `REMOTE_USER`. Listen on loopback, or
//! on a Unix socket that only the web server can open.

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

/// Serves one connection over any transport to its end, with the default settings of a [`Server`].
///
/// # Errors
///
/// If the connection fails, is aborted, or ends too early; and if a response is aborted.
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
