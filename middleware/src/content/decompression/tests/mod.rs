mod bounds;
mod laws;
mod properties;
mod stream;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use enfilade_core::BodyErrorKind;
use enfilade_testing::{Client, Lint, lint_all};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderMap;

use super::*;

const TEXT: &[u8] = b"Hello, hello, hello!";

fn compressed(coding: Coding, content: &[u8]) -> Vec<u8> {
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
    let encode = |content: Vec<u8>, coding: &Coding| compressed(*coding, &content);
    codings.iter().fold(content.to_vec(), encode)
}

fn names(codings: &[Coding]) -> String {
    let names: Vec<_> = codings.iter().map(|coding| coding.name()).collect();
    names.join(", ")
}

/// An application that responds with the content that it read, between two Lints.
fn client(wrapper: Decompression) -> Client {
    let app = Application::new(|mut request: Request| async move {
        let content = request.take_body().collect(usize::MAX).await?;
        Ok::<_, HttpError>(content)
    });
    Client::new(app.wrap(Lint::new()).wrap(wrapper).wrap(Lint::new()))
}

fn post(client: &Client, codings: &str, body: impl Into<Body>) -> (u16, Bytes) {
    let request = client.post("/").header("content-encoding", codings);
    let response = request.body(body).send();
    (response.status().as_u16(), response.bytes().clone())
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
    let body = compressed(Coding::Gzip, TEXT);
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
    let response = request
        .body(Body::from(body).with_trailers(trailers))
        .send();
    assert_eq!(
        response.text(),
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
    type Sent = (&'static [(&'static str, &'static str)], &'static str);
    let cases: [(Sent, &str); 6] = [
        (
            (&[("content-length", "1")], "x"),
            "(None, Some(\"1\")) b\"x\"",
        ),
        (
            (
                &[("content-encoding", "identity"), ("content-length", "1")],
                "x",
            ),
            "(None, Some(\"1\")) b\"x\"",
        ),
        ((&[("content-encoding", "")], "x"), "(None, None) b\"x\""),
        (
            (&[("content-encoding", "gzip"), ("content-length", "0")], ""),
            "(None, Some(\"0\")) b\"\"",
        ),
        ((&[("content-encoding", "utf-8")], ""), "(None, None) b\"\""),
        (
            (
                &[
                    ("content-encoding", "gzip"),
                    ("content-range", "bytes 0-0/9"),
                ],
                "x",
            ),
            "(Some(\"gzip\"), None) b\"x\"",
        ),
    ];
    for ((headers, body), expected) in cases {
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
        let response = request.body("x").send();
        assert_eq!(response.status(), status, "{header}");
        assert_eq!(response.header("accept-encoding"), accepted, "{header}");
        assert_eq!(called.load(Ordering::SeqCst), status == 200, "{header}");
    }
}

#[test]
fn every_coding_that_was_built_in_is_named() {
    let client = client(Decompression::new());
    let request = client.post("/").header("content-encoding", "compress");
    let response = request.body("x").send();
    assert_eq!(
        response.header("accept-encoding"),
        Some(&*names(Coding::ALL))
    );
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
            let body = compressed(outer, &[&compressed(inner, TEXT)[..], b"x"].concat());
            assert_eq!(post(&client, &name, body).0, 400, "{name}");
        }
    }
}

#[test]
fn content_that_is_something_else_is_a_400() {
    let client = client(Decompression::new());
    let mut bad_sum = compressed(Coding::Gzip, TEXT);
    let at = bad_sum.len() - 8;
    bad_sum[at] ^= 1;
    let mut bad_length = compressed(Coding::Gzip, TEXT);
    let at = bad_length.len() - 1;
    bad_length[at] ^= 1;
    let mut bad_adler = compressed(Coding::Deflate, TEXT);
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
        ("gzip", compressed(Coding::Deflate, TEXT)),
        ("deflate", compressed(Coding::Gzip, TEXT)),
        ("deflate", bad_adler),
        ("deflate", bare.finish().unwrap()),
        ("deflate", dictionary),
        ("gzip, gzip", compressed(Coding::Gzip, TEXT)),
    ] {
        let response = post(&client, coding, body);
        assert_eq!(response, (400, "Bad Request".into()), "{coding}");
    }
}

#[test]
fn a_gzip_file_may_have_several_members() {
    let client = client(Decompression::new());
    let member = |text: &[u8]| compressed(Coding::Gzip, text);
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
    let body = compressed(Coding::Deflate, &body);
    assert_eq!(post(&client, "gzip, deflate", body).1, "Hello, hello");
    let two = compressed(Coding::Deflate, b"a").repeat(2);
    assert_eq!(post(&client, "deflate", two).0, 400);
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_content_may_have_several_frames_and_frames_to_be_skipped() {
    let client = client(Decompression::new());
    let frame = |text: &[u8]| compressed(Coding::Zstd, text);
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
        let response = post(&client, &names(&codings), nothing);
        assert_eq!(response, (200, Bytes::new()), "{codings:?}");
    }
}

/// An application that responds with `status` after it tried to read.
fn responding(status: u16, reads: bool) -> Client {
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
fn a_response_that_ignores_the_fault_is_replaced() {
    let good = || compressed(Coding::Gzip, TEXT);
    let cut_off = || compressed(Coding::Gzip, TEXT)[..20].to_vec();
    let bomb = || compressed(Coding::Gzip, &vec![0; 3 << 20]);
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
        let client = responding(status, reads);
        let request = client.post("/").header("content-encoding", "gzip");
        let response = request.body(body).send();
        assert_eq!(response.status(), expected, "{status} {reads}");
        assert_eq!(response.text() == "own", expected == status);
        assert_eq!(response.extensions().get(), Some(&7_u8));
        let error = response.extensions().get::<Arc<HttpError>>();
        assert_eq!(error.is_some(), expected != status);
    }
}

#[test]
fn the_log_is_told_what_was_wrong() {
    let client = responding(500, true);
    let request = client.post("/").header("content-encoding", "gzip");
    let response = request
        .body(compressed(Coding::Gzip, TEXT)[..20].to_vec())
        .send();
    let error = response.extensions().get::<Arc<HttpError>>().unwrap();
    assert_eq!(
        error.source().unwrap().to_string(),
        "the compressed content is malformed: it is cut off, and the application responded with 500 Internal Server Error"
    );
}

#[test]
fn a_response_that_has_started_is_not_replaced() {
    let app = Application::new(|mut request: Request| request.take_body());
    let client = Client::new(app.wrap(Decompression::new()));
    let request = client.post("/").header("content-encoding", "gzip");
    let response = request
        .body(compressed(Coding::Gzip, TEXT)[..20].to_vec())
        .send();
    assert_eq!(response.status(), 200);
    assert_eq!(response.body_error().unwrap().kind(), BodyErrorKind::Failed);
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
            ("codings", &["gzip", "deflate"].into()),
            ("limit", &OptionValue::size(10)),
            ("ratio", &3.into()),
        ]
    );
}

#[test]
fn a_doctor_warns_of_a_limit_outside() {
    let limit = enfilade_core::around("BodyLimit", Application::call);
    let app = Application::new(|_: Request| "x").wrap(Decompression::new());
    let warnings = enfilade_testing::doctor(app.wrap(limit));
    let pairs: Vec<_> = warnings
        .iter()
        .map(|warning| (warning.outer().unwrap_or_default(), warning.inner()))
        .collect();
    assert_eq!(pairs, [("BodyLimit", "Decompression")]);
}

#[test]
fn a_lint_at_every_boundary_finds_nothing() {
    let app = Application::new(|mut request: Request| request.take_body());
    let client = Client::new(lint_all(app.wrap(Decompression::new())));
    let body = compressed(Coding::Gzip, TEXT);
    let request = client.post("/").header("content-encoding", "gzip");
    let request = request.header("content-length", body.len().to_string());
    assert_eq!(request.body(body).send().bytes(), TEXT);
}
