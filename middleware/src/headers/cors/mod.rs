//! Lets pages of other origins read responses (CORS).

mod allowed;

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

use self::allowed::Origins;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::matching::origin::Origin;
use crate::matching::origin_policy::OriginPolicy;

const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Lets pages of other origins read responses, as in the CORS protocol of the Fetch standard.
///
/// By default browsers hide responses from pages of other origins. This wrapper allows some origins to read them. A
/// preflight (OPTIONS with `Origin` and `Access-Control-Request-Method`) gets a 204 and never reaches the application.
/// All other requests reach it, including other OPTIONS requests, and their responses get the headers, including
/// errors. If the origin is not allowed, the response gets no such headers. The application's own
/// `Access-Control-Allow-Origin` and `Access-Control-Allow-Credentials` are replaced, so that the two never disagree.
///
/// `Vary` lists `Origin`, unless every origin is allowed; for a preflight it also lists the headers with the requested
/// method and headers.
///
/// # Order
///
/// Outside authentication, because a preflight has no credentials. Outside wrappers that respond with errors that pages
/// should be able to read.
///
/// # Security
///
/// CORS allows reading, and blocks nothing: requests from any origin reach the application, and a form can send one
/// without a preflight. Origins are compared as a whole, byte for byte. Any sandboxed page sends the origin `null`, so
/// a list never allows it.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::Method;
/// use enfilade::middleware::Cors;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let cors = Cors::origins(["https://example.org", "https://*.example.org"])?
///     .methods([Method::GET, Method::PUT])
///     .credentials()?;
/// let client = Client::new(Application::new(|_: Request| "data").wrap(cors));
///
/// let response = client.get("/").header("origin", "https://app.example.org").send();
/// assert_eq!(response.header("access-control-allow-origin"), Some("https://app.example.org"));
/// assert_eq!(response.header("vary"), Some("origin"));
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

/// The allowed methods or headers.
#[derive(Clone, Debug)]
enum Allowed {
    /// All: `*`, or the requested ones if credentials make `*` an ordinary name.
    Any,
    /// The requested ones.
    Asked,
    /// These, in one field value; `None` if empty.
    Listed(Option<HeaderValue>),
}

impl Cors {
    /// Lets pages of every origin read responses to requests without credentials: for public content.
    pub fn any_origin() -> Self {
        Cors::new(Origins::Any)
    }

    /// Lets pages of these origins read responses.
    ///
    /// Write an origin as browsers send it: `https://example.org` or `http://localhost:3000`. `*.` before the host
    /// matches one label, `**.` any number of labels, and `.` the domain and all its subdomains.
    ///
    /// # Errors
    ///
    /// If one is not an origin, or is not written as browsers write it.
    pub fn origins<T: AsRef<str>>(origins: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let origins = origins
            .into_iter()
            .map(|origin| Origin::parse(origin.as_ref()));
        Ok(Cors::new(Origins::Listed(
            origins.collect::<Result<_, _>>()?,
        )))
    }

    /// Lets pages of the origins that a policy lists read responses: the same that [`Csrf`](crate::Csrf) lets act.
    pub fn policy(policy: &OriginPolicy) -> Self {
        Cors::new(Origins::Listed(policy.listed().to_vec()))
    }

    /// Lets pages of an origin read responses if `test` returns true for it.
    ///
    /// `test` gets only well-formed origins: a scheme, a host, and a port if it is not the default of the scheme.
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

    /// Sets the methods that pages may use; by default GET, HEAD and POST, which browsers allow without a preflight.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = Allowed::list(methods);
        self
    }

    /// Lets pages use every method.
    pub fn any_method(mut self) -> Self {
        self.methods = Allowed::Any;
        self
    }

    /// Allows the requested method, whatever it is, by name.
    pub fn asked_method(mut self) -> Self {
        self.methods = Allowed::Asked;
        self
    }

    /// Sets the headers that pages may send, besides those that browsers always allow; none by default.
    pub fn headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = Allowed::list(names);
        self
    }

    /// Lets pages send every header except `Authorization`, which the Fetch standard requires by name.
    pub fn any_header(mut self) -> Self {
        self.headers = Allowed::Any;
        self
    }

    /// Allows the requested headers, whatever they are, by name.
    pub fn asked_headers(mut self) -> Self {
        self.headers = Allowed::Asked;
        self
    }

    /// Sets the response headers that pages may read, besides those that browsers always show; none by default.
    pub fn expose(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.exposed = Allowed::list(names);
        self
    }

    /// Lets pages read every header of responses to requests without credentials.
    pub fn expose_any(mut self) -> Self {
        self.exposed = Allowed::Any;
        self
    }

    /// Lets pages send credentials such as cookies, and read the responses; off by default.
    ///
    /// Every method and header is then allowed by naming the requested ones, because browsers no longer treat `*` as a
    /// wildcard.
    ///
    /// # Errors
    ///
    /// If every origin is allowed: any page that a user opens could then read content that only the user may see.
    pub fn credentials(mut self) -> Result<Self, Error> {
        if matches!(self.origins, Origins::Any) {
            let why = "credentials cannot be allowed for every origin: list the origins";
            return Err(Error::new(ErrorKind::Origin, why));
        }
        self.credentials = true;
        Ok(self)
    }

    /// Sets how long browsers may remember the response to a preflight, in whole seconds; browsers default to five.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Lets pages of public sites reach this site in a private network if they request it; off by default.
    pub fn private_network(mut self) -> Self {
        self.private_network = true;
        self
    }

    /// Adds the headers of every response.
    fn mark(&self, allowed: Option<HeaderValue>, headers: &mut HeaderMap) {
        headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        if !matches!(self.origins, Origins::Any) {
            // Also without `Origin`: a cache could send that response to a page of another origin.
            vary_add(headers, &ORIGIN);
        }
        if let Some(origin) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            if self.credentials {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            }
        }
    }

    /// Adds the headers of responses to actual requests.
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

    /// Makes the response to a preflight.
    fn preflight(&self, request: &Request) -> Response {
        let (asked, mut response) = (request.headers(), StatusCode::NO_CONTENT.into_response());
        let headers = response.headers_mut();
        let allowed = self.origins.allow(only(asked, &ORIGIN));
        let is_allowed = allowed.is_some();
        self.mark(allowed, headers);
        // Any `Origin` makes a preflight, whatever its value.
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

/// Whether a value is a list of tokens (RFC 9110, section 5.6.1), and so may be sent in a response.
fn is_list(value: &HeaderValue) -> bool {
    let is_byte = |byte: &u8| is_token_byte(*byte) || b", \t".contains(byte);
    !value.is_empty() && value.as_bytes().iter().all(is_byte)
}

/// Returns a header that occurs once; if it is repeated, no value can be trusted.
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
