//! Another application decides who may pass.

use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Body, Description, IntoHandler, Middleware, OptionValue, Reply, Request, Response,
    Wrapper, wrapped,
};
use http::header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HOST, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::identity::{Identity, admit};
use crate::error::{Error, ErrorKind};

/// Asks another application, the gate, who may pass: as nginx's `auth_request` and Traefik's ForwardAuth, in process.
///
/// The gate gets a GET for each request: without its body, with `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For` that
/// say what is asked (the URI with the canonical path), and with these headers of the client: `Authorization`, `Cookie`, `Accept`, `Accept-Language`
/// and `User-Agent`. If its response is a 2xx, the request passes, with the gate's [identity
/// headers](ForwardAuth::identity_headers), and the gate's cookies are added to the response. Any other response of the gate is the
/// response: a 401, or a redirect to a login page.
///
/// The gate is any application: a closure in tests, an upstream, a mounted Flask application. Wrap it as any other, with a
/// [`Timeout`](crate::Timeout), a cache or a log.
///
/// # Order
///
/// As [`Basic`](https://docs.rs/enfilade/latest/enfilade/middleware/struct.Basic.html).
///
/// # Security
///
/// Identity headers that the client sends are removed first, in every spelling: `Remote-User`, `remote_user`. So the
/// application inside sees what the gate says, or nothing.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::StatusCode;
/// use enfilade::middleware::{ForwardAuth, Identity};
/// use enfilade::{Application, IntoResponse, Request};
/// use enfilade_testing::Client;
///
/// let gate = |request: Request| match request.cookies().get("user") {
///     Some(user) => ([("remote-user", user)], "").into_response(),
///     None => StatusCode::UNAUTHORIZED.into_response(),
/// };
/// let app = Application::new(|request: Request| Identity::of(&request).map(|user| user.name().to_owned()));
/// let client = Client::new(app.wrap(ForwardAuth::new(gate)));
/// assert_eq!(client.get("/").header("cookie", "user=ada").send().text(), "ada");
/// assert_eq!(client.get("/").header("remote-user", "root").send().status(), 401);
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct ForwardAuth {
    gate: Application,
    target: Uri,
    copied: Vec<HeaderName>,
    user: HeaderName,
    groups: HeaderName,
    others: Vec<HeaderName>,
}

impl ForwardAuth {
    /// Asks this application.
    pub fn new<M>(gate: impl IntoHandler<M>) -> ForwardAuth {
        let name = HeaderName::from_static;
        ForwardAuth {
            gate: Application::new(gate),
            target: Uri::from_static("/"),
            copied: vec![AUTHORIZATION, COOKIE, ACCEPT, ACCEPT_LANGUAGE, USER_AGENT],
            user: name("remote-user"),
            groups: name("remote-groups"),
            others: vec![name("remote-email"), name("remote-name")],
        }
    }

    /// Sets the target of the requests to the gate; `/` by default.
    ///
    /// # Errors
    ///
    /// If it is not a path, with or without a query.
    pub fn target(mut self, target: &str) -> Result<ForwardAuth, Error> {
        match target.parse::<Uri>() {
            Ok(uri) if target.starts_with('/') => {
                self.target = uri;
                Ok(self)
            }
            _ => {
                let text = format!("the gate's target {target:?} is not a path");
                Err(Error::new(ErrorKind::Rule, text))
            }
        }
    }

    /// Sets which headers of the client the gate gets.
    pub fn request_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> ForwardAuth {
        self.copied = names.into_iter().collect();
        self
    }

    /// Sets the headers in which the gate says who it is: the name, the groups with commas between them, and others that are only
    /// passed on. By default `Remote-User`, `Remote-Groups`, `Remote-Email` and `Remote-Name`.
    pub fn identity_headers(
        mut self,
        user: HeaderName,
        groups: HeaderName,
        others: impl IntoIterator<Item = HeaderName>,
    ) -> ForwardAuth {
        self.user = user;
        self.groups = groups;
        self.others = others.into_iter().collect();
        self
    }

    fn identity_names(&self) -> impl Iterator<Item = &HeaderName> {
        [&self.user, &self.groups].into_iter().chain(&self.others)
    }

    /// Removes what only the gate may say, in every spelling.
    fn remove_identity(&self, headers: &mut HeaderMap) {
        let is_own =
            |name: &&HeaderName| self.identity_names().any(|own| is_spelling_of(name, own));
        let forged: Vec<HeaderName> = headers.keys().filter(is_own).cloned().collect();
        for name in forged {
            headers.remove(name);
        }
    }

    /// The request to the gate, built from nothing.
    fn question(&self, request: &Request) -> Request {
        let mut question = Request::new(Method::GET, self.target.clone());
        let (mut parts, _) = question.into_http().into_parts();
        for name in &self.copied {
            for value in request.headers().get_all(name) {
                parts.headers.append(name.clone(), value.clone());
            }
        }
        // The same spelling as the router's, so that the gate decides about what will be done.
        let path = request.url_for_path(request.path());
        let uri = match request.query_string() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let client = request.client_address().map(|address| address.to_string());
        for (name, value) in [
            ("x-forwarded-method", Some(request.method().as_str())),
            ("x-forwarded-proto", Some(request.scheme().as_str())),
            ("x-forwarded-host", request.host()),
            ("x-forwarded-uri", Some(uri.as_str())),
            ("x-forwarded-for", client.as_deref()),
            (HOST.as_str(), request.host()),
        ] {
            let value = value.and_then(|value| HeaderValue::from_str(value).ok());
            if let Some(value) = value {
                parts.headers.insert(HeaderName::from_static(name), value);
            }
        }
        question = Request::from_parts(parts, Body::empty(), request.connection().clone());
        if let Some(address) = request.client_address() {
            question.set_client(address, None);
        }
        question
    }

    /// Calls the application if the gate lets the request pass.
    fn decide(&self, inner: &Application, mut request: Request, mut said: Response) -> Reply {
        if !said.status().is_success() {
            return Reply::new(said);
        }
        let headers = std::mem::take(said.headers_mut());
        said.into_body().discard();
        for name in self.identity_names() {
            if let Some(value) = headers.get(name) {
                request.headers_mut().insert(name.clone(), value.clone());
            }
        }
        let cookies: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
        let reply = match self.identity(&headers) {
            Some(identity) => admit(inner, request, identity),
            None => inner.call(request),
        };
        match cookies.is_empty() {
            true => reply,
            false => reply.update(move |response| {
                for cookie in cookies {
                    response.headers_mut().append(SET_COOKIE, cookie);
                }
            }),
        }
    }

    fn identity(&self, headers: &HeaderMap) -> Option<Identity> {
        let text = |name: &HeaderName| headers.get(name)?.to_str().ok();
        let groups = text(&self.groups)
            .unwrap_or_default()
            .split(',')
            .map(str::trim);
        let groups = groups.filter(|group| !group.is_empty());
        let identity = groups.fold(Identity::new(text(&self.user)?), Identity::group);
        let others = self
            .others
            .iter()
            .filter_map(|name| Some((name.as_str(), text(name)?)));
        Some(others.fold(identity, |identity, (name, value)| {
            identity.claim(name, value)
        }))
    }
}

/// Whether both are the same to an application that does not distinguish dashes and underscores, such as one behind CGI. Names
/// of headers are in lower case.
fn is_spelling_of(name: &HeaderName, own: &HeaderName) -> bool {
    let (name, own) = (name.as_str(), own.as_str());
    let dash = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.len() == own.len() && name.bytes().map(dash).eq(own.bytes().map(dash))
}

impl Middleware for ForwardAuth {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for ForwardAuth {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        self.remove_identity(request.headers_mut());
        let (forward, inner) = (self.clone(), inner.clone());
        let asked = self.gate.call(self.question(&request));
        asked.then(move |said| forward.decide(&inner, request, said))
    }

    fn describe(&self) -> Description {
        let names = self.identity_names().map(HeaderName::as_str);
        Description::new("ForwardAuth")
            .option("gate", self.gate.describe().to_line())
            .option("identity", names.collect::<OptionValue>())
    }
}

impl fmt::Debug for ForwardAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe().to_line())
    }
}
