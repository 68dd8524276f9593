//! The CGI program that tests/peers/gateways.rs and tests/peers/send_file.rs start, behind a web server.

#[path = "../support/every_response.rs"]
mod every_response;

use enfilade::middleware::{FileSource, SendFile};
use enfilade::{Application, Body, HttpError, Middleware, Request, Response, cgi};
use http::{HeaderName, HeaderValue};

const X_SENDFILE: HeaderName = HeaderName::from_static("x-sendfile");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A web server starts a program in its folder.
    let here = std::env::current_dir()?.canonicalize()?;
    let prefix = here.display().to_string();
    let send_file = SendFile::new(X_SENDFILE).directory(here, &prefix)?;
    let file = send_file.wrap(Application::new(async |_: Request| {
        Ok::<_, HttpError>(Body::from(FileSource::open("file.txt").await?))
    }));
    let every_response = every_response::app();
    Ok(cgi::run(Application::new(
        move |request: Request| match request.path() {
            "/file.txt" => file.call(request).update(mark),
            _ => every_response.call(request),
        },
    ))?)
}

/// Adds a header that shows whether the web server should send the file.
fn mark(response: &mut Response) {
    if response.headers().contains_key(X_SENDFILE) {
        let left = HeaderValue::from_static("left to the web server");
        response.headers_mut().insert("x-file", left);
    }
}
