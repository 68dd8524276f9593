//! Bodies that fail, or have another length than they announce.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use enfilade::{Application, Body, BoxError, Request};
use http::HeaderValue;
use http::header::CONTENT_LENGTH;

use super::wire::PATIENCE;

/// A body of chunks, `|` after each; `!` fails, and `.` comes a little later.
fn body(plan: &str) -> Body {
    let mut plan: std::collections::VecDeque<char> = plan.chars().collect();
    let stream = async_stream(move || {
        let mut chunk = String::new();
        while let Some(next) = plan.pop_front() {
            match next {
                '|' => break,
                '!' => return Some(Err("the disk is gone".into())),
                other => chunk.push(other),
            }
        }
        (!chunk.is_empty()).then(|| Ok(chunk))
    });
    Body::new(stream)
}

/// A stream of the results of `next`; one that begins with a dot is waited for.
fn async_stream(
    next: impl FnMut() -> Option<Result<String, BoxError>> + Send + Unpin + 'static,
) -> Later<impl FnMut() -> Option<Result<String, BoxError>> + Send + Unpin> {
    Later {
        next,
        waiting: None,
    }
}

struct Later<F> {
    next: F,
    waiting: Option<(std::pin::Pin<Box<tokio::time::Sleep>>, String)>,
}

impl<F> http_body::Body for Later<F>
where
    F: FnMut() -> Option<Result<String, BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        use std::task::Poll;
        if self.waiting.is_none() {
            match (self.next)() {
                Some(Ok(chunk)) if chunk.starts_with('.') => {
                    let sleep = Box::pin(tokio::time::sleep(Duration::from_millis(100)));
                    self.waiting = Some((sleep, chunk));
                }
                Some(Ok(chunk)) => return Poll::Ready(Some(Ok(frame(chunk)))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        if let Some((sleep, _)) = &mut self.waiting {
            std::task::ready!(sleep.as_mut().poll(context));
        }
        let chunk = self.waiting.take().map(|(_, chunk)| chunk);
        Poll::Ready(chunk.map(|chunk| Ok(frame(chunk))))
    }
}

fn frame(chunk: String) -> http_body::Frame<Bytes> {
    http_body::Frame::data(chunk.into())
}

/// The path is the plan, and the query is the announced length.
pub(crate) fn app() -> Application {
    Application::new(|request: Request| {
        let plan = request.path().trim_start_matches('/').replace("%7C", "|");
        let mut response = http::Response::new(body(&plan));
        if let Some(length) = request.query_string() {
            let length = HeaderValue::from_str(length).unwrap();
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        response
    })
}

/// Reads until the end of the connection; returns the bytes, and whether the end is a reset.
pub(crate) fn all(mut stream: TcpStream) -> (String, bool) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut all, mut part) = (Vec::new(), [0; 1024]);
    let is_reset = loop {
        match stream.read(&mut part) {
            Ok(0) => break false,
            Ok(count) => all.extend(&part[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break true,
            Err(error) => panic!("{error}"),
        }
    };
    (String::from_utf8(all).unwrap(), is_reset)
}
