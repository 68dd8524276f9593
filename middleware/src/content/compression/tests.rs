use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use enfilade_core::{Body, OptionValue, Request};
use enfilade_testing::{Client, Lint};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body as _, Frame};
use proptest::collection;
use proptest::prelude::*;

use super::encoder::Then;
use super::stream::CompressedBody;
use super::*;

const TEXT: &str = "text/plain";

type Make = fn() -> Body;
type HeaderList = &'static [(&'static str, &'static str)];

/// Decodes compressed content.
fn decoded(coding: Coding, compressed: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    match coding {
        Coding::Gzip => MultiGzDecoder::new(compressed).read_to_end(&mut plain),
        Coding::Deflate => ZlibDecoder::new(compressed).read_to_end(&mut plain),
        #[cfg(feature = "brotli")]
        Coding::Brotli => brotli::Decompressor::new(compressed, 4096).read_to_end(&mut plain),
        #[cfg(feature = "zstd")]
        Coding::Zstd => zstd::stream::read::Decoder::new(compressed)
            .and_then(|mut decoder| decoder.read_to_end(&mut plain)),
    }
    .map(|_| plain)
}

fn gunzip(compressed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(compressed)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// An application with these headers and this content, in memory or as a stream, between two Lints.
fn client(headers: HeaderList, status: u16, body: Make) -> Client {
    client_with(Compression::new().min_size(10), headers, status, body)
}

fn client_with(compression: Compression, headers: HeaderList, status: u16, body: Make) -> Client {
    let app = Application::new(move |_: Request| {
        let mut response = Response::new(body());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        response
    });
    Client::new(app.wrap(Lint::new()).wrap(compression).wrap(Lint::new()))
}

fn body() -> Body {
    Body::from("Hello, hello, hello!")
}

fn stream() -> Body {
    Body::from_iterator(["Hello, ", "hello, ", "hello!"])
}

#[test]
fn content_is_coded_in_memory_and_as_a_stream() {
    for body in [body, stream, || {
        Body::from_list(["Hello, hello", ", hello!"])
    }] {
        let client = client(&[("content-type", TEXT)], 200, body);
        let response = client.get("/").header("accept-encoding", "gzip").send();
        assert_eq!(response.header("content-encoding"), Some("gzip"));
        assert_eq!(response.header("vary"), Some("accept-encoding"));
        assert_eq!(gunzip(response.bytes()), b"Hello, hello, hello!");
        let response = client.get("/").header("accept-encoding", "deflate").send();
        let mut plain = String::new();
        ZlibDecoder::new(&response.bytes()[..])
            .read_to_string(&mut plain)
            .unwrap();
        assert_eq!(plain, "Hello, hello, hello!");
    }
}

#[test]
fn only_what_may_be_and_gains_is_coded() {
    let short = || Body::from("Hello");
    let cases: [(HeaderList, u16, Make, bool); 15] = [
        (&[("content-type", TEXT)], 200, body, true),
        (
            &[("content-type", "Text/HTML; charset=utf-8")],
            404,
            body,
            true,
        ),
        (
            &[("content-type", TEXT), ("content-encoding", "identity")],
            200,
            body,
            true,
        ),
        (
            &[
                ("content-type", TEXT),
                ("cache-control", "x-no-transformer=1"),
            ],
            200,
            body,
            true,
        ),
        (&[], 200, body, false),
        (&[("content-type", "image/png")], 200, body, false),
        (&[("content-type", TEXT)], 200, short, false),
        (&[("content-type", TEXT)], 200, Body::empty, false),
        (
            &[("content-type", TEXT), ("content-encoding", "br")],
            200,
            body,
            false,
        ),
        (
            &[("content-type", TEXT), ("content-range", "bytes 0-19/30")],
            200,
            body,
            false,
        ),
        (
            &[
                ("content-type", TEXT),
                ("cache-control", "public, no-transform"),
            ],
            200,
            body,
            false,
        ),
        (&[("content-type", TEXT)], 206, body, false),
        (&[("content-type", TEXT)], 204, Body::empty, false),
        (&[("content-type", TEXT)], 205, Body::empty, false),
        (&[("content-type", TEXT)], 304, Body::empty, false),
    ];
    for (headers, status, body, compressed) in cases {
        let response = client(headers, status, body)
            .get("/")
            .header("accept-encoding", "gzip")
            .send();
        let found = response.header("content-encoding") == Some("gzip");
        assert_eq!(found, compressed, "{status} {headers:?}");
        let varies = response.header("vary").is_some();
        let stands_for_compressed = status == 206 || status == 304;
        assert_eq!(
            varies,
            compressed || stands_for_compressed,
            "{status} {headers:?}"
        );
    }
}

#[test]
fn a_request_can_forbid_it() {
    let client = client(&[("content-type", TEXT)], 200, body);
    let request = client
        .get("/")
        .header("accept-encoding", "gzip")
        .header("cache-control", "No-Transform");
    let response = request.send();
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.header("vary"), Some("accept-encoding"));
}

#[test]
fn headers_of_the_old_bytes_go() {
    let headers: &[(&str, &str)] = &[
        ("content-type", TEXT),
        ("content-length", "20"),
        ("etag", "\"v1\""),
        ("accept-ranges", "bytes"),
        ("content-md5", "x"),
        ("repr-digest", "sha-256=:x:"),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    ];
    let response = client(headers, 200, body)
        .get("/")
        .header("accept-encoding", "gzip")
        .send();
    for name in ["accept-ranges", "content-md5", "repr-digest"] {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert_eq!(
        response.header("content-length"),
        Some(response.bytes().len().to_string().as_str())
    );
    assert_eq!(response.header("etag"), Some("W/\"v1\""));
    assert_eq!(
        response.header("last-modified"),
        Some("Sun, 06 Nov 1994 08:49:37 GMT")
    );
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
}

#[test]
fn head_has_the_headers_of_get_and_nothing_is_coded() {
    let client = client(&[("content-type", TEXT)], 200, body);
    let response = client.head("/").header("accept-encoding", "gzip").send();
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.header("vary"), Some("accept-encoding"));
    assert_eq!(response.header("content-length"), None);
    assert!(response.bytes().is_empty());
    let plain = client.head("/").send();
    assert_eq!(plain.header("content-length"), Some("20"));
}

#[test]
fn a_refused_identity_is_served_unless_that_is_refused() {
    let refusing = "identity;q=0, compress";
    let response = client(&[("content-type", TEXT)], 200, body)
        .get("/")
        .header("accept-encoding", refusing)
        .send();
    assert_eq!(
        (
            response.status().as_u16(),
            response.header("content-encoding")
        ),
        (200, None)
    );
    let called = Arc::new(AtomicBool::new(false));
    let seen = called.clone();
    let app = Application::new(move |_: Request| seen.store(true, Ordering::SeqCst));
    let client = Client::new(app.wrap(Compression::new().strict()));
    let response = client.get("/").header("accept-encoding", refusing).send();
    assert_eq!(
        (response.status().as_u16(), response.header("vary")),
        (406, Some("accept-encoding"))
    );
    assert!(!called.load(Ordering::SeqCst));
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let client = client(&[("content-type", TEXT)], 200, body);
    let get = || {
        client
            .get("/")
            .header("accept-encoding", "gzip")
            .send()
            .bytes()
            .to_vec()
    };
    assert_eq!(get(), get());
}

#[test]
fn trailers_follow_coded_content() {
    fn with_trailers() -> Body {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        // It was of the plain bytes.
        trailers.insert("repr-digest", "sha-256=:AAAA:".parse().unwrap());
        stream().with_trailers(trailers)
    }
    let response = client(&[("content-type", TEXT)], 200, with_trailers)
        .get("/")
        .header("accept-encoding", "gzip")
        .send();
    assert_eq!(gunzip(response.bytes()), b"Hello, hello, hello!");
    assert_eq!(response.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(response.trailers().unwrap().len(), 1);
}

/// A body that plays back what it is given; `None` is a pause.
struct Script(
    Vec<Option<Result<&'static str, &'static str>>>,
    Arc<AtomicBool>,
);

impl http_body::Body for Script {
    type Data = bytes::Bytes;
    type Error = enfilade_core::BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, Self::Error>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        match self.0.remove(0) {
            None => Poll::Pending,
            Some(Ok(text)) => Poll::Ready(Some(Ok(Frame::data(text.into())))),
            Some(Err(error)) => Poll::Ready(Some(Err(enfilade_core::BodyError::new(error)))),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

fn compressed(
    script: Vec<Option<Result<&'static str, &'static str>>>,
    flush: Flush,
) -> (Body, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    let inner = Body::new(Script(script, dropped.clone()));
    (
        Body::new(CompressedBody::new(
            inner,
            Arc::new(EncoderPool::new(Coding::Gzip, 6)),
            flush,
        )),
        dropped,
    )
}

fn poll(body: &mut Body) -> Poll<Option<Result<Vec<u8>, enfilade_core::BodyError>>> {
    let mut context = Context::from_waker(Waker::noop());
    let next = Pin::new(body).poll_frame(&mut context);
    next.map(|next| next.map(|frame| frame.map(|frame| frame.into_data().unwrap().to_vec())))
}

/// Decodes the beginning of gzip content as far as possible.
fn readable(compressed: &[u8]) -> String {
    let mut plain = vec![0; 100];
    let mut decoder = flate2::Decompress::new(false);
    // The header of a gzip file without options has ten bytes (RFC 1952, section 2.3).
    decoder
        .decompress(&compressed[10..], &mut plain, flate2::FlushDecompress::Sync)
        .unwrap();
    plain.truncate(usize::try_from(decoder.total_out()).unwrap());
    String::from_utf8(plain).unwrap()
}

#[test]
fn what_was_written_arrives_when_the_stream_pauses() {
    let (mut body, _) = compressed(
        vec![Some(Ok("one,")), None, None, Some(Ok("two")), None],
        Flush::WhenPending,
    );
    let Poll::Ready(Some(Ok(mut sent))) = poll(&mut body) else {
        panic!("nothing arrived")
    };
    assert_eq!(readable(&sent), "one,");
    assert!(poll(&mut body).is_pending());
    let Poll::Ready(Some(Ok(more))) = poll(&mut body) else {
        panic!("nothing arrived")
    };
    sent.extend(more);
    assert_eq!(readable(&sent), "one,two");
    let Poll::Ready(Some(Ok(end))) = poll(&mut body) else {
        panic!("no end")
    };
    sent.extend(end);
    assert_eq!(gunzip(&sent), b"one,two");
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
}

#[test]
fn without_flushing_nothing_arrives_before_the_end() {
    let (mut body, _) = compressed(vec![Some(Ok("one,")), None, Some(Ok("two"))], Flush::Never);
    assert!(poll(&mut body).is_pending());
    let Poll::Ready(Some(Ok(all))) = poll(&mut body) else {
        panic!("no end")
    };
    assert_eq!(gunzip(&all), b"one,two");
}

#[test]
fn a_stream_that_fails_is_never_valid_content() {
    let (mut body, dropped) = compressed(
        vec![Some(Ok("one")), None, Some(Err("cut"))],
        Flush::WhenPending,
    );
    let Poll::Ready(Some(Ok(sent))) = poll(&mut body) else {
        panic!("nothing arrived")
    };
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(_)))));
    assert!(matches!(poll(&mut body), Poll::Ready(None)));
    assert!(
        MultiGzDecoder::new(&sent[..])
            .read_to_end(&mut Vec::new())
            .is_err()
    );
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn a_client_that_leaves_stops_the_stream() {
    let (mut body, dropped) = compressed(vec![Some(Ok("one")), None, None], Flush::WhenPending);
    assert!(poll(&mut body).is_ready());
    drop(body);
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn a_large_body_in_memory_is_coded_on_another_thread() {
    let large: String = (0..60_000).map(|number| format!("{number} ")).collect();
    let expected = large.clone();
    let app = Application::new(move |_: Request| large.clone()).wrap(Compression::new());
    let mut request = Request::get("/");
    request
        .headers_mut()
        .insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let reply = app.call(request);
    assert!(!reply.is_ready());
    let response = Client::new(app)
        .get("/")
        .header("accept-encoding", "gzip")
        .send();
    let length = response.bytes().len().to_string();
    assert_eq!(response.header("content-length"), Some(&*length));
    assert_eq!(gunzip(response.bytes()), expected.as_bytes());
}

#[test]
fn types_can_be_chosen() {
    let only = |types: &[&str]| {
        Compression::new()
            .min_size(1)
            .content_types(types.iter().copied())
    };
    for (compression, compressed) in [
        (only(&["text/plain"]), true),
        (only(&["Text/Plain"]), true),
        (only(&["text/json"]), false),
        (Compression::new().min_size(1).only_if(|_| true), true),
        (Compression::new().min_size(1).only_if(|_| false), false),
    ] {
        let client = client_with(
            compression,
            &[("content-type", "text/plain; charset=utf-8")],
            200,
            body,
        );
        let response = client.get("/").header("accept-encoding", "gzip").send();
        assert_eq!(response.header("content-encoding").is_some(), compressed);
    }
}

#[test]
fn tells_its_options() {
    let app = Application::new(|_: Request| "x").wrap(
        Compression::new()
            .codings([Coding::Gzip, Coding::Deflate])
            .level(Coding::Gzip, 20),
    );
    let tree = app.describe();
    let options: Vec<_> = tree.options().collect();
    assert_eq!(
        options,
        [
            ("codings", &["gzip 9", "deflate 3"].into()),
            ("min_size", &OptionValue::size(860)),
        ]
    );
}

#[test]
fn keeps_the_laws() {
    use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, ETAG, VARY};

    let decode = |headers: &HeaderMap, content: bytes::Bytes| {
        let name = headers
            .get(CONTENT_ENCODING)
            .and_then(|name| name.to_str().ok());
        match name.and_then(Coding::from_name) {
            // A response to HEAD has no content to decode, and some of the applications only claim a coding.
            Some(coding) => decoded(coding, &content).map_or(content, Into::into),
            None => content,
        }
    };
    for compression in [
        Compression::new(),
        Compression::new().min_size(1).flush(Flush::Never),
    ] {
        let check = enfilade_testing::laws::Check::new(compression);
        check
            .touches([VARY, ETAG, CONTENT_ENCODING, ACCEPT_RANGES])
            .decodes(decode)
            .run();
    }
}

/// Content that repeats itself here and there, as text does, and some that does not.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        collection::vec(any::<u8>(), 0..400),
        (any::<u8>(), 0..3_000_usize).prop_map(|(byte, times)| vec![byte; times]),
        "(la|li|lu| ){0,300}".prop_map(String::into_bytes),
    ];
    collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_coded_can_be_decoded(
        content in content(),
        pieces in collection::vec((0..5_000_usize, any::<bool>()), 0..8),
        level in 0..20_u32,
        length_is_known in any::<bool>(),
    ) {
        for coding in Coding::ALL {
            let level = Compression::new().level(*coding, level).level_of(*coding);
            let pool = Arc::new(EncoderPool::new(*coding, level));
            // The second time with an encoder that was used before, and left in the middle.
            for _ in 0..2 {
                let length = length_is_known.then_some(content.len() as u64);
                let mut encoder = pool.take(length).unwrap();
                let (mut rest, mut compressed) = (&content[..], Vec::new());
                for (size, is_flushed) in &pieces {
                    let (piece, after) = rest.split_at((*size).min(rest.len()));
                    let then = if *is_flushed { Then::Flush } else { Then::More };
                    encoder.encode(piece, then, &mut compressed).unwrap();
                    rest = after;
                }
                encoder.encode(rest, Then::Finish, &mut compressed).unwrap();
                prop_assert_eq!(&decoded(*coding, &compressed).unwrap(), &content, "{:?} {}", coding, level);
                let whole = pool.encode(&content).unwrap();
                prop_assert_eq!(&decoded(*coding, &whole).unwrap(), &content, "{:?} {}", coding, level);
                drop(encoder);
                let mut encoder = pool.take(None).unwrap();
                encoder.encode(&content, Then::More, &mut Vec::new()).unwrap();
            }
        }
    }
}

#[test]
fn tags_of_each_coding_come_back_as_the_application_gave_them() {
    let app = |request: Request| {
        let header = |name: &str| {
            let value = request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        let is_same = header("if-none-match").is_some_and(|tags| tags.contains("\"v1\""));
        let seen = ["if-none-match", "if-match", "if-range", "range"].map(header);
        let status = if is_same {
            StatusCode::NOT_MODIFIED
        } else {
            StatusCode::OK
        };
        let headers = [
            ("etag", "\"v1\"".to_owned()),
            ("content-type", TEXT.to_owned()),
            ("x-seen", format!("{seen:?}").replace('"', "'")),
        ];
        (
            status,
            headers,
            if is_same { "" } else { "Hello, hello, hello!" },
        )
    };
    let compression = Compression::new().min_size(10).etags(Etags::PerCoding);
    let client = Client::new(
        Application::new(app)
            .wrap(Lint::new())
            .wrap(compression)
            .wrap(Lint::new()),
    );
    let cases: [(&str, HeaderList, u16, &str, &str); 8] = [
        ("gzip", &[], 200, "\"v1-gzip\"", "[None, None, None, None]"),
        ("", &[], 200, "\"v1\"", "[None, None, None, None]"),
        (
            "gzip",
            &[("if-none-match", "\"v1-gzip\"")],
            304,
            "\"v1-gzip\"",
            "[Some('\\'v1\\', \\'v1-gzip\\''), None, None, None]",
        ),
        // A proxy made it weak.
        (
            "gzip",
            &[("if-none-match", "W/\"v1-gzip\"")],
            304,
            "\"v1-gzip\"",
            "[Some('W/\\'v1\\', W/\\'v1-gzip\\''), None, None, None]",
        ),
        // The client has the plain content, and that is still what it was.
        (
            "gzip",
            &[("if-none-match", "\"v1\"")],
            304,
            "\"v1\"",
            "[Some('\\'v1\\''), None, None, None]",
        ),
        // It has another coding than it would get now.
        (
            "deflate",
            &[("if-none-match", "\"v1-gzip\"")],
            200,
            "\"v1-deflate\"",
            "[Some('\\'v1-gzip\\''), None, None, None]",
        ),
        (
            "",
            &[("if-match", "\"v0\", \"v1-gzip\"")],
            200,
            "\"v1\"",
            "[None, Some('\\'v0\\', \\'v1\\', \\'v1-gzip\\''), None, None]",
        ),
        (
            "gzip",
            &[("if-range", "\"v1-gzip\""), ("range", "bytes=0-")],
            200,
            "\"v1-gzip\"",
            "[None, None, Some('\\'v1-gzip\\''), Some('bytes=0-')]",
        ),
    ];
    for (accepted, headers, status, etag, seen) in cases {
        let request = client.get("/").header("accept-encoding", accepted);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let response = request.send();
        assert_eq!(response.status().as_u16(), status, "{accepted} {headers:?}");
        assert_eq!(
            response.header("etag"),
            Some(etag),
            "{accepted} {headers:?}"
        );
        assert_eq!(
            response.header("x-seen"),
            Some(seen),
            "{accepted} {headers:?}"
        );
        assert_eq!(response.header("vary"), Some("accept-encoding"));
    }
}

#[test]
fn content_comes_into_the_memo_the_second_time_and_leaves_when_it_is_full() {
    let memo = Arc::new(Memo::new(10_000));
    let pool = Arc::new(EncoderPool::new(Coding::Gzip, 3));
    let usage = MemoUsage(Some(memo.clone()));
    let content = |byte: u8| Bytes::from(vec![byte; 3_000]);
    let give = |content: Bytes| match memo.find(&pool, &content) {
        Ok(compressed) => compressed,
        Err(missing) => {
            let compressed = Bytes::from(pool.encode(&content).unwrap());
            missing.keep(&content, &compressed);
            compressed
        }
    };
    let first = give(content(1));
    assert_eq!((usage.hits(), usage.misses(), usage.bytes()), (0, 1, 0));
    give(content(1));
    assert_eq!((usage.hits(), usage.misses()), (0, 2));
    assert!((3_000..4_000).contains(&usage.bytes()));
    assert_eq!(give(content(1)), first);
    assert_eq!((usage.hits(), usage.misses()), (1, 2));
    // Another coding of the same content is another entry.
    assert!(
        memo.find(&EncoderPool::new(Coding::Deflate, 3), &content(1))
            .is_err()
    );
    for byte in 0..200 {
        for _ in 0..3 {
            assert_eq!(gunzip(&give(content(byte))), content(byte));
            assert!(usage.bytes() <= 10_000, "{usage:?}");
        }
    }
    // What is larger than all of it is not kept.
    let before = usage.hits();
    for _ in 0..3 {
        give(Bytes::from(vec![7; 20_000]));
    }
    assert_eq!(usage.hits(), before);
    assert_eq!(MemoUsage(None).bytes(), 0);
}

#[test]
fn every_coding_responds_from_memory_as_a_stream_and_from_the_memo() {
    for coding in Coding::ALL {
        for body in [body, stream] {
            let compression = Compression::new().min_size(10).memo(100_000);
            let client = client_with(compression, &[("content-type", TEXT)], 200, body);
            for _ in 0..3 {
                let response = client
                    .get("/")
                    .header("accept-encoding", coding.name())
                    .send();
                assert_eq!(response.header("content-encoding"), Some(coding.name()));
                let plain = decoded(*coding, response.bytes()).unwrap();
                assert_eq!(plain, b"Hello, hello, hello!");
            }
        }
    }
}

#[test]
fn what_was_written_arrives_in_every_coding() {
    for coding in Coding::ALL {
        let script = Script(
            vec![
                Some(Ok("event: 1\n\n")),
                None,
                Some(Ok("event: 2\n\n")),
                None,
            ],
            Arc::default(),
        );
        let pool = Arc::new(EncoderPool::new(
            *coding,
            Compression::new().level_of(*coding),
        ));
        let mut body = Body::new(CompressedBody::new(
            Body::new(script),
            pool,
            Flush::WhenPending,
        ));
        let Poll::Ready(Some(Ok(sent))) = poll(&mut body) else {
            panic!("{coding:?}: nothing arrived")
        };
        // What can be decoded from the beginning alone.
        let mut plain = [0; 10];
        let read: io::Result<()> = match coding {
            Coding::Gzip => MultiGzDecoder::new(&sent[..]).read_exact(&mut plain),
            Coding::Deflate => ZlibDecoder::new(&sent[..]).read_exact(&mut plain),
            #[cfg(feature = "brotli")]
            Coding::Brotli => brotli::Decompressor::new(&sent[..], 4096).read_exact(&mut plain),
            #[cfg(feature = "zstd")]
            Coding::Zstd => zstd::stream::read::Decoder::new(&sent[..])
                .and_then(|mut decoder| decoder.read_exact(&mut plain)),
        };
        assert!(read.is_ok(), "{coding:?}: {read:?}");
        assert_eq!(&plain, b"event: 1\n\n", "{coding:?}");
    }
}

/// An application that compresses a file itself, and names it as this wrapper would.
fn precompressed(request: &Request) -> Response {
    let named = |name: &str| {
        let tags = request.headers().get(name);
        tags.map(|tags| tags.to_str().unwrap().contains("\"v-gzip\""))
    };
    let (status, body) = match (named("if-match"), named("if-none-match"), named("if-range")) {
        (Some(false), ..) => (412, ""),
        (_, Some(true), _) => (304, ""),
        (_, _, Some(true)) => (206, "gz"),
        _ => (200, "gzipped content"),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in [
        ("etag", "\"v-gzip\""),
        ("content-type", TEXT),
        ("vary", "accept-encoding"),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    if status == 200 || status == 206 {
        let coding = "gzip".parse().unwrap();
        response.headers_mut().insert("content-encoding", coding);
    }
    if status == 206 {
        let range = "bytes 0-1/15".parse().unwrap();
        response.headers_mut().insert("content-range", range);
    }
    response
}

#[test]
fn a_tag_that_the_application_wrote_itself_matches_as_it_is() {
    let compression = Compression::new().min_size(1).etags(Etags::PerCoding);
    let app = Application::new(|request: Request| precompressed(&request));
    let client = Client::new(app.wrap(Lint::new()).wrap(compression).wrap(Lint::new()));
    for (name, status) in [
        ("if-match", 200),
        ("if-none-match", 304),
        ("if-range", 206),
        ("x-none", 200),
    ] {
        let request = client.get("/").header("accept-encoding", "gzip");
        let request = request.header(name, "\"v-gzip\"");
        let response = request.header("range", "bytes=0-1").send();
        assert_eq!(response.status().as_u16(), status, "{name}");
        assert_eq!(response.header("etag"), Some("\"v-gzip\""), "{name}");
    }
}

#[test]
fn a_part_varies_as_its_whole_does() {
    let part = |length: &'static str| [("content-type", TEXT), ("content-range", length)];
    let (long, short, unknown) = (
        part("bytes 0-19/1000"),
        part("bytes 0-1/5"),
        part("bytes 0-19/*"),
    );
    let parts = [("content-type", "Multipart/ByteRanges; boundary=x")];
    let image = [
        ("content-type", "image/png"),
        ("content-range", "bytes 0-19/1000"),
    ];
    let compressed = [long[0], long[1], ("content-encoding", "br")];
    let kept = [long[0], long[1], ("cache-control", "no-transform")];
    let cases: [(HeaderList, u16, bool); 9] = [
        (long.to_vec().leak(), 206, true),
        (unknown.to_vec().leak(), 206, true),
        (parts.to_vec().leak(), 206, true),
        (short.to_vec().leak(), 206, false),
        (image.to_vec().leak(), 206, false),
        (compressed.to_vec().leak(), 206, false),
        (kept.to_vec().leak(), 206, false),
        (&[], 304, true),
        (&[("content-type", TEXT)], 412, true),
    ];
    for (headers, status, varies) in cases {
        let body = if status == 304 { Body::empty } else { body };
        let client = client(headers, status, body);
        for accepted in ["gzip", ""] {
            let response = client.get("/").header("accept-encoding", accepted).send();
            let found = response.header("vary") == Some("accept-encoding");
            assert_eq!(found, varies, "{accepted} {status} {headers:?}");
            let is_coded = response.header("content-encoding") == Some("gzip");
            assert_eq!(is_coded, status == 412 && !accepted.is_empty());
        }
    }
}
