//! The application of each case's server.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use enfilade::{Application, HttpError, Request};
use http::HeaderMap;

/// The path that the runner requests to check that the connection still serves.
pub(crate) const PROBE: &str = "/probe";
pub(crate) const PROBED: &str = "probe";

/// Counts its calls, without those of the runner itself.
pub(crate) fn build(calls: Arc<AtomicUsize>) -> Application {
    Application::new(move |request: Request| {
        if request.path() != PROBE {
            calls.fetch_add(1, Ordering::SeqCst);
        }
        respond(request)
    })
}

async fn respond(mut request: Request) -> Result<String, HttpError> {
    Ok(match request.path() {
        PROBE => PROBED.to_owned(),
        "/echo" => echo(&mut request).await?,
        "/saw" => saw(&request),
        "/large" => "x".repeat(100_000),
        "/wait" => std::future::pending().await,
        _ => "Hello".to_owned(),
    })
}

/// Returns the content, and the trailers, one on each line.
async fn echo(request: &mut Request) -> Result<String, HttpError> {
    let mut body = request.take_body();
    let mut text = String::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => text += &String::from_utf8_lossy(&data),
            Err(frame) => text += &lines(frame.trailers_ref().unwrap()),
        }
    }
    Ok(text)
}

/// Returns the head of the request.
fn saw(request: &Request) -> String {
    let target = request.uri();
    format!(
        "{} {target}\n{}",
        request.method(),
        lines(request.headers())
    )
}

fn lines(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        writeln!(text, "{name}: {value}").unwrap();
    }
    text
}
