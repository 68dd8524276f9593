//! Sets an ID for each request.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use enfilade_core::{
    Application, Description, Middleware, Reply, Request, RequestIdValue, Response, Wrapper,
    wrapped,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Error;
use crate::headers::names::parse_name;

/// The name that most proxies and services use.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The valid length of a client's ID.
const INBOUND_BYTES: std::ops::RangeInclusive<usize> = 20..=200;

/// Sets an ID for each request, for the application, the client and the log.
///
/// It sets `X-Request-Id` on the request and on the response, and replaces an existing one. It also sets a
/// [`RequestIdValue`] in the extensions of both; an [`AccessLog`](crate::AccessLog) shows it as `%{id}x`. The client's
/// ID is kept if it is one field value of 20 to 200 letters, digits and `+-./:=@_~`. By default a new ID is a UUID of
/// version 7 (RFC 9562, section 5.7): later ones sort after earlier ones. If the request already has a
/// [`RequestIdValue`], from such a wrapper outside, that one stays.
///
/// It prints nothing. If a request panics in its call or its future, [`CatchPanic`](crate::CatchPanic) and every
/// gateway add the ID to the [`HttpError`](enfilade_core::HttpError) on the response.
///
/// # Order
///
/// Outside wrappers that respond by themselves (a fallback, a limit, [`CatchPanic`](crate::CatchPanic)), so that their
/// responses have the ID. Outside or inside the log makes no difference.
///
/// # Security
///
/// The client's ID is not trustworthy: it finds the lines of a log that belong together, and proves nothing.
/// If clients should not choose it, at the edge, [`ignore_inbound`](RequestId::ignore_inbound) makes a new one for each
/// request.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{RequestId, RequestIdValue};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| {
///     let id = request.extensions().get::<RequestIdValue>();
///     id.map_or_else(String::new, |id| format!("this is {id}"))
/// });
/// let client = Client::new(app.wrap(RequestId::new()));
///
/// let response = client.get("/").header("x-request-id", "01J9ZK3V7Q8W2N4M6P0R").send();
/// assert_eq!(response.header("x-request-id"), Some("01J9ZK3V7Q8W2N4M6P0R"));
/// assert_eq!(response.text(), "this is 01J9ZK3V7Q8W2N4M6P0R");
///
/// let response = client.get("/").header("x-request-id", "<script>alert(1)</script>").send();
/// assert_eq!(response.header("x-request-id").map(str::len), Some(36));
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct RequestId {
    header: HeaderName,
    generator: Arc<dyn Fn() -> String + Send + Sync>,
    ignores_inbound: bool,
}

impl RequestId {
    /// Uses the ID in `X-Request-Id`, or makes one.
    pub fn new() -> Self {
        RequestId {
            header: X_REQUEST_ID,
            generator: Arc::new(new_uuid),
            ignores_inbound: false,
        }
    }

    /// Sets the header for the ID; `X-Request-Id` by default.
    ///
    /// # Errors
    ///
    /// If the name is not a token or belongs to the gateway.
    pub fn header<N>(mut self, name: N) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        self.header = parse_name(name)?;
        Ok(self)
    }

    /// Sets the generator of IDs; UUIDs of version 7 by default.
    ///
    /// An ID has 1 to 200 visible ASCII characters. If the generator returns anything else, a UUID is used. Tests use a
    /// fixed generator.
    pub fn generator(mut self, make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.generator = Arc::new(make);
        self
    }

    /// Makes an ID for each request, and ignores the client's; off by default.
    pub fn ignore_inbound(mut self) -> Self {
        self.ignores_inbound = true;
        self
    }

    fn id_of(&self, request: &Request) -> RequestIdValue {
        if let Some(outer) = request.extensions().get() {
            return RequestIdValue::clone(outer);
        }
        let inbound = inbound(request.headers(), &self.header);
        let inbound = inbound.filter(|_| !self.ignores_inbound).cloned();
        let id = inbound.and_then(RequestIdValue::from_header);
        id.unwrap_or_else(|| made((self.generator)()))
    }
}

impl Default for RequestId {
    fn default() -> Self {
        RequestId::new()
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestId")
            .field("header", &self.header)
            .field("ignores_inbound", &self.ignores_inbound)
            .finish_non_exhaustive()
    }
}

impl Middleware for RequestId {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for RequestId {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let (name, id) = (self.header.clone(), self.id_of(&request));
        let headers = request.headers_mut();
        headers.insert(name.clone(), id.as_header().clone());
        request.extensions_mut().insert(id.clone());
        let mut reply = id.tag_panic(|| inner.call(request));
        if let Some(response) = reply.as_ready_mut() {
            identify(response, name, id);
            return reply;
        }
        let mut pending = reply.into_future();
        Reply::from_future(async move {
            let poll = poll_fn(|context| id.tag_panic(|| Pin::new(&mut pending).poll(context)));
            let mut response = poll.await;
            identify(&mut response, name, id);
            response
        })
    }

    fn describe(&self) -> Description {
        let description = Description::new("RequestId").option("header", &self.header);
        match self.ignores_inbound {
            true => description.option("inbound", "ignored"),
            false => description,
        }
    }
}

fn identify(response: &mut Response, name: HeaderName, id: RequestIdValue) {
    let value = id.as_header().clone();
    response.headers_mut().insert(name, value);
    response.extensions_mut().insert(id);
}

/// Returns the client's ID, if it is one field value and safe.
fn inbound<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).into_iter();
    let id = lines.next().filter(|id| is_safe(id.as_bytes()));
    id.filter(|_| lines.next().is_none())
}

/// Letters, digits and the signs of UUIDs, Base64 and trace IDs, none of which means anything in HTML, SQL or a shell.
fn is_safe(id: &[u8]) -> bool {
    let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-./:=@_~".contains(byte);
    INBOUND_BYTES.contains(&id.len()) && id.iter().all(is_safe)
}

/// The generator's ID, or a UUID if that is not valid.
fn made(id: String) -> RequestIdValue {
    let valid = |id: String| RequestIdValue::from_header(HeaderValue::try_from(id).ok()?);
    let id = valid(id).or_else(|| valid(new_uuid()));
    id.expect("a UUID has only digits, letters and hyphens")
}

/// A new UUID of version 7.
#[expect(
    clippy::disallowed_methods,
    reason = "the default generator; an option replaces it"
)]
fn new_uuid() -> String {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("the system has random bytes");
    // A clock before 1970 counts from there.
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    uuid_v7(time.unwrap_or_default(), random)
}

/// 48 bits of milliseconds, 4 of the version, 12 random ones, 2 of the variant, 62 random ones (RFC 9562, section 5.7).
///
/// There is no counter within a millisecond, which would need a lock.
fn uuid_v7(since_1970: Duration, random: [u8; 10]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let milliseconds = since_1970.as_secs() * 1_000 + u64::from(since_1970.subsec_millis());
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = [b'-'; 36];
    for (byte, place) in bytes.into_iter().zip(PLACES) {
        text[place] = DIGITS[usize::from(byte >> 4)];
        text[place + 1] = DIGITS[usize::from(byte & 0x0f)];
    }
    String::from_utf8(text.to_vec()).expect("digits, letters and hyphens")
}

#[cfg(test)]
mod tests;
