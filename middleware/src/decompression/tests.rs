use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::{iter, pin::Pin};

use bytes::Bytes;
use enfilade_core::{Error, ErrorKind};
use enfilade_testing::{Client, Lint, laws, lint_all};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use super::chain::PIECE;
use super::*;

const TEXT: &[u8] = b"Hello, hello, hello!";

fn coded(coding: Coding, content: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::new(6);
    match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        #[cfg(feature = "brotli")]
        Coding::Brotli => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 18);
            encoder.write_all(content).unwrap();
            encoder.into_inner()
        }
        #[cfg(feature = "zstd")]
        Coding::Zstd => zstd::encode_all(content, 3).unwrap(),
    }
}

/// All ways to code: one coding, or two in the order of the header.
fn all() -> Vec<Vec<Coding>> {
    let one = Coding::ALL.iter().map(|coding| vec![*coding]);
    let two = Coding::ALL.iter().flat_map(|first| {
        let seconds = Coding::ALL.iter();
        seconds.map(|second| vec![*first, *second])
    });
    one.chain(two).collect()
}

fn coded_by(codings: &[Coding], content: &[u8]) -> Vec<u8> {
    let code = |content: Vec<u8>, coding: &Coding| coded(*coding, &content);
    codings.iter().fold(content.to_vec(), code)
}

fn names(codings: &[Coding]) -> String {
    let names: Vec<_> = codings.iter().map(|coding| coding.name()).collect();
    names.join(", ")
}

/// An application that answers with the content that it read, between two Lints.
fn client(wrapper: Decompression) -> Client {
    let app = Application::new(|mut request: Request| async move {
        let content = request.take_body().collect(usize::MAX).await?;
        Ok::<_, HttpError>(content)
    });
    Client::new(app.wrap(Lint::new()).wrap(wrapper).wrap(Lint::new()))
}

fn post(client: &Client, codings: &str, body: impl Into<Body>) -> (u16, Bytes) {
    let request = client.post("/").header("content-encoding", codings);
    let answer = request.body(body).send();
    (answer.status().as_u16(), answer.bytes().clone())
}

fn in_chunks(content: &[u8], size: usize) -> Body {
    let chunks: Vec<_> = content.chunks(size).map(Bytes::copy_from_slice).collect();
    Body::from_iterator(chunks)
}

#[test]
fn every_coding_and_every_two_are_undone() {
    let client = client(Decompression::new());
    let long: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    for codings in all() {
        for content in [TEXT, b"", &long] {
            let body = coded_by(&codings, content);
            let name = names(&codings);
            for size in [1, 7, 1 << 20] {
                let (status, found) = post(&client, &name, in_chunks(&body, size));
                assert_eq!(status, 200, "{name} of {} by {size}", content.len());
                assert_eq!(found, content, "{name} of {} by {size}", content.len());
            }
            let (_, found) = post(&client, &name, body);
            assert_eq!(found, content, "{name} of {} in memory", content.len());
        }
    }
}

#[test]
fn headers_of_the_coded_bytes_go_and_all_others_stay() {
    let app = Application::new(|mut request: Request| async move {
        let list = |headers: &HeaderMap| {
            let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
            names.sort();
            names.join(" ")
        };
        let names = list(request.headers());
        let mut body = request.take_body();
        let mut trailers = HeaderMap::new();
        while let Some(frame) = body.frame().await {
            trailers = frame?.into_trailers().unwrap_or_default();
        }
        Ok::<_, HttpError>(format!("{names} | {}", list(&trailers)))
    });
    let app = app.wrap(Lint::new()).wrap(Decompression::new());
    let mut trailers = HeaderMap::new();
    for name in ["content-digest", "repr-digest", "x-sum", "unencoded-digest"] {
        trailers.insert(name, HeaderValue::from_static("sha-256=:x:"));
    }
    let body = coded(Coding::Gzip, TEXT);
    let request = Client::new(app)
        .post("/")
        .header("content-length", body.len().to_string())
        .header("content-type", "text/plain")
        .header("content-encoding", "gzip")
        .header("content-digest", "sha-256=:x:")
        .header("repr-digest", "sha-256=:x:")
        .header("digest", "sha-256=x")
        .header("content-md5", "x")
        .header("unencoded-digest", "sha-256=:x:")
        .header("accept-encoding", "gzip");
    let answer = request
        .body(Body::from(body).with_trailers(trailers))
        .send();
    assert_eq!(
        answer.text(),
        "accept-encoding content-type host unencoded-digest | unencoded-digest x-sum"
    );
}

#[test]
fn what_is_not_coded_passes() {
    let app = Application::new(|mut request: Request| {
        let headers = request.headers();
        let said = |name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
        let said = (said("content-encoding"), said("content-length"));
        let content = request.take_body().try_into_bytes().unwrap();
        format!("{said:?} {content:?}")
    });
    let client = Client::new(app.wrap(Decompression::new()));
    let cases: [(&[(&str, &str)], &'static str, &str); 6] = [
        (
            &[("content-length", "1")],
            "x",
            "(None, Some(\"1\")) b\"x\"",
        ),
        (
            &[("content-encoding", "identity"), ("content-length", "1")],
            "x",
            "(None, Some(\"1\")) b\"x\"",
        ),
        (&[("content-encoding", "")], "x", "(None, None) b\"x\""),
        (
            &[("content-encoding", "gzip"), ("content-length", "0")],
            "",
            "(None, Some(\"0\")) b\"\"",
        ),
        (&[("content-encoding", "utf-8")], "", "(None, None) b\"\""),
        (
            &[
                ("content-encoding", "gzip"),
                ("content-range", "bytes 0-0/9"),
            ],
            "x",
            "(Some(\"gzip\"), None) b\"x\"",
        ),
    ];
    for (headers, body, expected) in cases {
        let request = client.post("/").body(body);
        let request = headers
            .iter()
            .fold(request, |all, (name, value)| all.header(name, value));
        assert_eq!(request.send().text(), expected, "{headers:?}");
    }
}

#[test]
fn a_coding_that_is_not_accepted_is_a_415_that_says_what_is() {
    let cases: [(&[Coding], &str, u16, Option<&str>); 6] = [
        (&[Coding::Gzip], "gzip", 200, None),
        (&[Coding::Gzip], "deflate", 415, Some("gzip")),
        (
            &[Coding::Deflate, Coding::Gzip],
            "superzip",
            415,
            Some("deflate, gzip"),
        ),
        (&[Coding::Gzip], "gzip, gzip, gzip", 415, Some("gzip")),
        (&[Coding::Gzip], "gzip, superzip", 415, Some("gzip")),
        (&[], "gzip", 415, Some("identity")),
    ];
    for (codings, header, status, accepted) in cases {
        let called = Arc::new(AtomicBool::new(false));
        let seen = called.clone();
        let app = Application::new(move |_: Request| seen.store(true, Ordering::SeqCst));
        let wrapper = Decompression::new().codings(codings.iter().copied());
        let client = Client::new(app.wrap(wrapper).wrap(Lint::new()));
        let request = client.post("/").header("content-encoding", header);
        let answer = request.body("x").send();
        assert_eq!(answer.status(), status, "{header}");
        assert_eq!(answer.header("accept-encoding"), accepted, "{header}");
        assert_eq!(called.load(Ordering::SeqCst), status == 200, "{header}");
    }
}

#[test]
fn every_coding_that_was_built_in_is_named() {
    let client = client(Decompression::new());
    let request = client.post("/").header("content-encoding", "compress");
    let answer = request.body("x").send();
    assert_eq!(answer.header("accept-encoding"), Some(&*names(Coding::ALL)));
}

#[test]
fn content_that_is_cut_off_or_goes_on_is_a_400() {
    let client = client(Decompression::new());
    for codings in all() {
        let (name, body) = (names(&codings), coded_by(&codings, TEXT));
        for length in 1..body.len() {
            let (status, _) = post(&client, &name, in_chunks(&body[..length], 5));
            assert_eq!(status, 400, "{name}: {length} of {}", body.len());
        }
        for more in [&b"x"[..], b"\0", b"\x1f\x8b", b"garbage garbage garbage"] {
            let body = [&body, more].concat();
            for size in [1, 1000] {
                let (status, _) = post(&client, &name, in_chunks(&body, size));
                assert_eq!(status, 400, "{name}, then {more:?}, by {size}");
            }
        }
        // What follows may be wrong in the coding that is undone last, too.
        if let [inner, outer] = codings[..] {
            let body = coded(outer, &[&coded(inner, TEXT)[..], b"x"].concat());
            assert_eq!(post(&client, &name, body).0, 400, "{name}");
        }
    }
}

#[test]
fn content_that_is_something_else_is_a_400() {
    let client = client(Decompression::new());
    let mut bad_sum = coded(Coding::Gzip, TEXT);
    let at = bad_sum.len() - 8;
    bad_sum[at] ^= 1;
    let mut bad_length = coded(Coding::Gzip, TEXT);
    let at = bad_length.len() - 1;
    bad_length[at] ^= 1;
    let mut bad_adler = coded(Coding::Deflate, TEXT);
    let at = bad_adler.len() - 1;
    bad_adler[at] ^= 1;
    let mut bare = DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
    bare.write_all(TEXT).unwrap();
    // A zlib header that asks for a dictionary (RFC 1950, section 2.2).
    let dictionary = b"\x78\xbb\x00\x00\x00\x01\x03\x00\x00\x00\x00\x01".to_vec();
    for (coding, body) in [
        ("gzip", TEXT.to_vec()),
        ("deflate", TEXT.to_vec()),
        ("gzip", bad_sum),
        ("gzip", bad_length),
        ("gzip", coded(Coding::Deflate, TEXT)),
        ("deflate", coded(Coding::Gzip, TEXT)),
        ("deflate", bad_adler),
        ("deflate", bare.finish().unwrap()),
        ("deflate", dictionary),
        ("gzip, gzip", coded(Coding::Gzip, TEXT)),
    ] {
        let answer = post(&client, coding, body);
        assert_eq!(answer, (400, "Bad Request".into()), "{coding}");
    }
}

#[test]
fn a_gzip_file_may_have_several_members() {
    let client = client(Decompression::new());
    let member = |text: &[u8]| coded(Coding::Gzip, text);
    let body = [
        member(b"Hello"),
        member(b""),
        member(b", "),
        member(b"hello"),
    ]
    .concat();
    for size in [1, 3, 1000] {
        let (status, found) = post(&client, "gzip", in_chunks(&body, size));
        assert_eq!((status, &found[..]), (200, &b"Hello, hello"[..]), "{size}");
    }
    let body = coded(Coding::Deflate, &body);
    assert_eq!(post(&client, "gzip, deflate", body).1, "Hello, hello");
    let two = coded(Coding::Deflate, b"a").repeat(2);
    assert_eq!(post(&client, "deflate", two).0, 400);
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_content_may_have_several_frames_and_frames_to_be_skipped() {
    let client = client(Decompression::new());
    let frame = |text: &[u8]| coded(Coding::Zstd, text);
    // RFC 8878, section 3.1.2.
    let skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec();
    let body = [frame(b"Hello"), skipped.clone(), frame(b""), frame(b"!")].concat();
    for size in [1, 3, 1000] {
        let (status, found) = post(&client, "zstd", in_chunks(&body, size));
        assert_eq!((status, &found[..]), (200, &b"Hello!"[..]), "{size}");
    }
    let body = [skipped.clone(), frame(b"Hello"), skipped].concat();
    assert_eq!(post(&client, "zstd", body).1, "Hello");
}

#[cfg(feature = "zstd")]
#[test]
fn a_zstd_window_of_more_than_8_mib_is_refused() {
    use zstd::stream::raw::CParameter;

    let client = client(Decompression::new());
    for (bits, status) in [(23, 200), (24, 400), (27, 400)] {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.set_parameter(CParameter::WindowLog(bits)).unwrap();
        encoder.write_all(TEXT).unwrap();
        let body = encoder.finish().unwrap();
        assert_eq!(post(&client, "zstd", body).0, status, "{bits}");
    }
}

#[cfg(feature = "brotli")]
#[test]
fn a_large_brotli_window_is_refused() {
    use brotli::enc::BrotliEncoderParams;

    let client = client(Decompression::new());
    for (is_large, bits, status) in [(false, 24, 200), (true, 26, 400)] {
        let params = BrotliEncoderParams {
            large_window: is_large,
            lgwin: bits,
            ..BrotliEncoderParams::default()
        };
        let mut encoder = brotli::CompressorWriter::with_params(Vec::new(), 4096, &params);
        encoder.write_all(TEXT).unwrap();
        let body = encoder.into_inner();
        assert_eq!(post(&client, "br", body).0, status, "{bits}");
    }
}

#[test]
fn nothing_at_all_is_content_of_no_bytes() {
    let client = client(Decompression::new());
    for codings in all() {
        let nothing = Body::from_iterator([""; 3]);
        let answer = post(&client, &names(&codings), nothing);
        assert_eq!(answer, (200, Bytes::new()), "{codings:?}");
    }
}

#[test]
fn the_limit_counts_what_comes_out() {
    let noise = noise(40_000);
    for codings in all() {
        for content in [&noise[..], &vec![b'a'; 40_000], b"", b"a"] {
            let length = content.len() as u64;
            let body = coded_by(&codings, content);
            for size in [1, 100, 1 << 20] {
                let allowed = client(Decompression::new().limit(length));
                let (status, found) = post(&allowed, &names(&codings), in_chunks(&body, size));
                assert_eq!((status, &found[..]), (200, content), "{codings:?} {size}");
                let Some(less) = length.checked_sub(1) else {
                    continue;
                };
                let forbidden = client(Decompression::new().limit(less));
                let (status, _) = post(&forbidden, &names(&codings), in_chunks(&body, size));
                assert_eq!(status, 413, "{codings:?} {size}");
            }
        }
    }
}

/// Bytes of a xorshift generator, of which no coder makes fewer.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    };
    iter::from_fn(next).flatten().take(length).collect()
}

#[test]
fn the_ratio_counts_from_the_first_mebibyte_on() {
    let zeros = |length: usize| coded(Coding::Gzip, &vec![0; length]);
    let mixed = coded(Coding::Gzip, &[noise(100_000), vec![0; 5 << 20]].concat());
    let wrapper = || Decompression::new().limit(64 << 20);
    for (wrapper, body, status) in [
        (wrapper(), zeros(1 << 20), 200),
        (wrapper(), zeros(2 << 20), 413),
        (wrapper().ratio(2_000), zeros(2 << 20), 200),
        (wrapper(), mixed, 200),
        (wrapper().ratio(0), zeros(1 << 20), 200),
        (wrapper().ratio(u32::MAX), zeros(2 << 20), 200),
    ] {
        assert_eq!(post(&client(wrapper), "gzip", body).0, status);
    }
}

#[test]
fn a_bomb_is_not_read_to_its_end() {
    let taken = Arc::new(AtomicUsize::new(0));
    let body = coded(Coding::Gzip, &vec![0; 16 << 20]);
    let pieces: Vec<_> = body.chunks(100).map(Bytes::copy_from_slice).collect();
    let count = taken.clone();
    let pieces = pieces.into_iter().inspect(move |_| {
        count.fetch_add(100, Ordering::SeqCst);
    });
    let answer = post(
        &client(Decompression::new()),
        "gzip",
        Body::from_iterator(pieces),
    );
    assert_eq!(answer, (413, "Payload Too Large".into()));
    // The first MiB and what 200 times the bytes allow are some 1 kB of coded zeros.
    assert_eq!(taken.load(Ordering::SeqCst), 1_100);
}

#[test]
fn a_bomb_in_a_bomb_is_stopped_too() {
    // Of the inner one nothing comes out: its members are empty.
    let empty = coded(Coding::Gzip, b"").repeat(1 << 18);
    let body = coded(Coding::Gzip, &empty);
    let wrapper = Decompression::new().limit(1 << 30).ratio(100);
    assert_eq!(post(&client(wrapper.clone()), "gzip, gzip", body).0, 413);
    let body = coded(Coding::Gzip, &coded(Coding::Gzip, &vec![0; 32 << 20]));
    assert_eq!(post(&client(wrapper), "gzip, gzip", body).0, 413);
}

#[test]
fn work_of_which_nothing_comes_out_has_a_limit_too() {
    let wrapper = || Decompression::new().limit(1_000);
    // 2 x 1,000 bytes and 64 KiB.
    let most = 2_000 + 64 * 1024;
    let member = coded(Coding::Gzip, b"");
    for (coding, unit) in [
        ("gzip", member),
        #[cfg(feature = "zstd")]
        ("zstd", b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec()),
    ] {
        let number = most / unit.len();
        assert_eq!(post(&client(wrapper()), coding, unit.repeat(number)).0, 200);
        let more = unit.repeat(number + 1);
        assert_eq!(post(&client(wrapper()), coding, more).0, 413, "{coding}");
    }
}

/// What an application answers when it has tried to read.
fn answering(status: u16, reads: bool) -> Client {
    let app = Application::new(move |mut request: Request| async move {
        if reads {
            let _ = request.take_body().collect(usize::MAX).await;
        }
        let mut response = (StatusCode::from_u16(status).unwrap(), "own").into_response();
        response.extensions_mut().insert(7_u8);
        response
    });
    Client::new(app.wrap(Decompression::new()).wrap(Lint::new())).without_gateway()
}

#[test]
fn an_answer_that_ignores_the_fault_is_replaced() {
    let good = || coded(Coding::Gzip, TEXT);
    let cut_off = || coded(Coding::Gzip, TEXT)[..20].to_vec();
    let bomb = || coded(Coding::Gzip, &vec![0; 3 << 20]);
    for (body, status, reads, expected) in [
        (good(), 200, true, 200),
        (good(), 500, true, 500),
        (cut_off(), 200, true, 400),
        (cut_off(), 302, true, 400),
        (cut_off(), 500, true, 400),
        (cut_off(), 503, true, 400),
        (cut_off(), 404, true, 404),
        (cut_off(), 422, true, 422),
        (cut_off(), 200, false, 200),
        (cut_off(), 500, false, 500),
        (bomb(), 200, true, 413),
        (bomb(), 500, true, 413),
        (bomb(), 400, true, 400),
    ] {
        let client = answering(status, reads);
        let request = client.post("/").header("content-encoding", "gzip");
        let answer = request.body(body).send();
        assert_eq!(answer.status(), expected, "{status} {reads}");
        assert_eq!(answer.text() == "own", expected == status);
        assert_eq!(answer.extensions().get(), Some(&7_u8));
        let error = answer.extensions().get::<Arc<HttpError>>();
        assert_eq!(error.is_some(), expected != status);
    }
}

#[test]
fn the_log_is_told_what_was_wrong() {
    let client = answering(500, true);
    let request = client.post("/").header("content-encoding", "gzip");
    let answer = request
        .body(coded(Coding::Gzip, TEXT)[..20].to_vec())
        .send();
    let error = answer.extensions().get::<Arc<HttpError>>().unwrap();
    assert_eq!(
        error.source().unwrap().to_string(),
        "the coded content is malformed: it is cut off, and was answered 500 Internal Server Error"
    );
}

#[test]
fn an_answer_that_has_begun_is_not_replaced() {
    let app = Application::new(|mut request: Request| request.take_body());
    let client = Client::new(app.wrap(Decompression::new()));
    let request = client.post("/").header("content-encoding", "gzip");
    let answer = request
        .body(coded(Coding::Gzip, TEXT)[..20].to_vec())
        .send();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body_error().unwrap().kind(), ErrorKind::Body);
}

/// A body that plays back what it is given; `None` is a pause.
struct Script(Vec<Option<Result<Bytes, Error>>>, Arc<AtomicBool>);

impl http_body::Body for Script {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        match self.0.remove(0) {
            None => Poll::Pending,
            Some(next) => Poll::Ready(Some(next.map(Frame::data))),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

const BOUNDS: Bounds = Bounds {
    limit: 1 << 30,
    ratio: 2_000,
};

fn decoded(
    coding: Coding,
    script: Vec<Option<Result<Bytes, Error>>>,
) -> (Body, Verdict, Arc<AtomicBool>) {
    let (dropped, verdict) = (Arc::new(AtomicBool::new(false)), Verdict::default());
    let inner = Body::new(Script(script, dropped.clone()));
    let codings = Codings {
        first: coding,
        then: None,
    };
    let body = Body::new(Decoded::new(inner, codings, BOUNDS, verdict.clone()));
    (body, verdict, dropped)
}

fn part(content: &[u8]) -> Option<Result<Bytes, Error>> {
    Some(Ok(Bytes::copy_from_slice(content)))
}

fn poll(body: &mut Body) -> Poll<Option<Result<Bytes, ErrorKind>>> {
    let mut context = Context::from_waker(Waker::noop());
    let next = Pin::new(body).poll_frame(&mut context);
    next.map(|next| {
        let data = |frame: Frame<Bytes>| frame.into_data().unwrap();
        next.map(|frame| frame.map(data).map_err(|error| error.kind()))
    })
}

#[test]
fn what_came_so_far_arrives_when_the_stream_pauses() {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(b"one,").unwrap();
    encoder.flush().unwrap();
    let length = encoder.get_ref().len();
    encoder.write_all(b"two").unwrap();
    let all = encoder.finish().unwrap();
    let (first, second) = all.split_at(length);
    let script = vec![part(first), None, None, part(second), None];
    let (mut body, verdict, _) = decoded(Coding::Gzip, script);
    assert_eq!(poll(&mut body), Poll::Ready(Some(Ok("one,".into()))));
    assert_eq!(poll(&mut body), Poll::Pending);
    assert_eq!(poll(&mut body), Poll::Ready(Some(Ok("two".into()))));
    assert_eq!(poll(&mut body), Poll::Ready(None));
    assert!(verdict.fault().is_none());
}

#[test]
fn a_body_that_fails_or_is_dropped_drops_what_feeds_it() {
    let good = coded(Coding::Gzip, TEXT);
    let (mut body, verdict, dropped) = decoded(Coding::Gzip, vec![part(b"garbage"), None]);
    assert_eq!(poll(&mut body), Poll::Ready(Some(Err(ErrorKind::Body))));
    assert_eq!(
        verdict.fault().map(|fault| fault.status.as_u16()),
        Some(400)
    );
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!(poll(&mut body), Poll::Ready(None));

    let (mut body, _, dropped) = decoded(Coding::Gzip, vec![part(&good[..15]), None, None]);
    assert!(poll(&mut body).is_ready());
    assert!(!dropped.load(Ordering::SeqCst));
    drop(body);
    assert!(dropped.load(Ordering::SeqCst));

    // Not the content's fault, so nothing is made of the answer.
    let cut = Some(Err(Error::body("cut")));
    let (mut body, verdict, dropped) = decoded(Coding::Gzip, vec![part(&good[..15]), cut]);
    assert_eq!(poll(&mut body), Poll::Ready(Some(Err(ErrorKind::Body))));
    assert!(verdict.fault().is_none());
    assert!(dropped.load(Ordering::SeqCst));

    let large = Some(Err(Error::body_too_large()));
    let (mut body, verdict, _) = decoded(Coding::Gzip, vec![large]);
    let expected = Poll::Ready(Some(Err(ErrorKind::BodyTooLarge)));
    assert_eq!(poll(&mut body), expected);
    assert!(verdict.fault().is_none());
}

#[test]
fn pieces_are_bounded_and_small_ones_are_put_together() {
    for coding in Coding::ALL {
        let body = coded(*coding, &vec![7; 100_000]);
        let script = body.iter().map(|byte| part(&[*byte])).collect();
        let (mut body, ..) = decoded(*coding, script);
        let mut lengths = Vec::new();
        loop {
            match poll(&mut body) {
                Poll::Ready(Some(piece)) => lengths.push(piece.unwrap().len()),
                Poll::Ready(None) => break,
                Poll::Pending => {}
            }
        }
        let rest = 100_000 % PIECE;
        assert_eq!(lengths.pop(), Some(rest), "{coding:?}");
        assert_eq!(lengths, [PIECE; 100_000 / PIECE], "{coding:?}");
    }
}

#[test]
fn others_have_their_turn_while_much_is_decoded() {
    #[derive(Default)]
    struct Counting(AtomicUsize);
    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let much = coded(Coding::Gzip, &vec![0; 8 << 20]);
    let empty = coded(Coding::Gzip, b"").repeat(10_000);
    for (content, least) in [(much, 32), (empty, 39)] {
        let woken = Arc::new(Counting::default());
        let waker = Waker::from(woken.clone());
        let (mut body, ..) = decoded(Coding::Gzip, vec![part(&content)]);
        let mut pending = 0;
        loop {
            match Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker)) {
                Poll::Ready(None) => break,
                Poll::Ready(Some(frame)) => drop(frame.unwrap()),
                Poll::Pending => pending += 1,
            }
        }
        assert!(pending >= least, "{pending}");
        assert_eq!(woken.0.load(Ordering::SeqCst), pending);
    }
}

/// Content with runs and noise, as it is in life.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let run = (any::<u8>(), 0..3_000_usize).prop_map(|(byte, length)| vec![byte; length]);
    let noise = proptest::collection::vec(any::<u8>(), 0..300);
    let words =
        proptest::collection::vec(proptest::sample::select(&["la ", "li, ", "lu\n"]), 0..50);
    let words = words.prop_map(|words| words.concat().into_bytes());
    let parts = proptest::collection::vec(prop_oneof![run, noise, words], 0..5);
    parts.prop_map(|parts| parts.concat())
}

fn holds<S: Strategy>(strategy: S, holds: impl Fn(S::Value)) {
    let config = Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        holds(value);
        Ok(())
    });
    outcome.unwrap();
}

/// Cuts at these places, taken around the length.
fn cut(content: &[u8], places: &[usize]) -> Vec<Bytes> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| place % (content.len() + 1))
        .collect();
    places.sort_unstable();
    let ends = places.iter().copied().chain([content.len()]);
    let begins = iter::once(0).chain(places.iter().copied());
    let parts = begins.zip(ends);
    parts
        .map(|(begin, end)| Bytes::copy_from_slice(&content[begin..end]))
        .collect()
}

fn places() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0..100_000_usize, 0..10)
}

#[test]
fn what_was_coded_comes_back_in_all_chunkings() {
    let client = client(Decompression::new());
    let ways = proptest::sample::select(all());
    holds((content(), ways, places()), |(content, codings, places)| {
        let body = coded_by(&codings, &content);
        let name = names(&codings);
        for body in [
            Body::from_iterator(cut(&body, &places)),
            Body::from_list(cut(&body, &places)),
            in_chunks(&body, 1),
        ] {
            assert_eq!(post(&client, &name, body), (200, content.clone().into()));
        }
    });
}

#[test]
fn what_was_coded_in_parts_comes_back_whole() {
    let client = client(Decompression::new());
    let several: Vec<Coding> = Coding::ALL
        .iter()
        .copied()
        .filter(|coding| ["gzip", "zstd"].contains(&coding.name()))
        .collect();
    let codings = proptest::sample::select(several);
    let strategy = (content(), codings, places(), places());
    holds(strategy, |(content, coding, members, places)| {
        let members = cut(&content, &members).into_iter();
        let body: Vec<u8> = members.flat_map(|part| coded(coding, &part)).collect();
        let body = Body::from_iterator(cut(&body, &places));
        let answer = post(&client, coding.name(), body);
        assert_eq!(answer, (200, content.into()));
    });
}

#[test]
fn no_beginning_of_coded_content_is_taken_for_the_whole() {
    let client = client(Decompression::new());
    let ways = proptest::sample::select(all());
    let strategy = (content(), ways, 0..100_000_usize, places());
    holds(strategy, |(content, codings, length, places)| {
        let mut body = coded_by(&codings, &content);
        body.truncate(length % body.len());
        if body.is_empty() {
            return;
        }
        let body = Body::from_iterator(cut(&body, &places));
        assert_eq!(post(&client, &names(&codings), body).0, 400);
    });
}

#[test]
fn any_bytes_are_content_or_a_400() {
    let client = client(Decompression::new().limit(1_000));
    let ways = proptest::sample::select(all());
    let strategy = (content(), ways, places(), any::<u8>());
    holds(strategy, |(content, codings, places, byte)| {
        let mut body = coded_by(&codings, &content);
        for place in &places {
            let at = place % body.len();
            body[at] = byte;
        }
        let whole = post(&client, &names(&codings), body.clone());
        assert!([200, 400, 413].contains(&whole.0), "{}", whole.0);
        assert!(whole.1.len() <= 1_000);
        let by_byte = post(&client, &names(&codings), in_chunks(&body, 1));
        assert!([200, 400, 413].contains(&by_byte.0), "{}", by_byte.0);
        assert_eq!(by_byte.0 == 200, whole.0 == 200);
    });
}

#[test]
fn tells_its_options() {
    let wrapper = Decompression::new().codings([Coding::Gzip, Coding::Deflate]);
    let app = Application::new(|_: Request| "x").wrap(wrapper.limit(10).ratio(3));
    let tree = app.describe();
    let options: Vec<_> = tree.options().collect();
    assert_eq!(
        options,
        [
            ("codings", "gzip, deflate"),
            ("limit", "10"),
            ("ratio", "3")
        ]
    );
}

#[test]
fn a_doctor_warns_of_a_limit_outside() {
    let limit = enfilade_core::around("BodyLimit", Application::call);
    let app = Application::new(|_: Request| "x").wrap(Decompression::new());
    let warnings = enfilade_testing::doctor(&app.wrap(limit));
    let pairs: Vec<_> = warnings
        .iter()
        .map(|warning| (warning.outer(), warning.inner()))
        .collect();
    assert_eq!(pairs, [("BodyLimit", "Decompression")]);
}

#[test]
fn a_lint_at_every_boundary_finds_nothing() {
    let app = Application::new(|mut request: Request| request.take_body());
    let client = Client::new(lint_all(&app.wrap(Decompression::new())));
    let body = coded(Coding::Gzip, TEXT);
    let request = client.post("/").header("content-encoding", "gzip");
    let request = request.header("content-length", body.len().to_string());
    assert_eq!(request.body(body).send().bytes(), TEXT);
}

/// Codes every request, in front of what decodes it again.
fn coding_requests(app: Application) -> Application {
    struct Coder {
        inner: Body,
        encoder: Option<GzEncoder<Vec<u8>>>,
        trailers: Option<HeaderMap>,
    }

    impl Coder {
        fn finish(&mut self, trailers: Option<HeaderMap>) -> Option<Bytes> {
            self.trailers = trailers;
            let encoder = self.encoder.take()?;
            Some(encoder.finish().unwrap().into())
        }
    }

    impl http_body::Body for Coder {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            let this = &mut *self;
            let Some(encoder) = &mut this.encoder else {
                return Poll::Ready(this.trailers.take().map(|all| Ok(Frame::trailers(all))));
            };
            let last = loop {
                match std::task::ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => {
                            encoder.write_all(&data).unwrap();
                            encoder.flush().unwrap();
                            let coded = std::mem::take(encoder.get_mut());
                            if !coded.is_empty() {
                                return Poll::Ready(Some(Ok(Frame::data(coded.into()))));
                            }
                        }
                        Err(frame) => break this.finish(frame.into_trailers().ok()),
                    },
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => break this.finish(None),
                }
            };
            Poll::Ready(last.map(|last| Ok(Frame::data(last))))
        }
    }

    app.wrap(enfilade_core::around(
        "Coding",
        |inner: &Application, mut request: Request| {
            request.headers_mut().remove("content-length");
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert(CONTENT_ENCODING, gzip);
            let coder = Coder {
                inner: request.take_body(),
                encoder: Some(GzEncoder::new(Vec::new(), flate2::Compression::fast())),
                trailers: None,
            };
            *request.body_mut() = Body::new(coder);
            inner.call(request)
        },
    ))
}

#[test]
fn keeps_the_laws() {
    // Of the generated requests some are said to be coded and none is: the answers of those who read them are replaced.
    let check = laws::Check::new(Decompression::new()).touches([CONTENT_ENCODING]);
    check
        .replaces(|answer| !answer.status().is_client_error())
        .run();
    // Without that header, nothing is replaced.
    let plain = |app: Application| {
        let headers = crate::Headers::new().request_remove(CONTENT_ENCODING);
        app.wrap(Decompression::new()).wrap(headers.unwrap())
    };
    laws::Check::new(plain).touches([CONTENT_ENCODING]).run();
    // And all of it comes back where it is coded.
    let coded = |app: Application| app.wrap(Decompression::new()).wrap(coding_requests);
    laws::Check::new(coded).touches([CONTENT_ENCODING]).run();
}

#[test]
fn is_shared_by_concurrent_requests() {
    let client = client(Decompression::new());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for at in 0..8_usize {
            let (client, failed) = (&client, &failed);
            scope.spawn(move || {
                let good = at % 2 == 0;
                let body = coded(Coding::Gzip, &vec![b'a'; 1_000 * at + 1]);
                let length = if good { body.len() } else { body.len() - 1 };
                let (status, _) = post(client, "gzip", in_chunks(&body[..length], 3));
                if status != if good { 200 } else { 400 } {
                    failed.lock().unwrap().push((at, status));
                }
            });
        }
    });
    assert_eq!(*failed.lock().unwrap(), []);
}
