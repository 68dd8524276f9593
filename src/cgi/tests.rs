use std::io::{self, Read, Write};
use std::sync::mpsc::channel;

use enfilade_core::{Application, Body, HttpError, Outcome, Request};
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use super::{Variables, exchange};

fn variables(more: &[(&'static str, &'static str)]) -> Variables {
    let basic = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/x")];
    basic.iter().chain(more).copied().collect()
}

fn echo() -> Application {
    Application::new(async |mut request: Request| {
        request
            .take_body()
            .collect(1 << 20)
            .await
            .map_err(HttpError::from)
    })
}

fn exchanged(
    app: Application,
    variables: Variables,
    input: impl Read + Send + 'static,
) -> (io::Result<()>, String) {
    let mut output = Vec::new();
    let result = exchange(app, variables, input, &mut output);
    (result, String::from_utf8(output).unwrap())
}

/// An input that must not be read beyond these bytes.
struct Exactly(&'static [u8]);

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "read past the end");
        self.0.read(buffer)
    }
}

#[test]
fn the_body_is_as_long_as_was_said() {
    for (length, input, status, text) in [
        ("5", "Hello", "200 OK", "Hello"),
        ("5", "Hello, World", "200 OK", "Hello"),
        ("0", "Hello", "200 OK", ""),
        ("", "Hello", "200 OK", ""),
        ("9", "Hello", "400 Bad Request", "Bad Request"),
        ("-1", "Hello", "400 Bad Request", "Invalid CONTENT_LENGTH"),
    ] {
        let (result, response) = exchanged(
            echo(),
            variables(&[("CONTENT_LENGTH", length)]),
            input.as_bytes(),
        );
        result.unwrap();
        assert!(
            response.starts_with(&format!("Status: {status}\r\n")),
            "{length}: {response}"
        );
        assert_eq!(response.split_once("\r\n\r\n").unwrap().1, text, "{length}");
    }
}

#[test]
fn input_is_read_when_it_is_asked_for_and_no_further() {
    let nothing = Application::new(|_: Request| "none");
    let (result, _) = exchanged(nothing, variables(&[("CONTENT_LENGTH", "5")]), Exactly(b""));
    result.unwrap();
    let (result, text) = exchanged(
        echo(),
        variables(&[("CONTENT_LENGTH", "5")]),
        Exactly(b"Hello"),
    );
    result.unwrap();
    assert!(text.ends_with("Hello"));
}

#[test]
fn an_aborted_response_is_an_error() {
    let app = Application::new(|_: Request| {
        let mut parts = [Ok("a"), Err("cable cut")].into_iter();
        Body::new(Stream(move || parts.next()))
    });
    let (result, text) = exchanged(app, variables(&[]), io::empty());
    assert_eq!(
        result.unwrap_err().to_string(),
        "the body could not be read to its end"
    );
    assert!(text.ends_with("\r\n\r\na"));
}

struct Stream<F>(F);

impl<F: FnMut() -> Option<Result<&'static str, &'static str>> + Unpin> http_body::Body
    for Stream<F>
{
    type Data = bytes::Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, &'static str>>> {
        let next = (self.0)();
        std::task::Poll::Ready(
            next.map(|next| next.map(|text| http_body::Frame::data(text.into()))),
        )
    }
}

/// The bytes written, and their number at each flush.
#[derive(Default)]
struct Flushes(Vec<u8>, Vec<usize>);

impl Write for Flushes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.push(self.0.len());
        Ok(())
    }
}

#[test]
fn a_stream_is_written_as_it_is_produced() {
    let app = Application::new(|_: Request| Body::from_iterator(["ab", "cd"]));
    let mut output = Flushes::default();
    exchange(app, variables(&[]), io::empty(), &mut output).unwrap();
    let head = "Status: 200 OK\r\n\r\n".len();
    assert_eq!(output.1, [head, head + 2, head + 4, head + 4]);
}

#[test]
fn a_client_that_is_gone_drops_the_body() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (sender, ends) = channel();
    let app = Application::new(move |_: Request| {
        let sender = sender.clone();
        Body::from_iterator(std::iter::repeat("x"))
            .on_end(move |end| sender.send(end.outcome()).unwrap())
    });
    let error = exchange(app, variables(&[]), io::empty(), Gone).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(ends.recv(), Ok(Outcome::Dropped));
}

#[test]
fn an_application_may_need_a_runtime() {
    let app = Application::new(async |_: Request| {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        tokio::spawn(async { "spawned" }).await.unwrap()
    });
    let (result, text) = exchanged(app, variables(&[]), io::empty());
    result.unwrap();
    assert!(text.ends_with("spawned"));
}

proptest! {
    #[test]
    fn any_variables_are_a_request_or_refused(
        pairs in proptest::collection::vec(
            (
                prop_oneof![
                    select(vec![
                        "REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_LENGTH",
                        "CONTENT_TYPE", "REMOTE_ADDR", "REMOTE_PORT", "SERVER_PROTOCOL", "HTTP_HOST", "HTTP_X",
                    ]).prop_map(|name| name.as_bytes().to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..8),
                ],
                prop_oneof![
                    select(vec!["GET", "/a", "/a/b", "/a%2Fb", "//", "..", "HTTP/1.1", "1", "h", "é", "?", "*", "http://h/"])
                        .prop_map(|value| value.as_bytes().to_vec()),
                    proptest::collection::vec(any::<u8>(), 0..8),
                ],
            ),
            0..16,
        )
    ) {
        let variables: Variables = pairs.into_iter().collect();
        if let Ok(request) = super::request(&variables, Body::empty()) {
            let whole = format!("{}{}", request.script_name(), request.path());
            assert_eq!(whole, request.uri().path());
        }
    }
}

#[test]
fn what_is_spawned_runs_to_its_end_after_the_response() {
    let (sender, done) = channel();
    let app = Application::new(move |request: Request| {
        let sender = sender.clone();
        let connection = request.connection().clone();
        let spawned = request.connection().spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            // It may spawn, too.
            let more = connection.spawn(async move { sender.send("done").unwrap() });
            assert!(more.is_ok());
        });
        spawned.map_or("not run", |()| "Hello")
    });
    let (result, text) = exchanged(app, variables(&[]), io::empty());
    assert!(result.is_ok() && text.ends_with("Hello"));
    assert_eq!(done.try_recv(), Ok("done"));
}
