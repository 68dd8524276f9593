//! Lets pages of other origins read answers (CORS).

mod origin;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::headers::{is_token_byte, vary_add};
use enfilade_core::{
    Application, Description, IntoResponse, Middleware, Reply, Request, Response, Wrapper, wrapped,
};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use self::origin::{Origin, Origins};
use crate::error::Error;
use crate::error::ErrorKind;

const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Lets pages of other origins read answers, as the Fetch standard's CORS protocol has it.
///
/// Browsers keep answers from pages of other origins; this says for which origins they need not. A preflight (OPTIONS
/// with `Origin` and `Access-Control-Request-Method`) is answered with 204 and never reaches the application; any other
/// request does, OPTIONS too, and its answer gets the headers, errors included. An answer to an origin that is not
/// allowed gets none of them. What the application says in `Access-Control-Allow-Origin` and `-Credentials` itself is
/// replaced, so that the two never disagree.
///
/// `Vary` says what an answer depends on: `Origin`, unless every origin is allowed, and in a preflight the method and
/// headers that were asked for.
///
/// # Order
///
/// Outside authentication, as a preflight carries no credentials, and outside whatever answers with errors that pages
/// should be able to read.
///
/// # Security
///
/// This gives rights and takes none: a request of any origin reaches the application, and a form can send one without
/// asking. Origins are compared whole, byte for byte; `null` is what any sandboxed page sends, and is never allowed by a
/// list.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::Cors;
/// use enfilade_testing::Client;
/// use http::Method;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
/// let cors = Cors::origins(["https://example.org", "https://*.example.org"])?
///     .methods([Method::GET, Method::PUT])
///     .credentials()?;
/// let client = Client::new(Application::new(|_: Request| "data").wrap(cors));
///
/// let answer = client.get("/").header("origin", "https://app.example.org").send();
/// assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.org"));
/// assert_eq!(answer.header("vary"), Some("origin"));
///
/// let preflight = client
///     .options("/")
///     .header("origin", "https://example.org")
///     .header("access-control-request-method", "PUT")
///     .send();
/// assert_eq!(preflight.status(), 204);
/// assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, PUT"));
///
/// let refused = client.get("/").header("origin", "https://example.org.evil.net").send();
/// assert_eq!(refused.header("access-control-allow-origin"), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Cors {
    origins: Origins,
    methods: Allowed,
    headers: Allowed,
    exposed: Allowed,
    credentials: bool,
    max_age: Option<Duration>,
    private_network: bool,
}

/// Which methods or headers are allowed.
#[derive(Clone, Debug)]
enum Allowed {
    /// All: `*`, or what is asked for, where credentials make `*` a name like any other.
    Any,
    /// What is asked for.
    Asked,
    /// These, in one line; nothing where there are none.
    Listed(Option<HeaderValue>),
}

impl Cors {
    /// Lets pages of every origin read answers to requests without credentials: for what is public.
    pub fn any_origin() -> Self {
        Cors::new(Origins::Any)
    }

    /// Lets pages of these origins read answers.
    ///
    /// An origin is written as browsers send it, `https://example.org` or `http://localhost:3000`. `*.` before the host
    /// stands for one label, `**.` for any number of them, and `.` for the domain and all below it.
    ///
    /// # Errors
    ///
    /// Where one is not an origin, or is one that no browser writes so.
    pub fn origins<T: AsRef<str>>(origins: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let origins = origins
            .into_iter()
            .map(|origin| Origin::parse(origin.as_ref()));
        Ok(Cors::new(Origins::Listed(
            origins.collect::<Result<_, _>>()?,
        )))
    }

    /// Lets pages of the origins read answers of which `test` says so.
    ///
    /// It only ever sees a well-formed origin: a scheme, a host, and a port where that is not the scheme's own.
    pub fn origin_test(test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Cors::new(Origins::Tested(Arc::new(test)))
    }

    fn new(origins: Origins) -> Self {
        Cors {
            origins,
            methods: Allowed::list([Method::GET, Method::HEAD, Method::POST]),
            headers: Allowed::Listed(None),
            exposed: Allowed::Listed(None),
            credentials: false,
            max_age: None,
            private_network: false,
        }
    }

    /// The methods that pages may use; GET, HEAD and POST by default, which browsers allow without asking.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = Allowed::list(methods);
        self
    }

    /// Lets pages use every method.
    pub fn any_method(mut self) -> Self {
        self.methods = Allowed::Any;
        self
    }

    /// Names the method in the answer that was asked for, whatever it is.
    pub fn asked_method(mut self) -> Self {
        self.methods = Allowed::Asked;
        self
    }

    /// The headers that pages may send beside those that browsers allow without asking; none by default.
    pub fn headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = Allowed::list(names);
        self
    }

    /// Lets pages send every header but `Authorization`, which the Fetch standard wants named.
    pub fn any_header(mut self) -> Self {
        self.headers = Allowed::Any;
        self
    }

    /// Names the headers in the answer that were asked for, whatever they are.
    pub fn asked_headers(mut self) -> Self {
        self.headers = Allowed::Asked;
        self
    }

    /// The headers of answers that pages may read beside those that browsers show anyway; none by default.
    pub fn expose(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.exposed = Allowed::list(names);
        self
    }

    /// Lets pages read every header of answers to requests without credentials.
    pub fn expose_any(mut self) -> Self {
        self.exposed = Allowed::Any;
        self
    }

    /// Lets pages send cookies and the like, and read the answers; off by default.
    ///
    /// Every method and header is then allowed by naming what was asked for, as `*` means nothing more to browsers.
    ///
    /// # Errors
    ///
    /// Where every origin is allowed: then any page that a user opens could read what only the user may see.
    pub fn credentials(mut self) -> Result<Self, Error> {
        if matches!(self.origins, Origins::Any) {
            let why = "credentials are for origins that are named, not for every one";
            return Err(Error::new(ErrorKind::Origin, why));
        }
        self.credentials = true;
        Ok(self)
    }

    /// How long browsers may remember the response to a preflight, in whole seconds; five by their own default.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Lets pages of public sites reach this one in a private network, where they ask for that; off by default.
    pub fn private_network(mut self) -> Self {
        self.private_network = true;
        self
    }

    /// Adds what every answer says.
    fn mark(&self, allowed: Option<HeaderValue>, headers: &mut HeaderMap) {
        headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        if !matches!(self.origins, Origins::Any) {
            // Also where there is no `Origin`: a cache would give that answer to a page of another origin.
            vary_add(headers, &ORIGIN);
        }
        if let Some(origin) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            if self.credentials {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            }
        }
    }

    /// Adds what only the answers to real requests say.
    fn decorate(&self, allowed: Option<HeaderValue>, mut response: Response) -> Response {
        let is_allowed = allowed.is_some();
        self.mark(allowed, response.headers_mut());
        let exposed = match &self.exposed {
            Allowed::Listed(list) => list.clone(),
            _ if self.credentials => None,
            _ => Some(HeaderValue::from_static("*")),
        };
        if let Some(exposed) = exposed.filter(|_| is_allowed) {
            response
                .headers_mut()
                .insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        response
    }

    /// The answer to a preflight.
    fn preflight(&self, request: &Request) -> Response {
        let (asked, mut response) = (request.headers(), StatusCode::NO_CONTENT.into_response());
        let headers = response.headers_mut();
        let allowed = self.origins.allow(only(asked, &ORIGIN));
        let is_allowed = allowed.is_some();
        self.mark(allowed, headers);
        // An `Origin` is what makes a preflight, whatever it is.
        let read = [
            ORIGIN,
            ACCESS_CONTROL_REQUEST_METHOD,
            ACCESS_CONTROL_REQUEST_HEADERS,
        ];
        let private_network = self.private_network.then_some(REQUEST_PRIVATE_NETWORK);
        for name in read.into_iter().chain(private_network) {
            vary_add(headers, &name);
        }
        if !is_allowed {
            return response;
        }
        let lists = [
            (
                &self.methods,
                ACCESS_CONTROL_REQUEST_METHOD,
                ACCESS_CONTROL_ALLOW_METHODS,
            ),
            (
                &self.headers,
                ACCESS_CONTROL_REQUEST_HEADERS,
                ACCESS_CONTROL_ALLOW_HEADERS,
            ),
        ];
        for (allowed, request_name, response_name) in lists {
            if let Some(list) = allowed.header_value(only(asked, &request_name), self.credentials) {
                headers.insert(response_name, list);
            }
        }
        if let Some(age) = self.max_age {
            headers.insert(ACCESS_CONTROL_MAX_AGE, age.as_secs().into());
        }
        if self.private_network && only(asked, &REQUEST_PRIVATE_NETWORK) == Some(&TRUE) {
            headers.insert(ALLOW_PRIVATE_NETWORK, TRUE);
        }
        response
    }
}

impl Allowed {
    fn list<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Allowed {
        let names: Vec<T> = names.into_iter().collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let list =
            HeaderValue::try_from(names.join(", ")).expect("methods and header names are tokens");
        Allowed::Listed(Some(list).filter(|list| !list.is_empty()))
    }

    fn header_value(&self, asked: Option<&HeaderValue>, credentials: bool) -> Option<HeaderValue> {
        match self {
            Allowed::Listed(list) => list.clone(),
            Allowed::Any if !credentials => Some(HeaderValue::from_static("*")),
            Allowed::Any | Allowed::Asked => asked.filter(|asked| is_list(asked)).cloned(),
        }
    }
}

/// Whether a value is a list of tokens (RFC 9110, section 5.6.1), which may be given back.
fn is_list(value: &HeaderValue) -> bool {
    let is_byte = |byte: &u8| is_token_byte(*byte) || b", \t".contains(byte);
    !value.is_empty() && value.as_bytes().iter().all(is_byte)
}

/// A header that is there once; of several, none is to be trusted.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).into_iter();
    match (lines.next(), lines.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cors")
            .field("origins", &self.origins.describe())
            .field("methods", &self.methods)
            .field("headers", &self.headers)
            .field("exposed", &self.exposed)
            .field("credentials", &self.credentials)
            .field("max_age", &self.max_age)
            .field("private_network", &self.private_network)
            .finish()
    }
}

impl Middleware for Cors {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Cors {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let headers = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if is_preflight {
            return Reply::new(self.preflight(&request));
        }
        let allowed = self.origins.allow(only(headers, &ORIGIN));
        let cors = self.clone();
        let reply = inner.call(request);
        reply.map(move |response| cors.decorate(allowed, response))
    }

    fn describe(&self) -> Description {
        Description::new("Cors")
            .option("origins", self.origins.describe())
            .option("credentials", self.credentials)
    }
}

#[cfg(test)]
mod tests;
