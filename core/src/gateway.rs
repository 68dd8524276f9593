//! What every gateway does around an application, so that it behaves the same behind each of them.
//!
//! A gateway turns its transport's request into a [`Request`], calls [`answer`], and writes what comes back. The rules
//! of HTTP that no component should have to know are here: the answer to HEAD, statuses without a body,
//! `Content-Length`, hop-by-hop headers, and panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};

use crate::host::Host;
use crate::{Application, HttpError, IntoResponse, ReplyFuture, Request, Response};

/// Headers that belong to one connection; gateways set them, applications do not (RFC 9110, section 7.6.1).
///
/// `Trailer` is none of them: whoever makes a body with trailers names them in it (section 6.6.2), and a
/// gateway may need the names to send them.
pub const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    TE,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Calls `app` and makes its answer fit for the wire.
///
/// A request that HTTP does not allow is answered 400 and never reaches the application. A panic in the application is
/// a 500 for this request and nothing else. The response then goes through [`finish`].
///
/// ```
/// use enfilade_core::{Application, Request, gateway};
///
/// let app = Application::new(|_: Request| "Hello");
/// let mut request = Request::get("/");
/// *request.method_mut() = http::Method::HEAD;
/// request.headers_mut().insert("host", "localhost".parse().unwrap());
/// let response = pollster::block_on(gateway::answer(&app, request));
/// assert_eq!(response.headers()["content-length"], "5");
/// assert!(response.body().as_bytes().unwrap().is_empty());
/// ```
pub fn answer(app: &Application, request: Request) -> Answer {
    let (method, version) = (request.method().clone(), request.version());
    let state = match check(request.version(), request.uri(), request.headers()) {
        Ok(()) => match catch_unwind(AssertUnwindSafe(|| app.call(request))) {
            // Nothing can panic any more.
            Ok(reply) => match reply.try_into_response() {
                Ok(response) => State::Ready(Some(response)),
                Err(pending) => State::Pending(pending.into_future()),
            },
            Err(panic) => State::Ready(Some(HttpError::from_panic(panic).into_response())),
        },
        Err(error) => State::Refused(Some(error)),
    };
    Answer {
        method,
        version,
        leaves_length: false,
        state,
    }
}

/// The future that [`answer`] gives.
#[derive(Debug)]
pub struct Answer {
    method: Method,
    version: Version,
    leaves_length: bool,
    state: State,
}

impl Answer {
    /// Leaves out a `Content-Length` that nobody set, for a transport that says by itself how long a body is that knows it.
    #[must_use]
    pub fn leave_length(mut self) -> Answer {
        self.leaves_length = true;
        self
    }
}

#[derive(Debug)]
enum State {
    Ready(Option<Response>),
    Pending(ReplyFuture),
    Refused(Option<HttpError>),
}

impl Future for Answer {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let mut response = match &mut self.state {
            State::Ready(response) => response.take().expect("not polled after it was ready"),
            State::Pending(reply) => {
                match catch_unwind(AssertUnwindSafe(|| Pin::new(reply).poll(context))) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(response)) => response,
                    Err(panic) => HttpError::from_panic(panic).into_response(),
                }
            }
            State::Refused(error) => {
                let error = error.take().expect("not polled after it was ready");
                return Poll::Ready(refuse(&self.method, error));
            }
        };
        if self.version >= Version::HTTP_2 && response.status().is_informational() {
            response = no_answer(self.version, response.status());
        }
        amend(&self.method, &mut response, self.leaves_length);
        Poll::Ready(response)
    }
}

/// What is no answer in HTTP/2 and later becomes a 500: a 101 does not exist there (RFC 9113, section 8.6), and other
/// interim responses end no stream (section 8.1).
fn no_answer(version: Version, status: StatusCode) -> Response {
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR)
        .caused_by(format!("{status} is no answer in {version:?}"))
        .into_response()
}

/// The answer to a request that HTTP does not allow: nothing behind it on the connection can be trusted either.
fn refuse(method: &Method, error: HttpError) -> Response {
    let mut response = finish(method, error.into_response());
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Whether HTTP allows a request with this head.
///
/// # Errors
///
/// A 400 where an HTTP/1.1 request has no `Host` or a request has more than one, or one that is no host
/// (RFC 9112, section 3.2); in HTTP/2 where there is neither `Host` nor an authority, or they differ (RFC 9113, section
/// 8.3.1).
pub fn check(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), HttpError> {
    let bad = |message| Err(HttpError::new(StatusCode::BAD_REQUEST).message(message));
    // There are two of a header only where there are more lines than names.
    let may_be_two = headers.len() > headers.keys_len();
    let are_two = may_be_two && headers.get_all(HOST).iter().nth(1).is_some();
    match headers.get(HOST) {
        Some(_) if are_two => bad("More than one Host header"),
        Some(host) if !is_host(host.as_bytes()) => bad("Invalid Host header"),
        None if version == Version::HTTP_11 => bad("Missing Host header"),
        // HTTP/2 has the authority in the target; the field is optional there (RFC 9113, section 8.3.1).
        _ if version == Version::HTTP_2
            && uri.authority().is_none()
            && headers.get(HOST).is_none() =>
        {
            bad("Missing authority")
        }
        // In HTTP/1.1 the target wins (RFC 9112, section 3.2.2).
        Some(host) if version >= Version::HTTP_2 && differs(host, uri) => {
            bad("Host differs from the authority")
        }
        _ => Ok(()),
    }
}

/// Whether this is another host than the target's, where that has one.
fn differs(host: &HeaderValue, uri: &Uri) -> bool {
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host.as_bytes()))
}

/// A host, or nothing, which is allowed where the target has no authority (RFC 9112, section 3.2).
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || Host::is_one(value)
}

/// Makes a response fit for the wire: what it may not carry is taken away, and what it must is added.
///
/// - Hop-by-hop headers are removed, except on a 101, which is about the connection.
/// - 1xx, 204, 205 and 304 lose their body; 1xx and 204 their `Content-Length` too (RFC 9110, sections 8.6 and 15).
/// - The answer to HEAD loses its body and keeps the headers of GET, `Content-Length` included.
/// - A body whose length is known gets the `Content-Length` that is true.
#[must_use]
pub fn finish(method: &Method, mut response: Response) -> Response {
    amend(method, &mut response, false);
    response
}

fn amend(method: &Method, response: &mut Response, leaves_length: bool) {
    let status = response.status();
    // Most answers have none of these, and one look at each name takes less than to look them up.
    let (mut is_hop_by_hop, mut says_length) = (false, false);
    for name in response.headers().keys() {
        is_hop_by_hop |= HOP_BY_HOP.contains(name);
        says_length |= name == CONTENT_LENGTH;
    }
    if is_hop_by_hop && status != StatusCode::SWITCHING_PROTOCOLS {
        for name in &HOP_BY_HOP {
            response.headers_mut().remove(name);
        }
    }
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        response.headers_mut().remove(CONTENT_LENGTH);
    } else if status == StatusCode::RESET_CONTENT {
        // Its length is zero and is said (RFC 9110, section 15.3.6).
        let zero = HeaderValue::from_static("0");
        response.headers_mut().insert(CONTENT_LENGTH, zero);
    } else if method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        let length = response.body().known_length();
        let length = length.filter(|_| status != StatusCode::NOT_MODIFIED);
        // An application that answers HEAD itself says the length of a body that it did not make.
        if let Some(length) = length.filter(|length| *length > 0 || !says_length) {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
    } else {
        let is_missing = !says_length && !leaves_length;
        let is_wrong = |length: &u64| says_length && !says(response.headers(), *length);
        let length = response.body().known_length();
        if let Some(length) = length.filter(|length| is_missing || is_wrong(length)) {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        return;
    }
    std::mem::take(response.body_mut()).discard();
}

/// Whether the one `Content-Length` is this: it need not be written again then.
fn says(headers: &HeaderMap, length: u64) -> bool {
    let mut said = headers.get_all(CONTENT_LENGTH).iter();
    let is_right = said
        .next()
        .is_some_and(|said| said == itoa::Buffer::new().format(length));
    is_right && said.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;

    fn headers_after(
        method: Method,
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: Body,
    ) -> Response {
        let mut response = http::Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        finish(&method, response)
    }

    #[test]
    fn lengths_and_bodies_are_what_http_says() {
        let get = || Method::GET;
        let stream = || Body::from_iterator(["ab", "cd"]);
        let wrong = [("content-length", "12")];
        let cases = [
            (
                get(),
                200,
                &[][..],
                Body::from("abcd"),
                Some("4"),
                Some("abcd"),
            ),
            (
                get(),
                200,
                &wrong,
                Body::from("abcd"),
                Some("4"),
                Some("abcd"),
            ),
            (get(), 200, &[], Body::empty(), Some("0"), Some("")),
            (get(), 200, &[], stream(), None, None),
            (
                get(),
                200,
                &[("content-length", "4")],
                stream(),
                Some("4"),
                None,
            ),
            (get(), 204, &wrong, Body::from("abcd"), None, Some("")),
            (get(), 101, &wrong, Body::from("abcd"), None, Some("")),
            (get(), 205, &wrong, Body::from("abcd"), Some("0"), Some("")),
            (get(), 304, &wrong, Body::from("abcd"), Some("12"), Some("")),
            (get(), 304, &[], Body::empty(), None, Some("")),
            (
                Method::HEAD,
                200,
                &[],
                Body::from("abcd"),
                Some("4"),
                Some(""),
            ),
            (
                Method::HEAD,
                200,
                &wrong,
                Body::empty(),
                Some("12"),
                Some(""),
            ),
            (Method::HEAD, 200, &[], Body::empty(), Some("0"), Some("")),
            (Method::HEAD, 200, &[], stream(), None, Some("")),
            (
                Method::HEAD,
                404,
                &[],
                Body::from("nope"),
                Some("4"),
                Some(""),
            ),
        ];
        for (method, status, headers, body, length, content) in cases {
            let case = format!("{method} {status} {body:?}");
            let response = headers_after(method, status, headers, body);
            let found = response
                .headers()
                .get(CONTENT_LENGTH)
                .map(|value| value.to_str().unwrap());
            assert_eq!(found, length, "{case}");
            assert_eq!(
                response.body().as_bytes().map(|bytes| &bytes[..]),
                content.map(str::as_bytes),
                "{case}"
            );
        }
    }

    #[test]
    fn a_length_is_said_once_and_plainly() {
        for said in [
            &["4"][..],
            &["4", "4"],
            &["4", "5"],
            &["04"],
            &["+4"],
            &[""],
            &["4, 4"],
        ] {
            let headers: Vec<_> = said.iter().map(|said| ("content-length", *said)).collect();
            let response = headers_after(Method::GET, 200, &headers, Body::from("abcd"));
            let lengths: Vec<_> = response.headers().get_all(CONTENT_LENGTH).iter().collect();
            assert_eq!(lengths, ["4"], "{said:?}");
        }
    }

    #[test]
    fn hop_by_hop_headers_belong_to_the_gateway() {
        let headers = [
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "x"),
            ("x-a", "1"),
        ];
        let response = headers_after(Method::GET, 200, &headers, Body::from("x"));
        let names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-a", "content-length"]);
        let response = headers_after(Method::GET, 101, &headers, Body::empty());
        assert_eq!(response.headers()["upgrade"], "x");
    }

    #[test]
    fn a_request_needs_one_host() {
        let cases: [(Version, &[&'static str], bool); 18] = [
            (Version::HTTP_11, &["h"], true),
            (Version::HTTP_11, &[""], true),
            (Version::HTTP_11, &["h:80"], true),
            (Version::HTTP_11, &["[::1]:80"], true),
            (Version::HTTP_11, &["[::1]"], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &["a b"], false),
            (Version::HTTP_11, &["a", "a"], false),
            (Version::HTTP_11, &["a/b"], false),
            (Version::HTTP_11, &["u@a"], false),
            (Version::HTTP_11, &["a:8x"], false),
            (Version::HTTP_11, &["[]"], false),
            (Version::HTTP_11, &["[0]"], false),
            (Version::HTTP_11, &[":80"], false),
            (Version::HTTP_11, &["a:65536"], false),
            (Version::HTTP_11, &["[::1]a"], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_2, &[], false),
        ];
        for (version, hosts, allowed) in cases {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_static(host));
            }
            let found = check(version, &Uri::from_static("/"), &headers);
            assert_eq!(found.is_ok(), allowed, "{version:?} {hosts:?}");
        }
    }

    #[test]
    fn a_host_beside_an_authority_says_the_same_in_http_2() {
        for (version, host, allowed) in [
            (Version::HTTP_2, Some("h:8"), true),
            (Version::HTTP_2, Some("H:8"), true),
            (Version::HTTP_2, None, true),
            (Version::HTTP_2, Some("h"), false),
            (Version::HTTP_2, Some(""), false),
            (Version::HTTP_11, Some("other"), true),
        ] {
            let host = host.map(|host| (HOST, HeaderValue::from_static(host)));
            let headers: HeaderMap = host.into_iter().collect();
            let found = check(version, &Uri::from_static("http://h:8/"), &headers);
            assert_eq!(found.is_ok(), allowed, "{version:?} {headers:?}");
        }
    }

    #[test]
    fn an_interim_status_is_no_answer_in_http_2() {
        for (version, status, expected) in [
            (Version::HTTP_11, 101, 101),
            (Version::HTTP_2, 101, 500),
            (Version::HTTP_2, 103, 500),
            (Version::HTTP_2, 204, 204),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let app = Application::new(move |_: Request| status);
            let mut request = Request::get("http://h/");
            *request.version_mut() = version;
            let host = HeaderValue::from_static("h");
            request.headers_mut().insert(HOST, host);
            let response = pollster::block_on(answer(&app, request));
            assert_eq!(response.status(), expected, "{version:?} {status}");
        }
    }

    #[test]
    fn a_panic_is_a_500_wherever_it_happens() {
        fn boom() -> &'static str {
            panic!("boom")
        }
        let at_once = Application::new(|_: Request| boom());
        let later = Application::new(|_: Request| async { boom() });
        for app in [at_once, later] {
            let mut request = Request::get("/");
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_static("h"));
            let response = pollster::block_on(answer(&app, request));
            assert_eq!(response.status(), 500);
            assert_eq!(response.body().as_bytes().unwrap(), "Internal Server Error");
            let error = response
                .extensions()
                .get::<std::sync::Arc<HttpError>>()
                .unwrap();
            assert_eq!(error.source().unwrap().to_string(), "panicked: boom");
        }
    }
}
