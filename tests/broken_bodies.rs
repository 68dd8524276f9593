//! Bodies that fail, or are not as long as they say: by no gateway's means do they look complete.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which lints do not count as tests"
)]

mod support {
    #[expect(dead_code, reason = "others need more of it")]
    pub(crate) mod frames;
    pub(crate) mod running;
    #[expect(dead_code, reason = "others need more of it")]
    pub(crate) mod wire;
}

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use enfilade::{Application, Body, BoxError, Request, Server, scgi};
use http::HeaderValue;
use http::header::CONTENT_LENGTH;

use self::support::frames::{Frames, Kind};
use self::support::running::Running;
use self::support::wire::{PATIENCE, Wire};

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

/// A stream of what `next` gives; what begins with a dot is waited for.
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

/// The plan is the path, and the length that is announced the query.
fn app() -> Application {
    Application::new(|request: Request| {
        let plan = request.path().trim_start_matches('/').replace("%7C", "|");
        let mut response = http::Response::new(body(&plan));
        if let Some(length) = request.query() {
            let length = HeaderValue::from_str(length).unwrap();
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        response
    })
}

fn serve() -> Running {
    let server = Server::bind("127.0.0.1:0").unwrap();
    Running::serve(server.shutdown_deadline(Duration::from_secs(1)), app())
}

/// Everything until the end of the connection, and whether that end is a reset.
fn all(mut stream: TcpStream) -> (String, bool) {
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

#[test]
fn http_1_0_resets_what_has_no_other_end() {
    let running = serve();
    for (target, content, is_reset) in [
        ("/abc", "abc", false),
        ("/abc%7C.def", "abc.def", false),
        ("/abc%7C.def%7C!", "abc.def", true),
        ("/.abc%7C!", ".abc", true),
    ] {
        let mut wire = Wire::connect(running.address());
        wire.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        let (response, found) = all(wire.stream);
        assert_eq!(found, is_reset, "{target}");
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, content, "{target}");
    }
}

#[test]
fn http_1_1_has_no_whole_message_of_what_is_not() {
    let running = serve();
    for (target, status, content) in [
        // Whole ones.
        ("/abc", 200, "3\r\nabc\r\n0\r\n\r\n"),
        ("/abc%7C.de?6", 200, "abc.de"),
        // Too short, at once and later: the client waits for more, and finds the end of the connection.
        ("/abc?10", 200, "abc"),
        ("/abc%7C.de?10", 200, "abc.de"),
        ("/.abc?10", 200, ".abc"),
        // Too long: what fits would look complete.
        ("/abc%7Cdef?5", 200, "abc"),
        ("/abcde%7Cf?5", 200, ""),
        ("/abc%7Cde%7Cf?5", 200, "abc"),
        ("/abc%7C.de?5", 200, "abc"),
        // Failures.
        ("/abc%7C!", 200, "3\r\nabc\r\n"),
        ("/abc%7C!?3", 200, "abc"),
        // Known before the head.
        ("/?10", 500, "Internal Server Error"),
        ("/!?10", 500, "Internal Server Error"),
        ("/abcdef?5", 500, "Internal Server Error"),
        ("/abc?0", 500, "Internal Server Error"),
    ] {
        let mut wire = Wire::connect(running.address());
        wire.send(format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        ));
        let (response, _) = all(wire.stream);
        let (head, body) = response
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{target}"));
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{target}: {head}"
        );
        assert_eq!(body, content, "{target}");
    }
}

#[test]
fn http_2_resets_what_is_not_as_long_as_it_says() {
    let running = serve();
    for (target, content, is_reset) in [
        ("/abc?3", "abc", false),
        ("/abc%7C.de?6", "abc.de", false),
        ("/abc?10", "abc", true),
        ("/abc%7C.de?10", "abc.de", true),
        ("/abc%7Cdef?5", "abc", true),
        ("/abcdef?5", "Internal Server Error", false),
        ("/abcde%7Cf?5", "", true),
        ("/abcde%7C!?5", "abcde", true),
        ("/abc%7C!?3", "abc", true),
        ("/abc%7C!?10", "abc", true),
        ("/?10", "Internal Server Error", false),
    ] {
        let mut frames = Frames::connect(running.address(), 1 << 16);
        frames.get(1, target);
        let mut found = Vec::new();
        let ends_in_reset = loop {
            let frame = frames.next().unwrap();
            match frame.kind {
                Kind::DATA => found.extend(&frame.payload),
                Kind::RST_STREAM => break true,
                _ => {}
            }
            if frame.stream == 1 && frame.flags & 1 != 0 {
                break false;
            }
        };
        let found = String::from_utf8(found).unwrap();
        assert_eq!(
            (found.as_str(), ends_in_reset),
            (content, is_reset),
            "{target}"
        );
    }
}

#[test]
fn scgi_resets_what_has_no_other_end() {
    let server = scgi::Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let serving = runtime.spawn(server.serve_until(app(), std::future::pending()));
    for (plan, content, is_reset) in [
        ("abc", "abc", false),
        ("abc|.def|!", "abc.def", true),
        ("!", "", true),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        let uri = plan.replace('|', "%7C");
        let variables = format!(
            "CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00REQUEST_URI\x00/{uri}\x00PATH_INFO\x00/{plan}\x00SERVER_PROTOCOL\x00HTTP/1.1\x00HTTP_HOST\x00h\x00"
        );
        let request = format!("{}:{variables},", variables.len());
        stream.write_all(request.as_bytes()).unwrap();
        let (response, found) = all(stream);
        assert_eq!(found, is_reset, "{plan}: {response}");
        let (_, body) = response.split_once("\r\n\r\n").unwrap_or_default();
        assert_eq!(body, content, "{plan}");
    }
    serving.abort();
}
