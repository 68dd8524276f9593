use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use enfilade_core::{Application, Body, HttpError, Outcome, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::record::{MAX_CONTENT, ProtocolStatus, Record, RecordType, write_end, write_stream};
use super::serve_connection;

const WAIT: Duration = Duration::from_secs(10);

/// A web server's end of a connection.
struct Front {
    stream: DuplexStream,
    input: BytesMut,
}

/// A connection to `app` with a buffer of this size, on a runtime of its own.
fn connected<F: Future<Output = ()>>(app: Application, size: usize, test: impl FnOnce(Front) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (front, back) = tokio::io::duplex(size);
        tokio::spawn(async move { serve_connection(back, app).await });
        let front = Front {
            stream: front,
            input: BytesMut::new(),
        };
        tokio::time::timeout(WAIT, test(front)).await.unwrap();
    });
}

fn begin(id: u16, role: u8, flags: u8) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![1, 1, high, low, 0, 8, 0, 0, 0, role, flags, 0, 0, 0, 0, 0]
}

fn stream(record_type: RecordType, id: u16, content: &[u8]) -> Vec<u8> {
    let mut output = BytesMut::new();
    write_stream(&mut output, record_type, id, content);
    output.to_vec()
}

fn last(record_type: u8, id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![1, record_type, high, low, 0, 0, 0, 0]
}

fn params(id: u16, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut content = BytesMut::new();
    for (name, value) in pairs {
        for text in [name, value] {
            content.put_u32(u32::try_from(text.len()).unwrap() | 0x8000_0000);
        }
        content.put_slice(name.as_bytes());
        content.put_slice(value.as_bytes());
    }
    [stream(RecordType::Params, id, &content), last(4, id)].concat()
}

/// A whole request that keeps the connection.
fn request_of(id: u16, path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let pairs = [
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", path),
        ("CONTENT_LENGTH", &length),
    ];
    [
        begin(id, 1, 1),
        params(id, &pairs),
        stream(RecordType::Stdin, id, body),
        last(5, id),
    ]
    .concat()
}

impl Front {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn record(&mut self) -> Option<Record> {
        loop {
            if let Some(record) = Record::decode(&mut self.input).unwrap() {
                return Some(record);
            }
            if self.stream.read_buf(&mut self.input).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// The output of a request, and how it ended.
    async fn response(&mut self, id: u16) -> (String, u8) {
        let mut output = Vec::new();
        loop {
            let record = self.record().await.expect("an end of the request");
            assert_eq!(record.id, id);
            match record.record_type {
                RecordType::Stdout => output.extend_from_slice(&record.content),
                RecordType::EndRequest => {
                    return (String::from_utf8(output).unwrap(), record.content[4]);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn text(&mut self, id: u16) -> String {
        let (output, end) = self.response(id).await;
        assert_eq!(end, ProtocolStatus::Complete as u8);
        output.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

fn echo() -> Application {
    Application::new(async |mut request: Request| -> Result<String, HttpError> {
        let body = request.take_body().collect(1 << 20).await?;
        Ok(format!("{} {}", request.path(), body.len()))
    })
}

/// An application whose response never ends, and the outcome of the response.
fn endless() -> (Application, Receiver<Outcome>) {
    let (sender, ends) = channel();
    let app = Application::new(move |_: Request| {
        let sender = sender.clone();
        Body::new(Never).on_end(move |end| sender.send(end.outcome()).unwrap())
    });
    (app, ends)
}

struct Never;

impl http_body::Body for Never {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>> {
        std::task::Poll::Pending
    }
}

#[test]
fn a_kept_connection_serves_one_request_after_the_other() {
    connected(echo(), 64, async |mut front| {
        for (id, path) in [(1, "/a"), (1, "/b"), (0x102, "/c")] {
            front.send(&request_of(id, path, b"four")).await;
            assert_eq!(front.text(id).await, format!("{path} 4"));
        }
    });
}

#[test]
fn a_connection_that_is_not_kept_is_closed() {
    connected(echo(), 1 << 16, async |mut front| {
        let mut request = request_of(1, "/a", b"");
        request[10] = 0;
        front.send(&request).await;
        assert_eq!(front.text(1).await, "/a 0");
        assert!(front.record().await.is_none());
    });
}

#[test]
fn large_bodies_pass_in_both_directions_at_the_same_time() {
    let mirror = Application::new(|mut request: Request| request.take_body());
    for size in [64, 1 << 12, 1 << 16] {
        connected(mirror.clone(), size, async |front| {
            let content = "x".repeat(300_000);
            let request = request_of(1, "/", content.as_bytes());
            let (mut reader, mut writer) = tokio::io::split(front.stream);
            let sending = tokio::spawn(async move {
                writer.write_all(&request).await.unwrap();
                writer
            });
            let (mut input, mut output) = (BytesMut::new(), Vec::new());
            loop {
                let Some(record) = Record::decode(&mut input).unwrap() else {
                    reader.read_buf(&mut input).await.unwrap();
                    continue;
                };
                assert!(record.content.len() <= MAX_CONTENT);
                match record.record_type {
                    RecordType::Stdout => output.extend_from_slice(&record.content),
                    _ => break,
                }
            }
            drop(sending.await.unwrap());
            assert!(output.ends_with(content.as_bytes()));
        });
    }
}

#[test]
fn a_body_without_a_length_ends_where_it_is_said() {
    connected(echo(), 1 << 16, async |mut front| {
        let pairs = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/")];
        for (body, expected) in [(&b""[..], "/ 0"), (b"four", "/ 4")] {
            front
                .send(
                    &[
                        begin(1, 1, 1),
                        params(1, &pairs),
                        stream(RecordType::Stdin, 1, body),
                        last(5, 1),
                    ]
                    .concat(),
                )
                .await;
            assert_eq!(front.text(1).await, expected);
        }
    });
}

#[test]
fn a_body_of_another_length_is_a_400() {
    connected(echo(), 1 << 16, async |mut front| {
        let pairs = [
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/"),
            ("CONTENT_LENGTH", "5"),
        ];
        for body in [&b"four"[..], b"sixsix"] {
            front
                .send(
                    &[
                        begin(1, 1, 1),
                        params(1, &pairs),
                        stream(RecordType::Stdin, 1, body),
                        last(5, 1),
                    ]
                    .concat(),
                )
                .await;
            assert!(front.response(1).await.0.starts_with("Status: 400 "));
        }
    });
}

#[test]
fn a_second_request_at_the_same_time_is_refused() {
    let (app, ends) = endless();
    connected(app, 1 << 16, async |mut front| {
        front.send(&request_of(1, "/", b"")).await;
        let head = front.record().await.unwrap();
        assert_eq!((head.record_type, head.id), (RecordType::Stdout, 1));
        front.send(&request_of(2, "/", b"")).await;
        assert_eq!(
            front.response(2).await,
            (String::new(), ProtocolStatus::CannotMultiplex as u8)
        );
        front.send(&[1, 9, 0, 0, 0, 17, 0, 0, 15, 0]).await;
        front.send(b"FCGI_MPXS_CONNS").await;
        assert_eq!(
            front.record().await.unwrap().record_type,
            RecordType::GetValuesResult
        );
        front.send(&last(2, 1)).await;
        assert_eq!(
            front.response(1).await,
            (String::new(), ProtocolStatus::Complete as u8)
        );
        assert_eq!(ends.recv(), Ok(Outcome::Dropped));
    });
}

#[test]
fn a_request_can_be_taken_back_at_any_time() {
    connected(echo(), 1 << 16, async |mut front| {
        let whole = request_of(1, "/", b"four");
        // Before its variables, before its body, and in the middle of the body.
        for cut in [16, whole.len() - 20, whole.len() - 8] {
            front.send(&whole[..cut]).await;
            front.send(&last(2, 1)).await;
            assert_eq!(
                front.response(1).await.1,
                ProtocolStatus::Complete as u8,
                "{cut}"
            );
        }
        front.send(&whole).await;
        assert_eq!(front.text(1).await, "/ 4");
    });
}

#[test]
fn a_web_server_that_disconnects_ends_the_response() {
    let (app, ends) = endless();
    connected(app, 1 << 16, async |mut front| {
        front.send(&request_of(1, "/", b"")).await;
        assert_eq!(
            front.record().await.unwrap().record_type,
            RecordType::Stdout
        );
        drop(front);
        let ended = tokio::task::spawn_blocking(move || ends.recv_timeout(WAIT));
        assert_eq!(ended.await.unwrap(), Ok(Outcome::Dropped));
    });
}

#[test]
fn other_roles_and_records_get_a_reply() {
    connected(echo(), 1 << 16, async |mut front| {
        front.send(&begin(1, 2, 1)).await;
        assert_eq!(
            front.response(1).await,
            (String::new(), ProtocolStatus::UnknownRole as u8)
        );
        front.send(&[1, 77, 0, 0, 0, 0, 0, 0]).await;
        let unknown = front.record().await.unwrap();
        assert_eq!(
            (unknown.record_type, unknown.content[0]),
            (RecordType::UnknownType, 77)
        );
        // For a request that does not exist.
        front.send(&stream(RecordType::Stdin, 9, b"late")).await;
        front.send(&request_of(1, "/", b"four")).await;
        assert_eq!(front.text(1).await, "/ 4");
    });
}

#[test]
fn what_is_no_fastcgi_closes_the_connection() {
    let twice = [begin(1, 1, 1), begin(1, 1, 1)].concat();
    let cut = [
        begin(1, 1, 1),
        stream(RecordType::Params, 1, b"\x05\x05ab"),
        last(4, 1),
    ]
    .concat();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[1, 1, 0, 1, 0, 1, 0, 0, 0],
        &twice,
        &cut,
    ] {
        connected(echo(), 1 << 16, async |mut front| {
            front.send(bytes).await;
            assert!(front.record().await.is_none());
        });
    }
}

#[test]
fn variables_have_a_limit() {
    connected(echo(), 1 << 16, async |mut front| {
        let long = "x".repeat(70_000);
        let pairs = [
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/"),
            ("HTTP_X", &*long),
        ];
        front
            .send(&[begin(1, 1, 1), params(1, &pairs), last(5, 1)].concat())
            .await;
        assert!(front.response(1).await.0.starts_with("Status: 431 "));
        front.send(&request_of(1, "/", b"four")).await;
        assert_eq!(front.text(1).await, "/ 4");
    });
}

#[test]
fn an_aborted_response_has_no_end() {
    let app = Application::new(|_: Request| Body::new(Failing(false)));
    connected(app, 1 << 16, async |mut front| {
        front.send(&request_of(1, "/", b"")).await;
        assert!(
            front
                .record()
                .await
                .unwrap()
                .content
                .starts_with(b"Status: 200 ")
        );
        assert_eq!(front.record().await.unwrap().content, "part");
        let mut rest = Vec::new();
        front.stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!([&front.input[..], &rest[..]].concat(), [0; 8]);
    });
}

struct Failing(bool);

impl http_body::Body for Failing {
    type Data = bytes::Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, &'static str>>> {
        let has_begun = std::mem::replace(&mut self.0, true);
        std::task::Poll::Ready(Some(match has_begun {
            false => Ok(http_body::Frame::data("part".into())),
            true => Err("cable cut"),
        }))
    }
}

#[test]
fn an_end_has_the_output_s_end_before_it() {
    let mut output = BytesMut::new();
    write_end(&mut output, 1, ProtocolStatus::UnknownRole);
    assert_eq!(output.len(), 16);
    write_end(&mut output, 1, ProtocolStatus::Complete);
    assert_eq!(output.len(), 40);
}

#[test]
fn what_is_spawned_runs_to_its_end() {
    let (sender, done) = channel();
    let app = Application::new(move |request: Request| {
        let sender = sender.clone();
        let task = async move {
            tokio::task::yield_now().await;
            sender.send(()).unwrap();
        };
        let spawned = request.connection().spawn(task);
        spawned.map_or("nothing runs it", |()| "Hello")
    });
    connected(app, 1 << 16, async |mut front| {
        front.send(&request_of(1, "/", b"")).await;
        assert_eq!(front.text(1).await, "Hello");
        while done.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    });
}
