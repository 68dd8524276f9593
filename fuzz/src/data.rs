//! What bodies, queries and cookies say.

use std::time::Duration;

use bytes::Bytes;
use enfilade::middleware::{
    CookieKeys, MultipartDecoder, MultipartError, MultipartEvent, MultipartLimits,
};
use enfilade::{Cookie, DataLimits, HttpError, Request};
use http::header::{CONTENT_TYPE, COOKIE};
use http::{HeaderValue, Method};
use serde_json::Value;

/// What a multipart body is: the names of each part, and its content.
type Parts = Vec<(String, Option<String>, Vec<u8>)>;

fn parts(pieces: &[&[u8]]) -> Result<Parts, MultipartError> {
    let limits = MultipartLimits::new()
        .head_bytes(200)
        .preamble_bytes(100)
        .field_bytes(300);
    let mut decoder = MultipartDecoder::new(b"e", limits).expect("a boundary");
    let mut parts = Parts::new();
    for piece in pieces {
        decoder.feed(Bytes::copy_from_slice(piece))?;
        while let Some(event) = decoder.next_event()? {
            match event {
                MultipartEvent::Part(head) => {
                    let file_name = head.untrusted_file_name().map(str::to_owned);
                    parts.push((head.name().to_owned(), file_name, Vec::new()));
                    assert!(!head.headers().is_empty());
                }
                MultipartEvent::Data(data) => {
                    assert!(!data.is_empty());
                    parts
                        .last_mut()
                        .expect("a part began")
                        .2
                        .extend_from_slice(&data);
                }
                _ => {}
            }
        }
    }
    decoder.finish()?;
    Ok(parts)
}

/// A body means the same however it is split, and no content is longer than what came.
pub fn multipart(data: &[u8]) {
    let (&cut, body) = data.split_first().unwrap_or((&0, data));
    let whole = parts(&[body]);
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(parts(&single), whole);
    let (first, second) = body.split_at(usize::from(cut).min(body.len()));
    assert_eq!(parts(&[first, second]), whole);
    let content: usize = whole
        .iter()
        .flatten()
        .map(|(_, _, content)| content.len())
        .sum();
    assert!(content <= body.len());
}

/// Cookies are read within their bounds; what is written is read back, and what was not signed is no value.
pub fn cookies(data: &[u8]) {
    let mut request = Request::get("/");
    for line in data.split(|&byte| byte == b'\n').take(300) {
        if let Ok(line) = HeaderValue::from_bytes(line) {
            request.headers_mut().append(COOKIE, line);
        }
    }
    let pairs: Vec<_> = request.cookies().iter().collect();
    assert!(pairs.len() <= 180 && pairs.iter().all(|(name, _)| !name.is_empty()));
    let keys = CookieKeys::new(&[7; 32]).expect("long enough");
    for (name, _) in pairs {
        let age = Duration::from_secs(60);
        assert_eq!(keys.verify(request.cookies(), name, age), None);
        assert_eq!(keys.decrypt(request.cookies(), name, age), None);
    }
    let text = String::from_utf8_lossy(data);
    let (name, value) = text.split_once('=').unwrap_or(("a", &text));
    let plain = Cookie::new(name, value)
        .domain(value)
        .path(name)
        .header_value();
    if let Ok(line) = plain {
        assert!(
            line.as_bytes()
                .iter()
                .all(|byte| (b' '..=b'~').contains(byte))
        );
        assert_eq!(
            line.as_bytes().iter().filter(|byte| **byte == b';').count(),
            5
        );
    }
    let Ok(line) = Cookie::encoded("a", value).header_value() else {
        return;
    };
    let line = line
        .to_str()
        .expect("ASCII")
        .split(';')
        .next()
        .expect("a pair")
        .to_owned();
    let mut request = Request::get("/");
    request
        .headers_mut()
        .insert(COOKIE, line.parse().expect("a header value"));
    assert_eq!(request.cookies().get_decoded("a").as_deref(), Some(value));
}

fn post(content_type: &'static str, body: &[u8]) -> Request {
    let mut request = Request::new(Method::POST, "/".parse().expect("a target"));
    request
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    *request.body_mut() = Bytes::copy_from_slice(body).into();
    request
}

fn read<T>(future: impl Future<Output = Result<T, HttpError>>) -> Result<T, HttpError> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(read) => read,
        std::task::Poll::Pending => unreachable!("a body in memory is read at once"),
    }
}

/// A form and a query of the same text have the same pairs, with serde and without.
pub fn forms(data: &[u8]) {
    let mut form = post("application/x-www-form-urlencoded", data);
    let pairs = read(form.form::<Vec<(String, String)>>());
    let limits = DataLimits::new().strict_utf8().pairs(3);
    let strict = read(
        post("application/x-www-form-urlencoded", data).form_with::<Vec<(String, String)>>(&limits),
    );
    assert!(pairs.is_ok() || strict.is_err());
    let Ok(uri) = format!("/?{}", String::from_utf8_lossy(data)).parse::<http::Uri>() else {
        return;
    };
    let mut request = Request::get("/");
    request.set_uri(uri);
    let found = request
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()));
    let found: Vec<_> = found.collect();
    let by_serde = request
        .query::<Vec<(String, String)>>()
        .expect("pairs of text");
    assert_eq!(found, by_serde);
}

/// JSON is what serde_json reads, and each error is the client's.
pub fn json(data: &[u8]) {
    let value = read(post("application/json", data).json::<Value>());
    assert_eq!(
        value.as_ref().ok(),
        serde_json::from_slice::<Value>(data).ok().as_ref()
    );
    let unique =
        read(post("application/json", data).json_with::<Value>(&DataLimits::new().unique_keys()));
    assert!(unique.is_err() || value.is_ok());
    for error in [value.err(), unique.err()].into_iter().flatten() {
        assert_eq!(error.status(), 400);
        assert!(!error.client_message().unwrap_or_default().is_empty());
    }
    if let Err(error) = read(post("application/json", data).json::<Vec<u8>>()) {
        assert!([400, 422].contains(&error.status().as_u16()));
    }
}
