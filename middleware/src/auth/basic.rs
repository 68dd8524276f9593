//! Names and passwords in `Authorization: Basic`.

use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, Eventual, HttpError, Middleware, Reply, Request, Wrapper, wrapped,
};

use super::challenge::{Challenge, exposed, hide_credentials, is_exposed};
use super::identity::{Identity, admit};
use crate::error::Error;
use crate::shared::authorization::basic;

/// Asks for a name and a password (Basic, RFC 7617), and passes on who it is as an [`Identity`].
///
/// A request without credentials, with wrong ones or with two lines of them gets a 401, which makes a browser ask. Names and
/// passwords are UTF-8. Credentials over HTTP without TLS are rejected with 403, unless they come from this machine: a
/// browser sends them with each request, and anybody on the way can read them.
///
/// The passwords are [`Passwords`](crate::Passwords) in memory, an `Htpasswd` file (feature `htpasswd`), or your own
/// [`PasswordCheck`], such as a closure.
///
/// # Order
///
/// Inside [`Cors`](crate::Cors), because a preflight has no credentials, and inside limits of requests; outside
/// [`Authorize`](crate::Authorize) and the router.
///
/// # Security
///
/// Nothing limits guesses but a [`RateLimit`](https://docs.rs/enfilade/latest/enfilade/middleware/struct.RateLimit.html)
/// outside. Browsers send the credentials for requests of other sites too: put [`Csrf`](crate::Csrf) around.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Basic, Identity, Passwords};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let app = Application::new(|request: Request| Identity::of(&request).map(|user| user.name().to_owned()));
/// let users = Passwords::new().user("Aladdin", "open sesame");
/// let client = Client::new(app.wrap(Basic::new("Cave", users)?));
///
/// let refused = client.get("/").send();
/// assert_eq!(refused.status(), 401);
/// assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"Cave\", charset=\"UTF-8\""));
/// let request = client.get("/").header("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
/// assert_eq!(request.send().text(), "Aladdin");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Basic {
    challenge: Arc<Challenge>,
    check: Arc<dyn PasswordCheck>,
    is_optional: bool,
    allows_http: bool,
}

/// Checks names and passwords: a list, a file, a database.
///
/// A closure that takes both and returns whether they are right is one. It runs on the event loop, so it must not block.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Identity, PasswordCheck};
/// use enfilade::{Eventual, HttpError};
///
/// struct Database;
///
/// impl PasswordCheck for Database {
///     fn check(&self, user: &str, password: &str) -> Eventual<Result<Option<Identity>, HttpError>> {
///         let (user, password) = (user.to_owned(), password.to_owned());
///         Eventual::from_future(async move {
///             // Look the user up, and compare a slow hash of the password on a thread that may block.
///             let is_right = (user.as_str(), password.as_str()) == ("ada", "secret");
///             Ok(is_right.then(|| Identity::new(user).group("members")))
///         })
///     }
/// }
/// ```
pub trait PasswordCheck: Send + Sync + 'static {
    /// Returns who it is; `None` if the name or the password is wrong. An error becomes the response.
    fn check(&self, user: &str, password: &str) -> Eventual<Result<Option<Identity>, HttpError>>;
}

impl<F> PasswordCheck for F
where
    F: Fn(&str, &str) -> bool + Send + Sync + 'static,
{
    fn check(&self, user: &str, password: &str) -> Eventual<Result<Option<Identity>, HttpError>> {
        Eventual::new(Ok(self(user, password).then(|| Identity::new(user))))
    }
}

impl Basic {
    /// Asks for passwords of a realm, which a browser may show.
    ///
    /// # Errors
    ///
    /// If the realm is not printable ASCII.
    pub fn new(realm: &str, check: impl PasswordCheck) -> Result<Basic, Error> {
        Ok(Basic {
            challenge: Challenge::new("Basic", realm, ", charset=\"UTF-8\"")?,
            check: Arc::new(check),
            is_optional: false,
            allows_http: false,
        })
    }

    /// Lets requests without credentials pass, without an identity: an [`Authorize`](crate::Authorize) inside decides. So do
    /// those of another scheme, which are for another component inside, such as [`Bearer`](crate::Bearer). Wrong names and
    /// passwords get a 401 everywhere.
    pub fn optional(mut self) -> Basic {
        self.is_optional = true;
        self
    }

    /// Accepts passwords over HTTP without TLS, from other machines too. Anybody on the way can read them.
    pub fn insecure_without_tls(mut self) -> Basic {
        self.allows_http = true;
        self
    }
}

impl Middleware for Basic {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Basic {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        if self.is_optional && Challenge::is_for_others(&request, "basic") {
            return self.challenge.pass(inner, request);
        }
        if !self.allows_http && is_exposed(&request) {
            return Reply::new(exposed());
        }
        hide_credentials(&mut request);
        let credentials = basic(request.headers()).and_then(|(user, password)| {
            Some((
                String::from_utf8(user).ok()?,
                String::from_utf8(password).ok()?,
            ))
        });
        let Some((user, password)) = credentials else {
            return Reply::new(self.challenge.refusal(""));
        };
        let (challenge, app) = (self.challenge.clone(), inner.clone());
        let decide = move |checked: Result<Option<Identity>, HttpError>| match checked {
            Ok(Some(identity)) => admit(&app, request, identity),
            Ok(None) => Reply::new(challenge.refusal("")),
            Err(error) => Reply::new(error),
        };
        match self.check.check(&user, &password).try_into_ready() {
            Ok(checked) => decide(checked),
            Err(later) => Reply::from_future(async move { decide(later.wait().await).await }),
        }
    }

    fn describe(&self) -> Description {
        Description::new("Basic").option("optional", self.is_optional)
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic")
            .field("challenge", &self.challenge)
            .field("is_optional", &self.is_optional)
            .finish_non_exhaustive()
    }
}
