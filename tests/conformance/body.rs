//! Matchers of bodies.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
// On a slice, these leave the rest after the content.
use flate2::bufread::{GzDecoder, ZlibDecoder};
use serde_json::Value;

use crate::case::{fixture, object, required};
use crate::matchers::{self, text_of};
use crate::observed::ObservedResponse;
use crate::verdict::{self, Check, ensure, fail, unsupported};

/// Judges the body of `response`; `all` are the responses of a repeated request.
pub(crate) fn body(
    matcher: &Value,
    response: &ObservedResponse,
    all: &[ObservedResponse],
) -> Check {
    let matchers = object(matcher)?.iter();
    verdict::all(matchers.map(|(name, wanted)| body_by(name, wanted, response, all)))
}

fn body_by(
    name: &str,
    wanted: &Value,
    response: &ObservedResponse,
    all: &[ObservedResponse],
) -> Check {
    let body = &response.body;
    let said = |holds: bool| {
        let found = shown(body);
        ensure(holds, || format!("the body {found} is not {name} {wanted}"))
    };
    let truth = |found: bool| said(Some(found) == wanted.as_bool());
    match name {
        "decoded" => decoded(wanted, body),
        "starts_with_zlib_header" => truth(has_zlib_header(body)),
        "identical_across_repeats" => {
            truth(all.windows(2).all(|pair| pair[0].body == pair[1].body))
        }
        "incremental" => truth(response.first_before_end),
        _ => content_by(name, wanted, body),
    }
}

/// Matchers of bytes, for a body and for its decoded content.
fn content_by(name: &str, wanted: &Value, content: &[u8]) -> Check {
    let said = |holds: bool| {
        let found = shown(content);
        ensure(holds, || {
            format!("the content {found} is not {name} {wanted}")
        })
    };
    let length = |fits: fn(&u64, &u64) -> bool| match wanted.as_u64() {
        Some(wanted) => said(fits(&(content.len() as u64), &wanted)),
        None => unsupported(format!("the body matcher {name} {wanted}")),
    };
    match name {
        "equals" => said(content == text_of(wanted)?.as_bytes()),
        "equals_b64" => said(*content == base64(wanted)?),
        "equals_file" => said(*content == fixture(text_of(wanted)?)?),
        "empty" => said(wanted.as_bool() == Some(content.is_empty())),
        "length" => length(u64::eq),
        "length_at_most" => length(u64::le),
        "length_less_than" => length(u64::lt),
        _ => matchers::text(name, wanted, &String::from_utf8_lossy(content))
            .unwrap_or_else(|| unsupported(format!("the body matcher {name:?}"))),
    }
}

pub(crate) fn base64(value: &Value) -> Check<Vec<u8>> {
    let text = value.as_str().unwrap_or_default();
    STANDARD
        .decode(text)
        .or_else(|error| unsupported(format!("base64 {value}: {error}")))
}

/// Returns the decoded content; no bytes may follow it.
fn decoded(wanted: &Value, body: &[u8]) -> Check {
    let coding = required(wanted, "coding")?;
    let (content, rest) = match coding {
        "gzip" => decode(GzDecoder::new(body), GzDecoder::into_inner),
        "deflate" => decode(ZlibDecoder::new(body), ZlibDecoder::into_inner),
        "br" => decode_stream(brotli::Decompressor::new(body, 4096)),
        "zstd" => zstd::stream::read::Decoder::with_buffer(body).and_then(decode_stream),
        other => return unsupported(format!("the coding {other}")),
    }
    .or_else(|error| fail(format!("{} is no {coding}: {error}", shown(body))))?;
    ensure(rest == 0, || format!("{rest} bytes follow the {coding}"))?;
    let matchers = object(wanted)?.iter().filter(|(name, _)| *name != "coding");
    verdict::all(matchers.map(|(name, wanted)| content_by(name, wanted, &content)))
        .map_err(|trouble| trouble.within(&format!("decoded from {coding}")))
}

/// Returns the content, and how many bytes follow the encoded content.
fn decode<'a, D: Read>(
    mut decoder: D,
    into_rest: impl FnOnce(D) -> &'a [u8],
) -> std::io::Result<(Vec<u8>, usize)> {
    let mut content = Vec::new();
    decoder.read_to_end(&mut content)?;
    Ok((content, into_rest(decoder).len()))
}

/// Returns the content; the decoder itself rejects bytes after it.
fn decode_stream(mut decoder: impl Read) -> std::io::Result<(Vec<u8>, usize)> {
    let mut content = Vec::new();
    decoder.read_to_end(&mut content)?;
    Ok((content, 0))
}

/// RFC 1950, section 2.2: method 8, and the first two bytes are a multiple of 31.
fn has_zlib_header(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => {
            first & 0x0f == 8 && (u16::from(*first) * 256 + u16::from(*second)).is_multiple_of(31)
        }
        _ => false,
    }
}

/// Returns at most one line of a body, for messages.
pub(crate) fn shown(body: &[u8]) -> String {
    const LINE: usize = 120;
    let text = String::from_utf8_lossy(body.get(..LINE).unwrap_or(body));
    match body.len() {
        0..=LINE => format!("{text:?}"),
        length => format!("{text:?}... ({length} bytes)"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use serde_json::json;

    use super::*;
    use crate::verdict::Trouble;

    fn response(body: &[u8]) -> ObservedResponse {
        ObservedResponse {
            body: body.to_vec(),
            ..ObservedResponse::default()
        }
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &str) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(text: &str) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_body_matcher_can_pass_and_fail() {
        let coded = |coding: &str| json!({"decoded": {"coding": coding, "equals": "abc"}});
        let decoded_length = |length: u64| json!({"decoded": {"coding": "gzip", "length": length}});
        let text = |text: &str| text.as_bytes().to_vec();
        let cases = [
            (json!({"equals": "abc"}), text("abc"), text("ab")),
            (json!({"equals_b64": "/wA="}), vec![255, 0], vec![255]),
            (json!({"empty": true}), text(""), text("a")),
            (json!({"empty": false}), text("a"), text("")),
            (json!({"length": 2}), text("ab"), text("abc")),
            (json!({"length_at_most": 2}), text("ab"), text("abc")),
            (json!({"length_less_than": 2}), text("a"), text("ab")),
            (json!({"contains": "b"}), text("abc"), text("ac")),
            (json!({"not_contains": "b"}), text("ac"), text("abc")),
            (json!({"regex": "^a"}), text("ab"), text("ba")),
            (coded("gzip"), gzip("abc"), gzip("abd")),
            (coded("gzip"), gzip("abc"), text("abc")),
            (coded("gzip"), gzip("abc"), [gzip("abc"), gzip("")].concat()),
            (coded("gzip"), gzip("abc"), gzip("abc")[..20].to_vec()),
            (decoded_length(3), gzip("abc"), gzip("abcd")),
            (decoded_length(3), gzip("abc"), text("abc")),
            (
                json!({"equals_file": "root/five.txt"}),
                text("HELLO"),
                text("hello"),
            ),
            (coded("deflate"), zlib("abc"), raw_deflate("abc")),
            (
                json!({"starts_with_zlib_header": true}),
                zlib("abc"),
                raw_deflate("abc"),
            ),
        ];
        for (matcher, passes, fails) in cases {
            assert_eq!(body(&matcher, &response(&passes), &[]), Ok(()), "{matcher}");
            let failed = body(&matcher, &response(&fails), &[]);
            assert!(
                matches!(failed, Err(Trouble::Failed(_))),
                "{matcher}: {failed:?}"
            );
        }
    }

    #[test]
    fn matchers_of_the_transfer_can_pass_and_fail() {
        let identical = json!({"identical_across_repeats": true});
        let (a, b) = (response(b"a"), response(b"b"));
        assert_eq!(body(&identical, &a, &[a.clone(), a.clone()]), Ok(()));
        assert!(body(&identical, &a, &[a.clone(), b]).is_err());
        let early = ObservedResponse {
            first_before_end: true,
            ..ObservedResponse::default()
        };
        let incremental = json!({"incremental": true});
        assert_eq!(body(&incremental, &early, &[]), Ok(()));
        assert!(body(&incremental, &a, &[]).is_err());
    }

    #[test]
    fn an_unknown_matcher_is_never_skipped() {
        for matcher in [json!({"nearly": "a"}), json!("a"), json!({"length": "2"})] {
            let result = body(&matcher, &response(b"a"), &[]);
            assert!(matches!(result, Err(Trouble::Unsupported(_))), "{matcher}");
        }
        for decoded in [
            json!({"coding": "compress", "equals": ""}),
            json!({"coding": "gzip", "nearly": "abc"}),
            json!({"coding": "gzip", "equals": 1}),
        ] {
            let result = body(&json!({ "decoded": decoded }), &response(&gzip("abc")), &[]);
            assert!(matches!(result, Err(Trouble::Unsupported(_))), "{decoded}");
        }
    }
}
