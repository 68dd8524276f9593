//! Gives each request an id.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, io, thread};

use bytes::Bytes;
use enfilade_core::{Application, Body, Description, Handler, Middleware, Reply, Request};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use uuid::{NoContext, Timestamp, Uuid};

use crate::error::Error;
use crate::headers::names::parse_name;

/// The name that most proxies and services know.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long an id may be that a request brings.
const INBOUND_BYTES: std::ops::RangeInclusive<usize> = 20..=200;

/// Gives each request an id: to the application, to the client, and to the log.
///
/// The id stands in the header `X-Request-Id` of the request and of the answer, in the place of any that was there, and
/// as a [`RequestIdValue`] in the extensions of both; an [`AccessLog`](crate::AccessLog) shows it as `%{id}x`. A request
/// that brings an id keeps it where that is one line of 20 to 200 letters, digits and `+-./:=@_~`. Every other gets a new
/// one, a UUID of version 7 (RFC 9562, section 5.7): those that were made later come later in the alphabet. One that has
/// a [`RequestIdValue`] already, from such a wrapper further out, keeps that.
///
/// Where a request panics, in its call, its future or its body, a line on standard error says which it was, below what the
/// panic itself says there; [`on_panic`](RequestId::on_panic) is for those who tell it elsewhere.
///
/// # Order
///
/// Outside what answers by itself (a fallback, a limit, what turns a panic into an answer), so that those answers have
/// the id: they are when it is needed most. Outside or inside the log makes no difference.
///
/// # Security
///
/// An id that a request brings is a client's word: it finds the lines of a log that belong together, and proves nothing.
/// Where clients should not choose it, at the edge, [`ignore_inbound`](RequestId::ignore_inbound) makes a new one for
/// each.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::{RequestId, RequestIdValue};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| {
///     let id = request.extensions().get::<RequestIdValue>();
///     id.map_or_else(String::new, |id| format!("this is {id}"))
/// });
/// let client = Client::new(app.wrap(RequestId::new()));
///
/// let answer = client.get("/").header("x-request-id", "01J9ZK3V7Q8W2N4M6P0R").send();
/// assert_eq!(answer.header("x-request-id"), Some("01J9ZK3V7Q8W2N4M6P0R"));
/// assert_eq!(answer.text(), "this is 01J9ZK3V7Q8W2N4M6P0R");
///
/// let answer = client.get("/").header("x-request-id", "<script>alert(1)</script>").send();
/// assert_eq!(answer.header("x-request-id").map(str::len), Some(36));
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct RequestId {
    header: HeaderName,
    generator: Generator,
    on_panic: OnPanic,
    ignores_inbound: bool,
}

type Generator = Arc<dyn Fn() -> String + Send + Sync>;
type OnPanic = Arc<dyn Fn(&RequestIdValue) + Send + Sync>;

impl RequestId {
    /// Takes the id from `X-Request-Id`, or makes one.
    pub fn new() -> Self {
        RequestId {
            header: X_REQUEST_ID,
            generator: Arc::new(version_7),
            on_panic: Arc::new(say_on_stderr),
            ignores_inbound: false,
        }
    }

    /// Sets the header that has the id; `X-Request-Id` by default.
    ///
    /// # Errors
    ///
    /// Where the name is no token or belongs to the gateway.
    pub fn header<N>(mut self, name: N) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        self.header = parse_name(name)?;
        Ok(self)
    }

    /// Sets how ids are made; UUIDs of version 7 by default, fixed ones for tests.
    ///
    /// They may be of any length up to 200 visible ASCII characters; in the place of one that is not, a UUID is made.
    pub fn generator(mut self, make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.generator = Arc::new(make);
        self
    }

    /// Sets what is done where a request panics; by default a line on standard error says its id.
    ///
    /// It is called on the panic's thread, as that unwinds, and must not panic itself. Each of several such wrappers in a
    /// stack calls its own; a panic that an application inside has caught is none.
    pub fn on_panic(mut self, report: impl Fn(&RequestIdValue) + Send + Sync + 'static) -> Self {
        self.on_panic = Arc::new(report);
        self
    }

    /// Makes an id for each request, whatever it brings.
    pub fn ignore_inbound(mut self) -> Self {
        self.ignores_inbound = true;
        self
    }

    fn id_of(&self, request: &Request) -> RequestIdValue {
        let outer = request.extensions().get().cloned();
        let brought = || {
            let found = inbound(request.headers(), &self.header);
            found.filter(|_| !self.ignores_inbound).cloned()
        };
        outer.unwrap_or_else(|| {
            RequestIdValue(brought().unwrap_or_else(|| generated((self.generator)())))
        })
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
        Application::from_handler(Identified { app, options: self })
    }
}

/// The id of a request: an extension of the request and of the response.
///
/// A component that logs, or that calls another service, reads it; one that knows an id of another origin may put it on
/// the request, and every [`RequestId`] inside keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIdValue(HeaderValue);

impl RequestIdValue {
    /// An id of 1 to 200 visible ASCII characters; `None` where the text is not one.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        is_visible(id).then(|| HeaderValue::from_str(id).ok().map(RequestIdValue))?
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestIdValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The handler.
struct Identified {
    app: Application,
    options: RequestId,
}

impl Handler for Identified {
    fn call(&self, mut request: Request) -> Reply {
        let (name, id) = (self.options.header.clone(), self.options.id_of(&request));
        request.headers_mut().insert(name.clone(), id.0.clone());
        request.extensions_mut().insert(id.clone());
        let watch = Watch {
            id,
            on_panic: self.options.on_panic.clone(),
        };
        self.app.call(request).update(move |response| {
            let id = watch.id.clone();
            response.headers_mut().insert(name, id.0.clone());
            response.extensions_mut().insert(id);
            if !response.body().is_in_memory() {
                let body = std::mem::take(response.body_mut());
                *response.body_mut() = Body::new(Watched { body, watch });
            }
        })
    }

    fn describe(&self) -> Description {
        let description = Description::new("RequestId").option("header", &self.options.header);
        let description = match self.options.ignores_inbound {
            true => description.option("inbound", "ignored"),
            false => description,
        };
        description.around(&self.app)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        Some(change(self.app.clone()).wrap(self.options.clone()))
    }
}

fn say_on_stderr(id: &RequestIdValue) {
    // Nobody is left to tell that this failed.
    let _ = writeln!(io::stderr(), "request {id} panicked");
}

/// Knows whose panic it is that passes.
struct Watch {
    id: RequestIdValue,
    on_panic: OnPanic,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.on_panic)(&self.id);
        }
    }
}

/// A stream, whose panic is a failure.
struct Watched {
    body: Body,
    watch: Watch,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = enfilade_core::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = Pin::new(&mut self.body).poll_frame(context);
        let panicked = |error: &Self::Error| error.kind() == enfilade_core::ErrorKind::BodyPanicked;
        if matches!(&next, Poll::Ready(Some(Err(error))) if panicked(error)) {
            (self.watch.on_panic)(&self.watch.id);
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The id that a request brings, where it is one line that is fit for one.
fn inbound<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).into_iter();
    let id = lines.next().filter(|id| is_safe(id.as_bytes()));
    id.filter(|_| lines.next().is_none())
}

/// Letters, digits and the signs of UUIDs, Base64 and trace ids: none means anything in HTML, SQL or a shell.
fn is_safe(id: &[u8]) -> bool {
    let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-./:=@_~".contains(byte);
    INBOUND_BYTES.contains(&id.len()) && id.iter().all(is_safe)
}

fn is_visible(id: &str) -> bool {
    (1..=*INBOUND_BYTES.end()).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The id that a generator made; a mistake of its author is no reason to go without.
fn generated(id: String) -> HeaderValue {
    let id = match is_visible(&id) {
        true => id,
        false => version_7(),
    };
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

/// A new UUID. Its time is the clock's and the rest random: counting within a millisecond would take a lock.
fn version_7() -> String {
    Uuid::new_v7(Timestamp::now(NoContext)).to_string()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::Mutex;

    use enfilade_core::{Application, RemoteUser, Response};
    use enfilade_testing::{Client, Lint, TestResponse, laws};

    use super::*;
    use crate::error::ErrorKind;

    const GOOD: &str = "existingidthatislongenough";

    /// An application that tells what it sees, and answers with a header of its own.
    fn echo() -> Application {
        Application::new(|request: Request| {
            let lines = request.headers().get_all(X_REQUEST_ID).into_iter();
            let lines: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
            let id = request.extensions().get::<RequestIdValue>().unwrap();
            let text = format!("{} {id}", lines.join(" "));
            ([("x-request-id", "its own")], text)
        })
    }

    fn ask(wrapper: RequestId, lines: &[&str]) -> TestResponse {
        let app = echo().wrap(Lint::new()).wrap(wrapper).wrap(Lint::new());
        let client = Client::new(app);
        let request = lines.iter().fold(client.get("/"), |request, line| {
            request.header("x-request-id", *line)
        });
        request.send()
    }

    fn id_of(answer: &TestResponse) -> &str {
        answer.header("x-request-id").unwrap()
    }

    #[test]
    fn an_id_that_is_fit_is_kept_and_any_other_replaced() {
        let long = "a".repeat(200);
        let longer = "a".repeat(201);
        let cases: [(&[&str], bool); 14] = [
            (&[GOOD], true),
            (&["01J9ZK3V7Q8W2N4M6P0R"], true),
            (&["019a3f6e-7c1b-7def-8123-456789abcdef"], true),
            (
                &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
                true,
            ),
            (&["aGVsbG8gd29ybGQ+Lw=="], true),
            (&[&long], true),
            (&[&longer], false),
            (&[], false),
            (&[""], false),
            (&["foo"], false),
            (&["existing id that is long enough"], false),
            (&["<script>alert(1)</script>"], false),
            (&["existing\"id\\that'is$long"], false),
            (&[GOOD, GOOD], false),
        ];
        for (lines, is_kept) in cases {
            let answer = ask(RequestId::new(), lines);
            let id = id_of(&answer);
            assert_eq!(lines.contains(&id), is_kept, "{lines:?}");
            assert_eq!(answer.text(), format!("{id} {id}"));
            let value = answer.extensions().get::<RequestIdValue>().unwrap();
            assert_eq!(value.as_str(), id);
            if !is_kept {
                let made = Uuid::parse_str(id).unwrap();
                assert_eq!(made.get_version_num(), 7);
            }
            let ignored = ask(RequestId::new().ignore_inbound(), lines);
            assert!(!lines.contains(&id_of(&ignored)));
        }
    }

    #[test]
    fn ids_are_not_the_same_twice_and_are_in_the_order_of_time() {
        let (first, second) = (version_7(), version_7());
        assert_ne!(first, second);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(version_7() > first);
    }

    #[test]
    fn a_generator_s_id_is_taken_where_it_is_one() {
        let long = "a".repeat(201);
        for (id, is_taken) in [
            ("custom-id", true),
            ("bad\r\nvalue", false),
            ("a b", false),
            ("é", false),
            ("", false),
            (long.as_str(), false),
        ] {
            let given = id.to_owned();
            let answer = ask(RequestId::new().generator(move || given.clone()), &[]);
            assert_eq!(id_of(&answer) == id, is_taken, "{id:?}");
            assert!(is_taken || Uuid::parse_str(id_of(&answer)).is_ok());
        }
    }

    #[test]
    fn the_header_can_be_another() {
        let wrapper = || RequestId::new().header("Custom-Id").unwrap();
        let app = Application::new(|_: Request| "x").wrap(wrapper());
        let client = Client::new(app);
        let answer = client.get("/").header("custom-id", GOOD).send();
        assert_eq!(answer.header("custom-id"), Some(GOOD));
        assert_eq!(answer.header("x-request-id"), None);
        assert_eq!(id_of(&ask(wrapper(), &[])), "its own");
        for name in ["a b", "", "Connection", "content-length"] {
            let error = RequestId::new().header(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::HeaderName);
        }
    }

    #[test]
    fn an_id_from_further_out_is_kept() {
        let app = echo().wrap(RequestId::new().ignore_inbound());
        let answer = Client::new(app.wrap(RequestId::new()))
            .get("/")
            .header("x-request-id", GOOD)
            .send();
        assert_eq!(answer.text(), format!("{GOOD} {GOOD}"));
        assert_eq!(RequestIdValue::new("a b"), None);
        let mut request = Request::get("/");
        let value = RequestIdValue::new("short").unwrap();
        request.extensions_mut().insert(value);
        let app = Client::new(echo().wrap(RequestId::new()));
        assert_eq!(app.prepared(request).send().text(), "short short");
    }

    #[test]
    fn a_panic_is_told_with_its_id() {
        let panics = Application::new(|request: Request| match request.path() {
            "/call" => panic!("in the call"),
            "/future" => Reply::from_future(std::future::poll_fn(|_| -> Poll<Response> {
                panic!("in the future")
            })),
            "/body" => Reply::new(Body::from_iterator((0..2).map(|number| match number {
                0 => "begun",
                _ => panic!("in the body"),
            }))),
            "/caught" => match catch_unwind(|| -> Reply { panic!("and caught") }) {
                Ok(reply) => reply,
                Err(_) => Reply::new("caught"),
            },
            _ => Reply::new(Body::from_iterator(["no", "panic"])),
        });
        let told = Arc::new(Mutex::new(Vec::new()));
        let list = told.clone();
        let wrapper =
            RequestId::new().on_panic(move |id| list.lock().unwrap().push(id.to_string()));
        let client = Client::new(panics.wrap(Lint::new()).wrap(wrapper).wrap(Lint::new()));
        for (path, status, text, is_told) in [
            ("/call", 500, "Internal Server Error", true),
            ("/future", 500, "Internal Server Error", true),
            ("/body", 200, "begun", true),
            ("/caught", 200, "caught", false),
            ("/", 200, "nopanic", false),
        ] {
            let answer = client.get(path).header("x-request-id", GOOD).send();
            assert_eq!(
                (answer.status().as_u16(), &*answer.text()),
                (status, text),
                "{path}"
            );
            let told: Vec<_> = told.lock().unwrap().drain(..).collect();
            assert_eq!(told, vec![GOOD; usize::from(is_told)], "{path}");
        }
    }

    #[test]
    fn other_extensions_pass() {
        let app = Application::new(|request: Request| {
            let user = request.extensions().get::<RemoteUser>().unwrap();
            user.name().to_owned()
        });
        let mut request = Request::get("/");
        request.extensions_mut().insert(RemoteUser::new("ada"));
        let client = Client::new(app.wrap(RequestId::new()));
        assert_eq!(client.prepared(request).send().text(), "ada");
    }

    #[test]
    fn is_described_with_its_header() {
        fn inner(_: Request) -> &'static str {
            "x"
        }
        let app = Application::new(inner).wrap(RequestId::new().ignore_inbound());
        assert_eq!(
            app.describe().to_string(),
            "RequestId (header: x-request-id, inbound: ignored)\n└─ inner\n"
        );
    }

    #[test]
    fn keeps_the_laws() {
        let wrapper = RequestId::new().generator(|| "one".to_owned());
        laws::Check::new(wrapper).touches([X_REQUEST_ID]).run();
    }
}
