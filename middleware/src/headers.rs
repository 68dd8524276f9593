//! Sets, adds and removes headers.

use std::fmt;
use std::sync::Arc;

use enfilade_core::gateway::HOP_BY_HOP;
use enfilade_core::{Application, Description, Handler, Middleware, Reply, Request, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{Error, ErrorKind};

/// Sets, adds and removes headers of every answer, and of every request.
///
/// Operations run in the order in which they are written, on answers of every status and on what inner wrappers set.
/// Names and values are text or already parsed; text is parsed here, once, so that a request costs no more than the
/// entry in the header map. [`describe`](Application::describe) shows the names and keeps the values to itself, as they
/// may be secrets.
///
/// # Order
///
/// What stands outside it sees, and may change, what it set. Put it outside a [`NotFound`](crate::NotFound) or whatever
/// else makes answers of its own, so that those have the headers too. A 400 or 500 that the gateway itself makes is not
/// touched.
///
/// # Security
///
/// A value with CR, LF or NUL is refused when the stack is built, so no option can forge a second header. To keep
/// clients from setting a header that an application trusts, remove it with [`request_remove`](Headers::request_remove)
/// (`Proxy`, for example, which a CGI program reads as the setting `HTTP_PROXY`).
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::Headers;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
/// let headers = Headers::new()
///     .set("x-content-type-options", "nosniff")?
///     .default("cache-control", "no-store")?
///     .remove("x-powered-by")?;
/// let app = Application::new(|_: Request| ([("x-powered-by", "steam")], "Hello")).wrap(headers);
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(response.headers()["x-content-type-options"], "nosniff");
/// assert_eq!(response.headers()["cache-control"], "no-store");
/// assert!(!response.headers().contains_key("x-powered-by"));
/// # Ok(())
/// # }
/// ```
///
/// A value can depend on the answer:
///
/// ```
/// use enfilade_core::{Application, Request, Response};
/// use enfilade_middleware::Headers;
/// use http::HeaderValue;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
/// let no_frames_for_pages = |response: &Response| {
///     let media_type = response.headers().get("content-type")?;
///     media_type.as_bytes().starts_with(b"text/html").then_some(HeaderValue::from_static("DENY"))
/// };
/// let app = Application::new(|_: Request| ([("content-type", "text/html")], "<p>"))
///     .wrap(Headers::new().set_with("x-frame-options", no_frames_for_pages)?);
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(response.headers()["x-frame-options"], "DENY");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Headers {
    request: Vec<(HeaderName, Change)>,
    response: Vec<Operation>,
}

/// What is done to the lines of one name.
#[derive(Clone)]
enum Change {
    Set(HeaderValue),
    Append(HeaderValue),
    Default(HeaderValue),
    Remove,
}

/// What is done to a response.
#[derive(Clone)]
enum Operation {
    Change(HeaderName, Change),
    SetWith(HeaderName, Compute),
    DefaultContentType(HeaderValue),
}

type Compute = Arc<dyn Fn(&Response) -> Option<HeaderValue> + Send + Sync>;

impl Headers {
    /// No operations, which leaves requests and answers as they are.
    pub fn new() -> Self {
        <Headers as Default>::default()
    }

    /// Sets a header of the answer; every line that is there by that name is replaced.
    ///
    /// # Errors
    ///
    /// Where the name is no token or belongs to the gateway (hop-by-hop headers and `Content-Length`), or where the
    /// value has a byte that is not allowed in one. The same goes for every method here.
    pub fn set<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Ok(self.on_response(parse_name(name)?, Change::Set(parse_value(value)?)))
    }

    /// Adds a line to the answer, after those that are there by that name.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn append<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Ok(self.on_response(parse_name(name)?, Change::Append(parse_value(value)?)))
    }

    /// Sets a header where the answer has none by that name; one with an empty value is there.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn default<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Ok(self.on_response(parse_name(name)?, Change::Default(parse_value(value)?)))
    }

    /// Removes all lines of the answer by that name.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn remove<N>(self, name: N) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        Ok(self.on_response(parse_name(name)?, Change::Remove))
    }

    /// Sets a header to what `compute` makes of the answer; where that is `None`, what is there stays.
    ///
    /// It sees the headers as the operations before it left them. It runs once for each answer, on the event loop.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn set_with<N, F>(mut self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Response) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        let operation = Operation::SetWith(parse_name(name)?, Arc::new(compute));
        self.response.push(operation);
        Ok(self)
    }

    /// Sets `Content-Type` where the answer has none and its status allows content (not 1xx, 204, 205 or 304).
    ///
    /// The status decides and not the body, so that the answer to HEAD has the headers of GET.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn default_content_type<V>(mut self, value: V) -> Result<Self, Error>
    where
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        let operation = Operation::DefaultContentType(parse_value(value)?);
        self.response.push(operation);
        Ok(self)
    }

    /// Sets a header of the request before the application sees it; every line by that name is replaced.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_set<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Ok(self.on_request(parse_name(name)?, Change::Set(parse_value(value)?)))
    }

    /// Adds a line to the request, after those that are there by that name.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_append<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Ok(self.on_request(parse_name(name)?, Change::Append(parse_value(value)?)))
    }

    /// Removes all lines of the request by that name.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_remove<N>(self, name: N) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        Ok(self.on_request(parse_name(name)?, Change::Remove))
    }

    fn on_response(mut self, name: HeaderName, change: Change) -> Self {
        self.response.push(Operation::Change(name, change));
        self
    }

    fn on_request(mut self, name: HeaderName, change: Change) -> Self {
        self.request.push((name, change));
        self
    }
}

impl Middleware for Headers {
    fn wrap(self, app: Application) -> Application {
        Application::from_handler(WithHeaders {
            app,
            request: self.request,
            response: self.response.into(),
        })
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers")
            .field("request", &self.request.len())
            .field("response", &self.response.len())
            .finish()
    }
}
#[derive(Clone)]
struct WithHeaders {
    app: Application,
    request: Vec<(HeaderName, Change)>,
    /// Shared with pending replies, which may outlive the application.
    response: Arc<[Operation]>,
}

impl Handler for WithHeaders {
    fn call(&self, mut request: Request) -> Reply {
        for (name, change) in &self.request {
            change.apply(request.headers_mut(), name);
        }
        let operations = self.response.clone();
        self.app.call(request).map(move |mut response| {
            for operation in &*operations {
                operation.apply(&mut response);
            }
            response
        })
    }

    fn describe(&self) -> Description {
        let request = self
            .request
            .iter()
            .map(|(name, change)| (format!("request {}", change.verb()), name));
        let response = self.response.iter().map(Operation::summary);
        request
            .chain(response)
            .fold(Description::new("Headers"), |tree, (verb, name)| {
                tree.option(verb, name)
            })
            .around(&self.app)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let app = change(self.app.clone());
        Some(Application::from_handler(WithHeaders {
            app,
            ..self.clone()
        }))
    }
}

impl Change {
    fn apply(&self, headers: &mut HeaderMap, name: &HeaderName) {
        match self {
            Change::Set(value) => {
                headers.insert(name, value.clone());
            }
            Change::Append(value) => {
                headers.append(name, value.clone());
            }
            Change::Default(value) => set_if_missing(headers, name, value),
            Change::Remove => {
                headers.remove(name);
            }
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Change::Set(_) => "set",
            Change::Append(_) => "append",
            Change::Default(_) => "default",
            Change::Remove => "remove",
        }
    }
}

impl Operation {
    fn apply(&self, response: &mut Response) {
        match self {
            Operation::Change(name, change) => change.apply(response.headers_mut(), name),
            Operation::SetWith(name, compute) => {
                if let Some(value) = compute(response) {
                    response.headers_mut().insert(name, value);
                }
            }
            Operation::DefaultContentType(value) => {
                if allows_content(response.status()) {
                    set_if_missing(response.headers_mut(), &CONTENT_TYPE, value);
                }
            }
        }
    }

    fn summary(&self) -> (String, &HeaderName) {
        match self {
            Operation::Change(name, change) => (change.verb().to_owned(), name),
            Operation::SetWith(name, _) => ("set with".to_owned(), name),
            Operation::DefaultContentType(_) => ("default".to_owned(), &CONTENT_TYPE),
        }
    }
}

fn set_if_missing(headers: &mut HeaderMap, name: &HeaderName, value: &HeaderValue) {
    if !headers.contains_key(name) {
        headers.insert(name, value.clone());
    }
}

/// Whether an answer of this status can have content (RFC 9110, section 6.4.1, and 15.3.6 for 205).
fn allows_content(status: StatusCode) -> bool {
    let without = [
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::NOT_MODIFIED,
    ];
    !status.is_informational() && !without.contains(&status)
}

pub(crate) fn parse_name<N>(name: N) -> Result<HeaderName, Error>
where
    N: TryInto<HeaderName> + fmt::Debug,
{
    // `{:?}` escapes, so that the text of the error cannot forge a line in a log either.
    let text = format!("{name:?}");
    let refused = |why| Error::new(ErrorKind::HeaderName, format!("{text} {why}"));
    let name = name
        .try_into()
        .map_err(|_| refused("is not a header name"))?;
    if name == CONTENT_LENGTH || HOP_BY_HOP.contains(&name) {
        return Err(refused("is a header that belongs to the gateway"));
    }
    Ok(name)
}

fn parse_value<V>(value: V) -> Result<HeaderValue, Error>
where
    V: TryInto<HeaderValue> + fmt::Debug,
{
    let text = format!("{value:?}");
    value.try_into().map_err(|_| {
        Error::new(
            ErrorKind::HeaderValue,
            format!("{text} is not a header value"),
        )
    })
}

#[cfg(test)]
mod tests {
    use enfilade_core::Body;
    use enfilade_testing::{Client, Lint, TestResponse};

    use super::*;

    type Build = fn(Headers) -> Result<Headers, Error>;
    type Own = &'static [(&'static str, &'static str)];

    fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    /// The wrapper with a checker of the contract on both its sides.
    fn linted(app: Application, headers: &Headers) -> Client {
        let inside = app.wrap(Lint::new());
        Client::new(inside.wrap(headers.clone()).wrap(Lint::new()))
    }

    /// What an application that answers with these headers gives through `headers`, ready and pending.
    fn answer(headers: &Headers, status: u16, own: Own, body: &'static str) -> TestResponse {
        let make = move || {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in own {
                response.headers_mut().append(*name, value.parse().unwrap());
            }
            response
        };
        let ready = linted(Application::new(move |_: Request| make()), headers);
        let pending = linted(
            Application::new(move |_: Request| async move { make() }),
            headers,
        );
        let (first, second) = (ready.get("/").send(), pending.get("/").send());
        assert_eq!(first.headers(), second.headers());
        assert_eq!(
            (first.status().as_u16(), first.text()),
            (status, body.into())
        );
        first
    }

    #[test]
    fn operations_run_in_order_on_what_is_there() {
        let cases: [(Build, Own, &str, &[&str]); 14] = [
            (|h| h.set("X-A", "2"), &[("x-a", "0")], "x-a", &["2"]),
            (|h| h.append("X-A", "2"), &[], "x-a", &["2"]),
            (
                |h| h.append("Content-Language", "de"),
                &[("content-language", "en")],
                "content-language",
                &["en", "de"],
            ),
            (
                |h| h.default("Content-Type", "text/html"),
                &[("content-type", "text/plain")],
                "content-type",
                &["text/plain"],
            ),
            (|h| h.default("X-A", "d"), &[("x-a", "")], "x-a", &[""]),
            (|h| h.default("X-A", "d"), &[], "x-a", &["d"]),
            (
                |h| h.set("custom-a", "a")?.set("custom-a", "b"),
                &[],
                "custom-a",
                &["b"],
            ),
            (
                |h| h.append("X-A", "1")?.set("X-A", "2")?.append("X-A", "3"),
                &[],
                "x-a",
                &["2", "3"],
            ),
            (
                |h| h.remove("x-powered-by"),
                &[("X-Powered-By", "x"), ("x-powered-BY", "y")],
                "x-powered-by",
                &[],
            ),
            (
                |h| h.remove("X-Nope"),
                &[("content-type", "text/plain")],
                "content-type",
                &["text/plain"],
            ),
            (
                |h| h.remove("X-A")?.append("X-A", "1"),
                &[("x-a", "0")],
                "x-a",
                &["1"],
            ),
            (Ok, &[("x-a", "0")], "x-a", &["0"]),
            (
                |h| {
                    h.set_with("X-Frame-Options", |_| {
                        Some(HeaderValue::from_static("DENY"))
                    })
                },
                &[("x-frame-options", "ALLOW")],
                "x-frame-options",
                &["DENY"],
            ),
            (
                |h| h.set_with("X-A", |_| None),
                &[("x-a", "1")],
                "x-a",
                &["1"],
            ),
        ];
        for (at, (build, own, name, expected)) in cases.into_iter().enumerate() {
            let headers = build(Headers::new()).unwrap();
            let response = answer(&headers, 200, own, "");
            assert_eq!(lines(response.headers(), name), expected, "case {at}");
        }
    }

    #[test]
    fn applies_to_every_status_and_to_what_the_body_says() {
        let length = |response: &Response| response.body().known_length().map(HeaderValue::from);
        let headers = Headers::new().set("x-a", "1").unwrap();
        let headers = headers.set_with("x-length", length).unwrap();
        for (status, body) in [
            (101, ""),
            (200, "Hello"),
            (204, ""),
            (304, ""),
            (404, "Hello"),
            (500, "Hello"),
        ] {
            let response = answer(&headers, status, &[], body);
            let length = body.len().to_string();
            assert_eq!(response.header("x-a"), Some("1"), "{status}");
            assert_eq!(response.header("x-length"), Some(&*length), "{status}");
        }
    }

    #[test]
    fn a_ready_reply_stays_ready() {
        let headers = Headers::new().set("x-a", "1").unwrap();
        let app = Application::new(|_: Request| "x").wrap(headers);
        assert!(app.call(Request::get("/")).is_ready());
    }

    #[test]
    fn a_default_content_type_is_for_statuses_that_have_content() {
        let headers = Headers::new().default_content_type("text/html").unwrap();
        let cases: [(u16, Own, &[&str]); 7] = [
            (200, &[], &["text/html"]),
            (404, &[], &["text/html"]),
            (200, &[("content-type", "a/b")], &["a/b"]),
            (101, &[], &[]),
            (204, &[], &[]),
            (205, &[], &[]),
            (304, &[], &[]),
        ];
        for (status, own, expected) in cases {
            let response = answer(&headers, status, own, "");
            assert_eq!(
                lines(response.headers(), "content-type"),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn requests_are_changed_before_the_application_sees_them() {
        let cases: [(Build, &str, &[&str], &[&str]); 4] = [
            (
                |h| h.request_set("X-A", "new"),
                "x-a",
                &["1", "2"],
                &["new"],
            ),
            (
                |h| h.request_append("X-A", "new"),
                "x-a",
                &["1"],
                &["1", "new"],
            ),
            (
                |h| h.request_remove("Proxy"),
                "proxy",
                &["http://evil"],
                &[],
            ),
            (
                |h| h.request_remove("x-a")?.request_append("x-a", "2"),
                "x-a",
                &["1"],
                &["2"],
            ),
        ];
        for (build, name, sent, expected) in cases {
            let echo =
                Application::new(move |request: Request| lines(request.headers(), name).join("|"));
            let client = linted(echo, &build(Headers::new()).unwrap());
            let request = sent.iter().fold(client.get("/"), |request, value| {
                request.header(name, value)
            });
            assert_eq!(request.send().text(), expected.join("|"), "{name}");
        }
    }

    #[test]
    fn a_mistake_is_found_when_the_stack_is_built() {
        let cases: [(Build, ErrorKind, &str); 12] = [
            (
                |h| h.set(":", "hello"),
                ErrorKind::HeaderName,
                "\":\" is not a header name",
            ),
            (
                |h| h.append("invalid header name with spaces", "value"),
                ErrorKind::HeaderName,
                "\"invalid header name with spaces\" is not a header name",
            ),
            (
                |h| h.default(String::new(), "x"),
                ErrorKind::HeaderName,
                "\"\" is not a header name",
            ),
            (
                |h| h.remove("a\r\nb"),
                ErrorKind::HeaderName,
                r#""a\r\nb" is not a header name"#,
            ),
            (
                |h| h.set("x-test", "a\r\nSet-Cookie: x=1"),
                ErrorKind::HeaderValue,
                r#""a\r\nSet-Cookie: x=1" is not a header value"#,
            ),
            (
                |h| h.request_set("x-test", "a\0b".to_owned()),
                ErrorKind::HeaderValue,
                r#""a\0b" is not a header value"#,
            ),
            (
                |h| h.default_content_type("text/html\n"),
                ErrorKind::HeaderValue,
                r#""text/html\n" is not a header value"#,
            ),
            (
                |h| h.set("Content-Length", "1"),
                ErrorKind::HeaderName,
                "\"Content-Length\" is a header that belongs to the gateway",
            ),
            (
                |h| h.set_with("connection", |_| None),
                ErrorKind::HeaderName,
                "\"connection\" is a header that belongs to the gateway",
            ),
            (
                |h| h.remove("Keep-Alive"),
                ErrorKind::HeaderName,
                "\"Keep-Alive\" is a header that belongs to the gateway",
            ),
            (
                |h| h.request_append("TE", "trailers"),
                ErrorKind::HeaderName,
                "\"TE\" is a header that belongs to the gateway",
            ),
            (
                |h| h.request_remove(http::header::TRANSFER_ENCODING),
                ErrorKind::HeaderName,
                "\"transfer-encoding\" is a header that belongs to the gateway",
            ),
        ];
        for (build, kind, text) in cases {
            let error = build(Headers::new()).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (kind, text.to_owned()));
        }
    }

    #[test]
    fn takes_parsed_names_and_values() {
        let headers = Headers::new()
            .set(CONTENT_TYPE, HeaderValue::from_static("a/b"))
            .unwrap();
        let response = answer(&headers, 200, &[("content-type", "c/d")], "");
        assert_eq!(response.header("content-type"), Some("a/b"));
    }

    #[test]
    fn is_described_by_names_without_values() {
        let headers = Headers::new().request_set("authorization", "secret");
        let headers = headers.unwrap().append("x-a", "1").unwrap();
        let app = Application::from_handler(Garden).wrap(headers);
        assert_eq!(
            app.describe().to_string(),
            "Headers (request set: authorization, append: x-a)\n└─ Garden\n"
        );
    }

    struct Garden;

    impl Handler for Garden {
        fn call(&self, _request: Request) -> Reply {
            Reply::new(())
        }
    }

    #[test]
    fn keeps_the_laws() {
        use enfilade_testing::laws;
        use http::header::{ETAG, USER_AGENT};

        let headers = Headers::new()
            .set("x-new", "1")
            .unwrap()
            .default_content_type("a/b")
            .unwrap();
        laws::check(headers.clone().append("x-new", "2").unwrap());
        let touching = headers
            .remove("etag")
            .unwrap()
            .request_set("user-agent", "x")
            .unwrap();
        laws::Check::new(touching).touches([ETAG, USER_AGENT]).run();
    }
}
