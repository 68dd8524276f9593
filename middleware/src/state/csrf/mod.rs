//! Rejects requests that a page of another site made.

#[cfg(feature = "sessions")]
pub(crate) mod token;

use std::sync::Arc;

use enfilade_core::headers::vary_add;
use enfilade_core::{
    Application, Description, HttpError, IntoResponse, Middleware, OptionValue, Reply, Request,
    Wrapper, wrapped,
};
use http::header::ORIGIN;
use http::{Method, StatusCode};

use crate::matching::guard::Guard;
use crate::matching::origin_policy::OriginPolicy;

/// Rejects requests that a page of another site made in the user's browser (cross-site request forgery, CSRF).
///
/// A browser sends a site's cookies with each request to it, also with one that a page of another site makes. So a form
/// on `evil.example` could act in the name of a user who is logged in here. This wrapper responds to such a request with 403.
///
/// It needs no tokens: browsers say where a request comes from. `Sec-Fetch-Site` must be `same-origin` or `none`; without
/// it, `Origin` must be the scheme and host of the request. A request with neither header passes, because it is not from
/// a browser. GET, HEAD and OPTIONS pass too, so they must change nothing; but a GET that begins an upgrade, such as a
/// WebSocket, is checked. See [`OriginPolicy`] for other origins that may act.
///
/// `require_token`, with the feature `sessions`, is for sites that must protect users of browsers from before 2020.
///
/// # Order
///
/// Inside [`ProxyFix`](crate::ProxyFix), which sets the scheme and the host; inside [`Cors`](crate::Cors), which responds
/// to preflights; outside [`MethodOverride`](crate::MethodOverride), and the router. With tokens, inside `Sessions`.
///
/// # Security
///
/// If TLS ends at a proxy and no `ProxyFix` is there, the scheme is wrong, and the few browsers without `Sec-Fetch-Site`
/// are rejected. A page of the same site on another subdomain is another origin: it is rejected unless it is listed.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Csrf;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let client = Client::new(Application::new(|_: Request| "paid").wrap(Csrf::new()));
/// let form = || client.post("http://bank.example/pay");
///
/// assert_eq!(form().header("sec-fetch-site", "same-origin").send().text(), "paid");
/// assert_eq!(form().header("sec-fetch-site", "cross-site").send().status(), 403);
/// assert_eq!(form().header("origin", "http://bank.example").send().text(), "paid");
/// assert_eq!(form().header("origin", "http://evil.example").send().status(), 403);
/// assert_eq!(form().send().text(), "paid"); // curl
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Csrf {
    policy: OriginPolicy,
    exempt: Vec<Guard>,
    #[cfg(feature = "sessions")]
    token: Option<token::TokenOptions>,
}

impl Csrf {
    /// Rejects what other origins send.
    pub fn new() -> Csrf {
        Csrf::default()
    }

    /// Sets which other origins may act; none by default.
    pub fn policy(mut self, policy: OriginPolicy) -> Csrf {
        self.policy = policy;
        self
    }

    /// Lets requests that a guard matches pass, such as those of a payment service that posts from the user's browser.
    ///
    /// A guard reads the same path as the router, however it is written in the target. Such a handler must know by other
    /// means that the user wants what is asked.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::{Csrf, Guard};
    ///
    /// # fn main() -> Result<(), enfilade::middleware::Error> {
    /// let csrf = Csrf::new().exempt(Guard::path("/payments/returned")?);
    /// # drop(csrf);
    /// # Ok(())
    /// # }
    /// ```
    pub fn exempt(mut self, guard: Guard) -> Csrf {
        self.exempt.push(guard);
        self
    }

    fn is_free(&self, request: &Request) -> bool {
        let is_safe = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        );
        (is_safe && request.upgrades().next().is_none())
            || self.exempt.iter().any(|guard| guard.matches(request))
    }
}

fn forbidden(reason: &'static str) -> HttpError {
    HttpError::new(StatusCode::FORBIDDEN)
        .message("The request does not come from a page of this site.")
        .caused_by(reason)
}

impl Middleware for Csrf {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Csrf {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        if self.is_free(&request) {
            return inner.call(request);
        }
        if let Err(reason) = self.policy.check(&request) {
            let is_get = request.method() == Method::GET;
            let mut response = forbidden(reason).into_response();
            if is_get {
                // A cache must not keep it for others.
                vary_add(response.headers_mut(), &ORIGIN);
            }
            return Reply::new(response);
        }
        #[cfg(feature = "sessions")]
        if let Some(options) = self.token {
            return options.check(inner, request);
        }
        inner.call(request)
    }

    fn describe(&self) -> Description {
        let mut description = Description::new("Csrf");
        let origins = self.policy.listed();
        if !origins.is_empty() {
            let origins = origins.iter().map(ToString::to_string);
            description = description.option("origins", origins.collect::<OptionValue>());
        }
        if !self.exempt.is_empty() {
            let guards = self.exempt.iter().map(ToString::to_string);
            description = description.option("exempt", guards.collect::<OptionValue>());
        }
        #[cfg(feature = "sessions")]
        if self.token.is_some() {
            description = description.option("token", true);
        }
        description
    }
}

#[cfg(test)]
mod tests;
