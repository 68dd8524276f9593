//! The work of every gateway around an application, so that it behaves the same behind each of them.
//!
//! A gateway converts its transport's request into a [`Request`], calls [`respond`], and writes the response. The HTTP
//! rules that components need not know are here: responses to HEAD, statuses without a body, `Content-Length`,
//! hop-by-hop headers, and panics.

mod check;
mod switching;

use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};

pub use self::check::check;
pub use self::switching::Upgradable;
use self::switching::{name_upgrade, switch};
use crate::compose::application::Application;
use crate::compose::reply::ReplyFuture;
use crate::message::http_error::HttpError;
use crate::message::request::Request;
use crate::message::response::IntoResponse;
use crate::message::response::Response;
use crate::message::unwind::{Panic, drop_quietly};
use crate::rules::headers::tokens;

/// Headers that belong to one connection (RFC 9110, section 7.6.1).
///
/// Gateways set them, applications do not.
///
/// `Trailer` is not one of them: the component that makes a body with trailers lists their names in it (section 6.6.2),
/// and a gateway may need the names to send the trailers.
pub const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    TE,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Calls `app` and makes its response valid for sending.
///
/// A request that HTTP does not allow is rejected by [`check`] and never reaches the application. `OPTIONS *`, which
/// asks about the server (RFC 9110, section 9.3.7), does not reach it either, and gets an empty 200. Several `Cookie`
/// headers become one (RFC 9113, section 8.2.3). If the application panics, this request gets a 500, and nothing else
/// is affected. The 500 has an [`HttpError`] in its extensions, and the [`RequestIdValue`](crate::RequestIdValue) if
/// the request has one. Finally the response passes through [`finish`].
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::http::Method;
/// use enfilade::{Application, Request, gateway};
///
/// let app = Application::new(|_: Request| "Hello");
/// let mut request = Request::get("/");
/// *request.method_mut() = Method::HEAD;
/// request.headers_mut().insert("host", "localhost".parse().unwrap());
/// let response = pollster::block_on(gateway::respond(&app, request));
/// assert_eq!(response.headers()["content-length"], "5");
/// assert!(response.body().as_bytes().unwrap().is_empty());
/// ```
pub fn respond(app: &Application, request: Request) -> ResponseFuture {
    respond_upgradable(app, request, Upgradable::Never)
}

/// The same for a gateway that can upgrade connections; see [`Request::upgrade`].
///
/// The gateway takes the upgrade from the response ([`Body::take_upgrade`](crate::Body::take_upgrade)), and runs it
/// once the head is written. A 101 without an upgrade becomes a 500.
pub fn respond_upgradable(
    app: &Application,
    mut request: Request,
    upgradable: Upgradable<'_>,
) -> ResponseFuture {
    let version = request.version();
    join_cookies(&mut request);
    let checked = check(request.method(), version, request.uri(), request.headers());
    let upgradable = upgradable.offer(&mut request);
    let method = request.method().clone();
    let state = match checked {
        Ok(()) if is_about_the_server(&method, request.uri()) => {
            State::Ready(Some(StatusCode::OK.into_response()))
        }
        Ok(()) => match Panic::catch(|| app.call(request)) {
            // Nothing can panic any more.
            Ok(reply) => match reply.try_into_response() {
                Ok(response) => State::Ready(Some(response)),
                Err(pending) => State::Pending(pending.into_future()),
            },
            Err(panic) => State::Panicked(Some(response_to(panic))),
        },
        Err(error) => State::Refused(Some(error)),
    };
    ResponseFuture {
        method,
        version,
        leaves_length: false,
        upgradable,
        state,
    }
}

/// The future of [`respond`].
#[derive(Debug)]
pub struct ResponseFuture {
    method: Method,
    version: Version,
    leaves_length: bool,
    upgradable: Upgradable<'static>,
    state: State,
}

impl ResponseFuture {
    /// Adds no `Content-Length` if the application set none.
    ///
    /// For transports that send the length themselves.
    #[must_use]
    pub fn omit_length(mut self) -> ResponseFuture {
        self.leaves_length = true;
        self
    }

    /// The reason why the request is rejected without calling the application.
    ///
    /// `None` if it is not rejected, or once this was ready.
    #[must_use]
    pub fn refusal(&self) -> Option<&HttpError> {
        match &self.state {
            State::Refused(error) => error.as_ref(),
            State::Ready(_) | State::Pending(_) | State::Panicked(_) => None,
        }
    }

    /// Whether the application panicked, in its call or in its future, and no component caught the panic.
    ///
    /// A panic of the response's body comes later: then the body fails with
    /// [`BodyErrorKind::Panicked`](crate::BodyErrorKind::Panicked).
    #[must_use]
    pub fn has_panicked(&self) -> bool {
        matches!(self.state, State::Panicked(_))
    }
}

#[derive(Debug)]
enum State {
    Ready(Option<Response>),
    Pending(ReplyFuture),
    Refused(Option<HttpError>),
    Panicked(Option<Response>),
}

impl Future for ResponseFuture {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let mut response = match &mut self.state {
            State::Ready(response) | State::Panicked(response) => {
                response.take().expect("not polled after it was ready")
            }
            State::Pending(reply) => match Panic::catch(|| Pin::new(reply).poll(context)) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(response)) => response,
                Err(panic) => {
                    // This drops the future, whose destructors may panic too.
                    let panicked = State::Panicked(None);
                    drop_quietly(std::mem::replace(&mut self.state, panicked));
                    response_to(panic)
                }
            },
            State::Refused(error) => {
                let error = error.take().expect("not polled after it was ready");
                return Poll::Ready(refuse(&self.method, error));
            }
        };
        let status = response.status();
        let is_connect = matches!(self.upgradable, Upgradable::ExtendedConnect(_));
        if status.is_informational() || response.body().is_upgrade() || is_connect {
            response = switch(response, self.upgradable);
            if response.body().is_upgrade() {
                return Poll::Ready(response);
            }
        }
        // The response must name the required protocol (RFC 9110, section 15.5.22).
        let is_wanted = status == StatusCode::UPGRADE_REQUIRED && self.version == Version::HTTP_11;
        let wanted = is_wanted.then(|| response.headers().get(UPGRADE).cloned());
        fix_framing(&self.method, &mut response, self.leaves_length);
        if let Some(Some(protocol)) = wanted {
            name_upgrade(response.headers_mut(), protocol);
        }
        Poll::Ready(response)
    }
}

/// The response to a request that panicked.
fn response_to(panic: Panic) -> Response {
    let id = panic.request_id().cloned();
    let mut response = HttpError::from_panic(panic).into_response();
    if let Some(id) = id {
        response.extensions_mut().insert(id);
    }
    response
}

/// The response to a request that HTTP does not allow; the rest of the connection cannot be trusted either.
fn refuse(method: &Method, error: HttpError) -> Response {
    let mut response = finish(method, error.into_response());
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn is_about_the_server(method: &Method, uri: &Uri) -> bool {
    *method == Method::OPTIONS && uri.path() == "*"
}

/// Joins several `Cookie` headers, into which HTTP/2 clients may split it (RFC 9113, section 8.2.3).
fn join_cookies(request: &mut Request) {
    let headers = request.headers();
    if headers.len() == headers.keys_len() || headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let joined = HeaderValue::from_bytes(&lines.join(&b"; "[..]));
    let mut joined = joined.expect("valid header values, joined by a valid separator");
    joined.set_sensitive(
        headers
            .get_all(COOKIE)
            .iter()
            .any(HeaderValue::is_sensitive),
    );
    request.headers_mut().insert(COOKIE, joined);
}

/// Makes a response valid for sending: removes what it may not have, and adds what it must have.
///
/// - Removes hop-by-hop headers, and those that `Connection` lists (RFC 9110, section 7.6.1).
/// - Removes the body of 1xx, 204, 205 and 304, and the `Content-Length` of 1xx and 204 (RFC 9110, sections 8.6 and
///   15).
/// - Removes the body of a response to HEAD and keeps the headers of GET, `Content-Length` included. Without a body no
///   `Content-Length` is added, because GET may have one.
/// - Sets the correct `Content-Length` if the length of the body is known.
#[must_use]
pub fn finish(method: &Method, mut response: Response) -> Response {
    fix_framing(method, &mut response, false);
    response
}

fn fix_framing(method: &Method, response: &mut Response, leaves_length: bool) {
    let status = response.status();
    // Most responses have none of these, and one pass over the names costs less than looking them up.
    let (mut is_hop_by_hop, mut says_length) = (false, false);
    for name in response.headers().keys() {
        is_hop_by_hop |= HOP_BY_HOP.contains(name);
        says_length |= name == CONTENT_LENGTH;
    }
    if is_hop_by_hop {
        remove_hop_by_hop(response.headers_mut());
        says_length = response.headers().contains_key(CONTENT_LENGTH);
    }
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        response.headers_mut().remove(CONTENT_LENGTH);
    } else if status == StatusCode::RESET_CONTENT {
        // The length is zero and must be sent (RFC 9110, section 15.3.6).
        let zero = HeaderValue::from_static("0");
        response.headers_mut().insert(CONTENT_LENGTH, zero);
    } else if method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        let length = response.body().known_length();
        let length = length.filter(|_| status != StatusCode::NOT_MODIFIED);
        // An application that handles HEAD itself makes no body: the length of GET's is known only if it says so (RFC
        // 9110, section 8.6).
        if let Some(length) = length.filter(|length| *length > 0) {
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

/// Removes headers of one connection: the known ones, and those that `Connection` lists.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = tokens(headers, &CONNECTION).filter_map(|name| HeaderName::try_from(name).ok());
    let named: Vec<HeaderName> = named.collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Whether the only `Content-Length` has this value already, so that it need not be written again.
fn says(headers: &HeaderMap, length: u64) -> bool {
    let mut said = headers.get_all(CONTENT_LENGTH).iter();
    let is_right = said
        .next()
        .is_some_and(|said| said == itoa::Buffer::new().format(length));
    is_right && said.next().is_none()
}

#[cfg(test)]
mod tests;
