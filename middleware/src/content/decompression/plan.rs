//! Reads the codings of a request, and updates its headers.

use enfilade_core::Request;
use enfilade_core::headers::members;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE};

use crate::content::coding::Coding;
use crate::content::digests::remove_digests;

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecodePlan {
    /// It passes unchanged.
    Pass,
    /// Its content is not compressed, whatever a header says.
    Uncoded,
    Decode(Codings),
    /// It has a coding that is not accepted, or too many.
    Refuse,
}

/// The codings of a body, in the order of decoding: the reverse of the header's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codings {
    pub(super) first: Coding,
    pub(super) then: Option<Coding>,
}

pub(super) fn plan(request: &Request, accepted: &[Coding]) -> DecodePlan {
    let headers = request.headers();
    if !headers.contains_key(CONTENT_ENCODING) || headers.contains_key(CONTENT_RANGE) {
        DecodePlan::Pass
    } else if request.body().is_finished() {
        DecodePlan::Uncoded
    } else {
        read(headers, accepted)
    }
}

/// Reads all values of `Content-Encoding`, which are one list (RFC 9110, section 8.4).
fn read(headers: &HeaderMap, accepted: &[Coding]) -> DecodePlan {
    // `members` skips a value that is not text, so its codings would be unknown.
    let mut lines = headers.get_all(CONTENT_ENCODING).iter();
    if lines.any(|line| line.to_str().is_err()) {
        return DecodePlan::Refuse;
    }
    let mut codings: Option<Codings> = None;
    let names = members(headers, &CONTENT_ENCODING);
    for name in names.filter(|name| !name.eq_ignore_ascii_case("identity")) {
        let coding = Coding::from_name(name).filter(|coding| accepted.contains(coding));
        codings = match (coding, codings) {
            (Some(first), None) => Some(Codings { first, then: None }),
            (
                Some(first),
                Some(Codings {
                    first: then,
                    then: None,
                }),
            ) => Some(Codings {
                first,
                then: Some(then),
            }),
            _ => return DecodePlan::Refuse,
        };
    }
    codings.map_or(DecodePlan::Uncoded, DecodePlan::Decode)
}

/// Removes headers that do not apply to decompressed content.
pub(super) fn mark_decoded(headers: &mut HeaderMap) {
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    remove_digests(headers);
}

#[cfg(test)]
mod tests {
    use enfilade_core::Body;
    use http::HeaderValue;

    use super::*;

    fn planned(lines: &[&[u8]], accepted: &[Coding]) -> DecodePlan {
        let mut request = Request::get("/");
        *request.body_mut() = Body::from("x");
        for line in lines {
            let value = HeaderValue::from_bytes(line).unwrap();
            request.headers_mut().append(CONTENT_ENCODING, value);
        }
        plan(&request, accepted)
    }

    fn decode(first: Coding, then: Option<Coding>) -> DecodePlan {
        DecodePlan::Decode(Codings { first, then })
    }

    #[test]
    fn the_list_is_read_from_its_end() {
        use Coding::{Deflate, Gzip};
        let cases: [(&[&[u8]], DecodePlan); 21] = [
            (&[], DecodePlan::Pass),
            (&[b""], DecodePlan::Uncoded),
            (&[b"identity"], DecodePlan::Uncoded),
            (&[b"Identity, ,", b"identity"], DecodePlan::Uncoded),
            (&[b"gzip"], decode(Gzip, None)),
            (&[b"X-GZip"], decode(Gzip, None)),
            (&[b"identity, deflate"], decode(Deflate, None)),
            (&[b"gzip,deflate"], decode(Deflate, Some(Gzip))),
            (&[b"gzip", b"deflate"], decode(Deflate, Some(Gzip))),
            (&[b"gzip", b"identity", b"gzip"], decode(Gzip, Some(Gzip))),
            (&[b"gzip, gzip, gzip"], DecodePlan::Refuse),
            (&[b"gzip", b"gzip", b"gzip"], DecodePlan::Refuse),
            (&[b"compress"], DecodePlan::Refuse),
            (&[b"gzip, compress"], DecodePlan::Refuse),
            (&[b"compress, gzip"], DecodePlan::Refuse),
            (&[b"gzip;q=1"], DecodePlan::Refuse),
            (&[b"\"gzip\""], DecodePlan::Refuse),
            (&[b"utf-8"], DecodePlan::Refuse),
            (&[b"*"], DecodePlan::Refuse),
            (&[b"\xff"], DecodePlan::Refuse),
            (&[b"gzip", b"\xff"], DecodePlan::Refuse),
        ];
        for (lines, expected) in cases {
            assert_eq!(planned(lines, Coding::ALL), expected, "{lines:?}");
        }
        assert_eq!(planned(&[b"gzip"], &[Deflate]), DecodePlan::Refuse);
    }

    #[test]
    fn a_part_passes_and_nothing_is_not_coded() {
        let mut request = Request::get("/");
        let headers = request.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("compress"));
        assert_eq!(plan(&request, Coding::ALL), DecodePlan::Uncoded);
        *request.body_mut() = Body::from("x");
        assert_eq!(plan(&request, Coding::ALL), DecodePlan::Refuse);
        let part = HeaderValue::from_static("bytes 0-0/10");
        request.headers_mut().insert(CONTENT_RANGE, part);
        assert_eq!(plan(&request, Coding::ALL), DecodePlan::Pass);
    }
}
