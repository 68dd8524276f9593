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
//! The web server starts the program for each request, so the stack is built for each, and what it keeps in memory
//! (rate limits, pools, metrics) is new each time. FastCGI and SCGI, which share this module's view of a request, have no
//! such cost.
//!
//! # What a request is
//!
//! | of the request | of the variables |
//! |---|---|
//! | method, version | `REQUEST_METHOD`, `SERVER_PROTOCOL` |
//! | target | `REQUEST_URI`, with the query of `QUERY_STRING`; else `SCRIPT_NAME` and `PATH_INFO`, encoded |
//! | `script_name` | the part of the target that `SCRIPT_NAME` is |
//! | headers | `HTTP_…`, `CONTENT_TYPE`, `CONTENT_LENGTH` |
//! | connection | `REMOTE_ADDR`, `REMOTE_PORT`, `SERVER_ADDR`, `SERVER_PORT`, `HTTPS` or `REQUEST_SCHEME` |
//! | [`RemoteUser`](crate::RemoteUser) | `REMOTE_USER` |
//! | [`Variables`] in the extensions | all of them |
//!
//! `REQUEST_URI` is passed over where `SCRIPT_NAME` and `PATH_INFO` are another path, as after a rewrite in the web
//! server; that the server tidied up `//`, `.` and `..` makes it no other path. A variable that is wrong is a 400 that names it, more than
//! 100 headers are a 431. An underscore and a dash in the name of a header are the same in CGI; web servers drop those with an underscore,
//! and should not be told otherwise.
//!
//! # What an answer is
//!
//! What every gateway makes of it, with a `Status` line. It is written as it is produced. There are no trailers and no
//! upgrades, and a program whose name begins with `nph-` gets no other treatment. An answer that breaks off in the
//! middle ends the program with an error; the web server knows of it where the answer said its length.

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

/// How much of the body is read at a time.
const PART: usize = 16 * 1024;

/// Answers the request that this process was started for: variables from the environment, the body from standard input,
/// the answer to standard output.
///
/// It has a tokio runtime of one thread, for applications that need one; what they left running ends with it.
///
/// # Errors
///
/// If a router could not be built, or the response could not be written, or broke off. Return it from `main`, so that the
/// process fails.
///
/// # Panics
///
/// Panics where it is called inside an async runtime.
pub fn run<M>(app: impl TryIntoApplication<M>) -> io::Result<()> {
    exchange(app, environment(), io::stdin(), io::stdout().lock())
}

/// The process' environment, which is the request; what is no Unicode on a system that has no bytes is read lossily.
fn environment() -> Variables {
    let bytes = |text: std::ffi::OsString| Bytes::from(text.into_encoded_bytes());
    std::env::vars_os()
        .map(|(name, value)| (bytes(name), bytes(value)))
        .collect()
}

/// Answers one request, of variables and streams of one's own.
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
/// `input` is read on a thread of its own, when the application reads the body, and no further than `CONTENT_LENGTH`.
///
/// # Errors
///
/// If a router cannot be built, the runtime cannot be started, the response cannot be written, or the application's body
/// fails.
///
/// # Panics
///
/// Panics where it is called inside an async runtime.
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

/// Reads until the end, an error or until nobody wants more; the body knows how long it should have been.
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

/// Writes a body as it is produced. A client that is gone drops it.
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
