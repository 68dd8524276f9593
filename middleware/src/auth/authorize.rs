//! Who may do what.

use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, HttpError, IntoResponse, Middleware, OptionValue, Redirect, Reply,
    Request, Response, Wrapper, wrapped,
};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};

use super::challenge::Challenge;
use super::identity::Identity;
use crate::error::{Error, ErrorKind};
use crate::matching::accept::accepts;
use crate::matching::guard::Guard;

/// Decides by rules who may do what: the first rule whose guard matches a request says who may make it.
///
/// A request that no rule matches is rejected. So is one whose [`Identity`] the rule does not name: with 403 if there is an
/// identity, and otherwise with the 401 of the component around that can ask for one (`Basic`, [`Bearer`](crate::Bearer) and
/// `ApiKeys`, if they are `optional`), or with a redirect to [`login_at`](Authorize::login_at), or with 403.
///
/// | guard of the first rule that matches | anonymous | identity that it does not name | identity that it names |
/// |---|---|---|---|
/// | [`Who::anyone`] | passes | passes | passes |
/// | another | 401, redirect or 403 | 403 | passes |
/// | no rule matches | 401, redirect or 403 | 403 | 403 |
///
/// # Order
///
/// Inside the component that finds the identity, and inside [`Slashes`](crate::Slashes), rewrites and
/// [`MethodOverride`](crate::MethodOverride): rules see the path and the method as the router does. Outside the router.
///
/// # Security
///
/// Guards read the canonical [path](Request::path), as routers, mounts and files do: `/%61dmin` and `/x/../admin` are `/admin`
/// to all of them. Use [`Guard::below`] to protect a path with everything below.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::Method;
/// use enfilade::middleware::{Authorize, Bearer, Guard, Identity, Who};
/// use enfilade::{Pipeline, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let tokens = Bearer::new("shop", |token| match token {
///     "a" => Some(Identity::new("ada").group("admins")),
///     "b" => Some(Identity::new("bob")),
///     _ => None,
/// })?;
/// let rules = Authorize::new()
///     .rule(Guard::below("/admin")?, Who::group("admins"))
///     .rule(Guard::method([Method::GET]), Who::anyone())
///     .rule(Guard::path("/orders")?, Who::authenticated());
/// let client = Client::new(Pipeline::new().with(tokens.optional()).with(rules).wrap(|_: Request| "done"));
///
/// let status = |method: Method, path: &str, token: &str| {
///     let request = client.request(method, path);
///     let request = if token.is_empty() { request } else { request.header("authorization", format!("Bearer {token}")) };
///     request.send().status().as_u16()
/// };
/// assert_eq!(status(Method::GET, "/", ""), 200);
/// assert_eq!(status(Method::POST, "/orders", ""), 401);
/// assert_eq!(status(Method::POST, "/orders", "b"), 200);
/// assert_eq!(status(Method::GET, "/admin", "b"), 403);
/// assert_eq!(status(Method::GET, "/%61dmin/users", "a"), 200);
/// assert_eq!(status(Method::DELETE, "/orders/7", "a"), 403);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Authorize {
    rules: Vec<(Guard, Who)>,
    login: Option<String>,
}

/// Whom a rule of [`Authorize`] lets pass.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until a rule has it"]
pub struct Who(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Anyone,
    Authenticated,
    User(String),
    Group(String),
    Any(Vec<Who>),
}

impl Who {
    /// Every client, also without an identity.
    pub fn anyone() -> Who {
        Who(Kind::Anyone)
    }

    /// Every identity.
    pub fn authenticated() -> Who {
        Who(Kind::Authenticated)
    }

    /// The identity of this name.
    pub fn user(name: impl Into<String>) -> Who {
        Who(Kind::User(name.into()))
    }

    /// Identities in this group.
    pub fn group(name: impl Into<String>) -> Who {
        Who(Kind::Group(name.into()))
    }

    /// Those that one of these lets pass.
    pub fn any(list: impl IntoIterator<Item = Who>) -> Who {
        Who(Kind::Any(list.into_iter().collect()))
    }

    fn includes(&self, identity: Option<&Identity>) -> bool {
        match &self.0 {
            Kind::Anyone => true,
            Kind::Authenticated => identity.is_some(),
            Kind::User(name) => identity.is_some_and(|identity| identity.name() == name),
            Kind::Group(group) => identity.is_some_and(|identity| identity.is_in(group)),
            Kind::Any(list) => list.iter().any(|who| who.includes(identity)),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Anyone => f.write_str("anyone"),
            Kind::Authenticated => f.write_str("authenticated"),
            Kind::User(name) => write!(f, "user {name}"),
            Kind::Group(group) => write!(f, "group {group}"),
            Kind::Any(list) => {
                let names: Vec<String> = list.iter().map(Who::to_string).collect();
                f.write_str(&names.join(" or "))
            }
        }
    }
}

impl Authorize {
    /// Has no rules, so that every request is rejected.
    pub fn new() -> Authorize {
        Authorize::default()
    }

    /// Adds a rule after the others.
    pub fn rule(mut self, guard: Guard, who: Who) -> Authorize {
        self.rules.push((guard, who));
        self
    }

    /// Sends anonymous visitors of pages to a login page, with the page that they wanted in the parameter `next`.
    ///
    /// For GET and HEAD of clients that accept HTML, as `*/*` does; all others get the 401 or 403. It is for all rules. The path is that of the application: the mount
    /// is put before it. A rule must let everybody see the login page.
    ///
    /// # Errors
    ///
    /// If it does not begin with a slash.
    pub fn login_at(mut self, path: &str) -> Result<Authorize, Error> {
        if !path.starts_with('/') {
            let text = format!("the login page {path:?} does not begin with a slash");
            return Err(Error::new(ErrorKind::Rule, text));
        }
        self.login = Some(path.to_owned());
        Ok(self)
    }

    fn allows(&self, request: &Request) -> bool {
        let rule = self.rules.iter().find(|(guard, _)| guard.matches(request));
        rule.is_some_and(|(_, who)| who.includes(Identity::of(request)))
    }

    fn refusal(&self, request: &Request) -> Response {
        if Identity::of(request).is_some() {
            return HttpError::new(StatusCode::FORBIDDEN).into_response();
        }
        let is_page = matches!(*request.method(), Method::GET | Method::HEAD)
            && request.upgrades().next().is_none()
            && accepts(request.headers(), "text/html");
        let mut response = match &self.login {
            Some(login) if is_page => to_login(request, login),
            _ => Challenge::of_request(request).into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

fn to_login(request: &Request, login: &str) -> Response {
    let mut next = form_urlencoded::Serializer::new(String::new());
    let wanted = match request.query_string() {
        Some(query) => format!("{}?{query}", request.path()),
        None => request.path().to_owned(),
    };
    next.append_pair("next", &wanted);
    let separator = if login.contains('?') { '&' } else { '?' };
    let login = format!("{login}{separator}{}", next.finish());
    Redirect::see_other(request, &login).into_response()
}

impl Middleware for Authorize {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Authorize {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        match self.allows(&request) {
            true => inner.call(request),
            false => Reply::new(self.refusal(&request)),
        }
    }

    fn describe(&self) -> Description {
        let rules = self
            .rules
            .iter()
            .map(|(guard, who)| format!("{guard}: {who}"));
        let description =
            Description::new("Authorize").option("rules", rules.collect::<OptionValue>());
        match &self.login {
            Some(login) => description.option("login", login.as_str()),
            None => description,
        }
    }
}
