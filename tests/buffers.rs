//! Wrappers hold only as much of a body as documented, however a peer cuts its content into chunks.
//!
//! A chunk of one byte may be a part of a buffer of any size, which lives as long as the chunk. So these tests count the
//! chunks that live at once, and not bytes.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod wrappers;
}

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade::middleware::{
    BodyLimit, Cascade, Coding, Compression, Decompression, Etags, Flush, Hosts, MethodOverride,
    Mounts, Redirect, Router,
};
use enfilade::{Application, Body, Connection, HttpError, IntoResponse, Request, Response, Scheme};
use http::{HeaderValue, Method, StatusCode};

use self::support::wrappers::{Wrap, wrapper, wrappers};

/// The chunks of a body: kept unchanged, they would hold more than the smallest of all limits.
const CHUNKS: usize = 60_000;

/// How many chunks live, and the maximum so far.
#[derive(Clone, Default)]
struct Living(Arc<(AtomicUsize, AtomicUsize)>);

struct Chunk {
    byte: [u8; 1],
    living: Living,
}

impl Living {
    fn chunk(&self, byte: u8) -> Bytes {
        let (living, most) = &*self.0;
        most.fetch_max(living.fetch_add(1, SeqCst) + 1, SeqCst);
        Bytes::from_owner(Chunk {
            byte: [byte],
            living: self.clone(),
        })
    }

    fn now(&self) -> usize {
        self.0.0.load(SeqCst)
    }

    fn most(&self) -> usize {
        self.0.1.load(SeqCst)
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.byte
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.living.0.0.fetch_sub(1, SeqCst);
    }
}

/// Content in chunks of one byte.
struct Chunks {
    content: std::vec::IntoIter<u8>,
    living: Living,
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let next = self.content.next();
        Poll::Ready(next.map(|byte| Ok(http_body::Frame::data(self.living.chunk(byte)))))
    }
}

impl Living {
    fn body(&self, content: impl Into<Vec<u8>>) -> Body {
        Body::new(Chunks {
            content: content.into().into_iter(),
            living: self.clone(),
        })
    }
}

/// All wrappers, and again those that buffer by option.
fn all() -> Vec<(&'static str, Wrap)> {
    let cascade = |app: Application| {
        let first = Application::new(|_: Request| StatusCode::NOT_FOUND);
        Application::new(Cascade::new([first, app]).replay_bodies(1 << 20))
    };
    let compression = Compression::new().min_size(0).etags(Etags::PerCoding);
    let mut all = wrappers();
    // All of a body arrives.
    all.retain(|(name, _)| *name != "BodyLimit");
    all.push(("BodyLimit", wrapper(BodyLimit::new(1 << 20))));
    all.push(("Cascade that replays", Box::new(cascade)));
    let hosts = |app| Application::new(Hosts::new().otherwise(app));
    all.push(("Hosts", Box::new(hosts)));
    let mounts = |app| Application::new(Mounts::new().otherwise(app));
    all.push(("Mounts", Box::new(mounts)));
    let routed = |app| Router::new().any("/", app).build().unwrap();
    all.push(("Router", Box::new(routed)));
    all.push(("Redirect", wrapper(Redirect::found())));
    all.push((
        "MethodOverride by a form",
        wrapper(MethodOverride::new().form_field("_method")),
    ));
    all.push((
        "Compression with a memo",
        wrapper(compression.clone().memo(1 << 20)),
    ));
    all.push((
        "Compression that never flushes",
        wrapper(compression.flush(Flush::Never)),
    ));
    all
}

fn request(method: Method, headers: &[(&'static str, &'static str)], body: Body) -> Request {
    let mut request = Request::new(method, "/".parse().unwrap());
    let connection = Connection::new(Scheme::Https).with_peer("10.0.0.1:4711".parse().unwrap());
    request.set_connection(connection);
    for (name, value) in [("host", "example.org")].iter().chain(headers) {
        let value = HeaderValue::from_static(value);
        request.headers_mut().append(*name, value);
    }
    *request.body_mut() = body;
    request
}

/// Reads a body frame by frame, and keeps no frame.
async fn count(mut body: Body) -> Result<usize, enfilade::BodyError> {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame?.into_data().map_or(0, |data| data.len());
    }
    Ok(read)
}

fn counting() -> Application {
    Application::new(async |mut request: Request| {
        let read = count(request.take_body()).await?;
        Ok::<_, HttpError>(read.to_string())
    })
}

fn text(response: Response) -> String {
    let body = pollster::block_on(response.into_body().collect(1 << 20)).unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn no_wrapper_keeps_the_chunks_of_a_request() {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (name, wrap) in all() {
        let living = Living::default();
        let body = living.body("a".repeat(CHUNKS));
        let app = wrap(counting());
        let response = pollster::block_on(app.call(request(Method::POST, &form, body)));
        assert_eq!(text(response), CHUNKS.to_string(), "{name}");
        assert!(living.most() <= 2, "{name}: {} at once", living.most());
        assert_eq!(living.now(), 0, "{name}");
    }
}

#[test]
fn no_coding_keeps_the_chunks_of_a_request() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all("a".repeat(CHUNKS).as_bytes()).unwrap();
    let living = Living::default();
    let body = living.body(encoder.finish().unwrap());
    let app = counting().wrap(Decompression::new());
    let compressed = [("content-encoding", "gzip")];
    let response = pollster::block_on(app.call(request(Method::POST, &compressed, body)));
    assert_eq!(text(response), CHUNKS.to_string());
    assert!(living.most() <= 2, "{} at once", living.most());
}

#[test]
fn no_wrapper_keeps_the_chunks_of_a_response() {
    for (name, wrap) in all() {
        for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
            let living = Living::default();
            let made = living.clone();
            let app = wrap(Application::new(move |_: Request| {
                (
                    status,
                    [("content-type", "text/plain")],
                    made.body("a".repeat(CHUNKS)),
                )
            }));
            let accepts = [("accept-encoding", "gzip")];
            let response =
                pollster::block_on(app.call(request(Method::GET, &accepts, Body::empty())));
            assert_eq!(living.most(), 0, "{name} read ahead");
            pollster::block_on(count(response.into_body())).unwrap();
            assert!(living.most() <= 2, "{name}: {} at once", living.most());
            assert_eq!(living.now(), 0, "{name}");
        }
    }
}

/// A part of a large buffer is stored in a memo without the rest of the buffer.
#[test]
fn a_memo_does_not_hold_the_buffer_that_content_is_a_part_of() {
    struct Buffer(Vec<u8>, Living);
    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Buffer {
        fn drop(&mut self) {
            self.1.0.0.fetch_sub(1, SeqCst);
        }
    }
    let living = Living::default();
    let made = living.clone();
    let app = Application::new(move |_: Request| {
        made.0.0.fetch_add(1, SeqCst);
        let buffer = Bytes::from_owner(Buffer(vec![b'a'; 1 << 20], made.clone()));
        Body::from(buffer.slice(..4_096)).into_response()
    });
    let compression = Compression::new().codings([Coding::Gzip]).memo(1 << 20);
    let usage = compression.memo_usage();
    let app = app.wrap(compression.only_if(|_| true));
    for _ in 0..4 {
        let compressed = [("accept-encoding", "gzip")];
        let response =
            pollster::block_on(app.call(request(Method::GET, &compressed, Body::empty())));
        assert_eq!(response.headers()["content-encoding"], "gzip");
    }
    assert!(usage.hits() > 0);
    assert_eq!(living.now(), 0);
}
