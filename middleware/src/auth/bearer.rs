//! Tokens in `Authorization: Bearer`.

use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, Eventual, HttpError, Middleware, Reply, Request, Wrapper, wrapped,
};
use http::StatusCode;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};

use super::challenge::{Challenge, exposed, hide_credentials, is_exposed};
use super::identity::{Identity, admit};
use crate::error::Error;
use crate::shared::authorization::authorization;

/// Longer tokens are rejected unread, in bytes.
const LONGEST: usize = 8 * 1024;

/// Knows clients by a token (RFC 6750), and passes on who it is as an [`Identity`].
///
/// A request without a token gets a 401; one with a wrong token, one longer than 8 KiB or two of them gets
/// `error="invalid_token"` in its challenge. Only the header is read: a token in a URL is in logs and in the history of
/// browsers.
///
/// Tokens over HTTP without TLS are rejected with 403, unless they come from this machine.
///
/// # Order
///
/// As [`Basic`](https://docs.rs/enfilade/latest/enfilade/middleware/struct.Basic.html).
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Bearer, Identity};
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// async fn verify(token: String) -> Result<Option<Identity>, HttpError> {
///     // Ask a database, or an introspection endpoint (RFC 7662).
///     Ok((token == "mF_9.B5f-4.1JqM").then(|| Identity::new("ada").claim("scope", "read write")))
/// }
///
/// let app = Application::new(|request: Request| Identity::of(&request).map(|user| user.name().to_owned()));
/// let client = Client::new(app.wrap(Bearer::from_async("shop", verify)?.scope("read")));
/// assert_eq!(client.get("/").header("authorization", "Bearer mF_9.B5f-4.1JqM").send().text(), "ada");
/// let refused = client.get("/").header("authorization", "Bearer x").send();
/// assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"shop\", error=\"invalid_token\""));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Bearer {
    challenge: Arc<Challenge>,
    verify: Verify,
    scopes: Vec<String>,
    is_optional: bool,
    allows_http: bool,
}

/// Returns who a token is of.
type Verify = Arc<dyn Fn(&str) -> Eventual<Result<Option<Identity>, HttpError>> + Send + Sync>;

impl Bearer {
    /// Verifies tokens by a function; `None` means that the token is wrong.
    ///
    /// # Errors
    ///
    /// If the realm is not printable ASCII.
    pub fn new(
        realm: &str,
        verify: impl Fn(&str) -> Option<Identity> + Send + Sync + 'static,
    ) -> Result<Bearer, Error> {
        Bearer::with(
            realm,
            Arc::new(move |token| Eventual::new(Ok(verify(token)))),
        )
    }

    /// Verifies tokens by an asynchronous function. Its error becomes the response.
    ///
    /// # Errors
    ///
    /// If the realm is not printable ASCII.
    pub fn from_async<F>(
        realm: &str,
        verify: impl Fn(String) -> F + Send + Sync + 'static,
    ) -> Result<Bearer, Error>
    where
        F: Future<Output = Result<Option<Identity>, HttpError>> + Send + 'static,
    {
        let verify = move |token: &str| Eventual::from_future(verify(token.to_owned()));
        Bearer::with(realm, Arc::new(verify))
    }

    fn with(realm: &str, verify: Verify) -> Result<Bearer, Error> {
        Ok(Bearer {
            challenge: Challenge::new("Bearer", realm, "")?,
            verify,
            scopes: Vec::new(),
            is_optional: false,
            allows_http: false,
        })
    }

    /// Requires a scope: the claim `scope` of the identity must list it, between spaces. Otherwise the response is 403 with
    /// `error="insufficient_scope"` (RFC 6750, section 3.1).
    pub fn scope(mut self, scope: impl Into<String>) -> Bearer {
        self.scopes.push(scope.into());
        self
    }

    /// Lets requests without a token pass, without an identity: an [`Authorize`](crate::Authorize) inside decides. So do those of
    /// another scheme, which are for another component inside. A wrong token gets a 401 everywhere.
    pub fn optional(mut self) -> Bearer {
        self.is_optional = true;
        self
    }

    /// Accepts tokens over HTTP without TLS, from other machines too. Anybody on the way can read them.
    pub fn insecure_without_tls(mut self) -> Bearer {
        self.allows_http = true;
        self
    }

    fn decide(
        &self,
        inner: &Application,
        request: Request,
        verified: Result<Option<Identity>, HttpError>,
    ) -> Reply {
        let identity = match verified {
            Ok(Some(identity)) => identity,
            Ok(None) => return Reply::new(self.challenge.refusal(", error=\"invalid_token\"")),
            Err(error) => return Reply::new(error),
        };
        let granted = identity.get("scope").unwrap_or_default();
        let has = |scope: &String| granted.split(' ').any(|granted| granted == scope);
        match self.scopes.iter().all(has) {
            true => admit(inner, request, identity),
            false => Reply::new(self.insufficient()),
        }
    }

    fn insufficient(&self) -> HttpError {
        let scopes = self.scopes.join(" ");
        let more = format!(", error=\"insufficient_scope\", scope=\"{scopes}\"");
        let challenge = self.challenge.value(&more);
        HttpError::new(StatusCode::FORBIDDEN).header(WWW_AUTHENTICATE, challenge)
    }
}

/// A token of `Bearer` (RFC 6750, section 2.1); `None` if it is not one.
fn token(request: &Request) -> Option<String> {
    let (scheme, token) = authorization(request.headers())?;
    let body = token.trim_end_matches('=');
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    let is_valid = !body.is_empty() && token.len() <= LONGEST && body.bytes().all(is_token);
    (scheme.eq_ignore_ascii_case("bearer") && is_valid).then(|| token.to_owned())
}

impl Middleware for Bearer {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Bearer {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        if self.is_optional && Challenge::is_for_others(&request, "bearer") {
            return self.challenge.pass(inner, request);
        }
        if !request.headers().contains_key(AUTHORIZATION) {
            return Reply::new(self.challenge.refusal(""));
        }
        if !self.allows_http && is_exposed(&request) {
            return Reply::new(exposed());
        }
        hide_credentials(&mut request);
        let Some(token) = token(&request) else {
            return Reply::new(self.challenge.refusal(", error=\"invalid_token\""));
        };
        match (self.verify)(&token).try_into_ready() {
            Ok(verified) => self.decide(inner, request, verified),
            Err(later) => {
                let (bearer, inner) = (self.clone(), inner.clone());
                Reply::from_future(async move {
                    let verified = later.wait().await;
                    bearer.decide(&inner, request, verified).await
                })
            }
        }
    }

    fn describe(&self) -> Description {
        Description::new("Bearer")
            .option("scopes", self.scopes.clone())
            .option("optional", self.is_optional)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe().to_line())
    }
}
