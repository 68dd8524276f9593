//! An application as a CGI program (RFC 3875), as Python's `wsgiref.handlers.CGIHandler` runs one.
//!
//! ```no_run
//! use enfilade::{Application, Request, cgi};
//!
//! fn main() -> std::io::Result<()> {
//!     cgi::run(Application::new(|request: Request| format!("You are in {}\n", request.path())))
//! }
//! ```
//!
//! The web server starts the program for each request. So the stack is built for each request, and its state in memory
//! (rate limits, pools, metrics) is new each time. FastCGI and SCGI, which share this module's mapping of requests, do
//! not have this cost.
//!
//! # Requests
//!
//! | part of the request | variables |
//! |---|---|
//! | method, version | `REQUEST_METHOD`, `SERVER_PROTOCOL` |
//! | target | `REQUEST_URI`, with the query of `QUERY_STRING`; else `SCRIPT_NAME` and `PATH_INFO`, encoded |
//! | `script_name` | the part of the target that equals `SCRIPT_NAME` |
//! | headers | `HTTP_…`, `CONTENT_TYPE`, `CONTENT_LENGTH` |
//! | connection | `REMOTE_ADDR`, `REMOTE_PORT`, `SERVER_ADDR`, `SERVER_PORT`, `HTTPS` or `REQUEST_SCHEME` |
//! | [`RemoteUser`](crate::RemoteUser) | `REMOTE_USER` |
//! | [`Variables`] in the extensions | all of them |
//!
//! `REQUEST_URI` is ignored if `SCRIPT_NAME` and `PATH_INFO` are a different path, as after a rewrite in the web
//! server. It still counts if the server only cleaned up `//`, `.` and `..`. An invalid variable is a 400 that names
//! it. More than 100 headers are a 431. In CGI an underscore and a dash in the name of a header are the same. Web
//! servers drop headers with an underscore; do not configure them otherwise.
//!
//! # Responses
//!
//! The response is processed as in every gateway, and gets a `Status` line. It is written as it is produced. There are
//! no trailers and no upgrades. A program whose name begins with `nph-` gets no special treatment. If a response is
//! aborted in the middle, the program ends with an error. The web server only notices that if the response declared its
//! length.

mod body;
mod request;
mod response;
mod target;
mod variables;

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use enfilade_core::{Body, HttpError, Request, TryIntoApplication};

use self::body::{Feed as Stdin, on_demand};
#[cfg(any(feature = "fastcgi", feature = "scgi"))]
pub(crate) use self::body::{Feed, received};
pub(crate) use self::request::{content_length, request};
pub(crate) use self::response::{respond, write_head};
pub use self::variables::Variables;
use crate::background::Background;
#[cfg(any(feature = "fastcgi", feature = "scgi"))]
pub use crate::listening::web_server::{Protocol, Server};
use crate::unbuilt::built;

/// How many bytes of the body are read at a time.
const PART: usize = 16 * 1024;

/// Handles the request that this process was started for, and writes the response to standard output.
///
/// The variables come from the environment, the body from standard input. It has a tokio runtime of one thread, for
/// applications that need one. Tasks that are still running end with it.
///
/// # Errors
///
/// If a router cannot be built, or the response cannot be written, or is aborted. Return the error from `main`, so that
/// the process fails.
///
/// # Panics
///
/// Panics if it is called inside an async runtime.
pub fn run<M>(app: impl TryIntoApplication<M>) -> io::Result<()> {
    exchange(app, environment(), io::stdin(), io::stdout().lock())
}

/// The process' environment, which is the request; on a system without byte strings, invalid Unicode is replaced.
fn environment() -> Variables {
    let bytes = |text: std::ffi::OsString| Bytes::from(text.into_encoded_bytes());
    std::env::vars_os()
        .map(|(name, value)| (bytes(name), bytes(value)))
        .collect()
}

/// Handles one request from the given variables and streams.
///
/// ```
/// use enfilade::cgi::{self, Variables};
/// use enfilade::{Application, Request};
///
/// # fn main() -> std::io::Result<()> {
/// let app = Application::new(|request: Request| format!("You are in {}", request.path()));
/// let variables = Variables::from_iter([("REQUEST_METHOD", "GET"), ("PATH_INFO", "/cellar")]);
/// let mut output = Vec::new();
/// cgi::exchange(app, variables, std::io::empty(), &mut output)?;
/// assert!(output.starts_with(b"Status: 200 OK\r\n"));
/// assert!(output.ends_with(b"\r\n\r\nYou are in /cellar"));
/// # Ok(())
/// # }
/// ```
///
/// `input` is read on a thread of its own, once the application reads the body, and only up to `CONTENT_LENGTH`.
///
/// # Errors
///
/// If a router cannot be built, the runtime cannot be started, the response cannot be written, or the application's body
/// fails.
///
/// # Panics
///
/// Panics if it is called inside an async runtime.
pub fn exchange<M>(
    app: impl TryIntoApplication<M>,
    variables: Variables,
    input: impl Read + Send + 'static,
    mut output: impl Write,
) -> io::Result<()> {
    let app = built(app)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let background = Background::new();
        let request = read(&variables, input);
        let response = respond(&app, request, &background.spawner()).await;
        let mut head = BytesMut::new();
        write_head(&response, &mut head);
        output.write_all(&head)?;
        write_body(response.into_body(), &mut output).await?;
        background.finished().await;
        Ok(())
    });
    runtime.shutdown_background();
    result
}

fn read(variables: &Variables, input: impl Read + Send + 'static) -> Result<Request, HttpError> {
    let body = match content_length(variables)? {
        None | Some(0) => Body::empty(),
        Some(length) => on_demand(length, move |feed| {
            std::thread::spawn(move || pump(input.take(length), &feed));
        }),
    };
    request(variables, body)
}

/// Reads until the end, an error, or the body is dropped; the body knows its expected length.
fn pump(mut input: impl Read, feed: &Stdin) {
    loop {
        let mut part = vec![0; PART];
        match input.read(&mut part) {
            Ok(count) => {
                part.truncate(count);
                if feed.blocking_send(part.into()).is_err() || count == 0 {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Writes a body as it is produced; drops it if the client disconnects.
async fn write_body(mut body: Body, output: &mut impl Write) -> io::Result<()> {
    if !body.is_in_memory() {
        output.flush()?;
    }
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            output.write_all(&data)?;
            output.flush()?;
        }
    }
    output.flush()
}

#[cfg(test)]
mod tests;
