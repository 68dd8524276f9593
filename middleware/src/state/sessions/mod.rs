//! Sessions: what a client did before, kept for a time.

mod cookie;
mod data;
#[cfg(feature = "laws")]
pub(crate) mod laws;
mod load;
pub(crate) mod memory;
mod open;
mod save;
pub(crate) mod session;
pub(crate) mod store;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use enfilade_core::{
    Application, BoxError, Cookie, Description, HttpError, Middleware, Reply, Request, Wrapper,
    wrapped,
};
use http::StatusCode;

use self::open::Record;
use self::session::Slot;
use self::store::SessionStore;
use crate::error::{Error, ErrorKind};
use crate::state::cookie_keys::CookieKeys;

/// The name of the cookie by default. Browsers accept it only from this host, over TLS.
const NAME: &str = "__Host-session";
/// How many places of sessions are kept for further requests.
const SPARE: usize = 64;

/// Gives applications a [`Session`](crate::Session): values that belong to a client, from one request to the next.
///
/// A request that does not load its session costs nothing: nothing is read, nothing is written and no cookie is set. The
/// session is saved only if it changed, before the head of the response is sent. A response whose session was loaded has
/// `Vary: Cookie`; one that sets the cookie has `Cache-Control: private`, unless it says something else.
///
/// | | where the values are | the client can | ends at once | requests at the same time |
/// |---|---|---|---|---|
/// | [`new`](Sessions::new) | in a [`SessionStore`] | hold an ID | yes | all changes count |
/// | [`encrypted`](Sessions::encrypted) | in the cookie, up to 4 KiB | hold it | in this browser | the last one counts |
/// | [`signed`](Sessions::signed) | in the cookie, up to 4 KiB | read it | in this browser | the last one counts |
///
/// # Time
///
/// A session ends if it is not used for 14 days ([`idle`](Sessions::idle)), and 90 days after it was created or renewed
/// ([`lifetime`](Sessions::lifetime)). The server holds both, whatever the client keeps. Its time starts anew when it is
/// changed, and when it is loaded after more than a tenth of the time.
///
/// # Errors
///
/// If the store fails, the response is 503 with the error as its cause, unless
/// [`ignore_failures`](Sessions::ignore_failures) is set.
///
/// # Order
///
/// Inside error pages, compression and everything that rejects requests; outside [`Flash`](crate::Flash), `Csrf` with
/// tokens, and the router.
///
/// # Security
///
/// An ID has 128 random bits, and the store has only its hash. An ID that this server did not make is never used. A
/// session that one request removes is not brought back by another that is under way. [Renew](crate::Session::renew) the session
/// at each login.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{CookieKeys, Session, Sessions};
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// async fn basket(request: Request) -> Result<String, HttpError> {
///     let session = Session::load(&request).await?;
///     if let Some(book) = request.query_string().map(str::to_owned) {
///         session.update("books", move |books: Option<Vec<String>>| {
///             books.into_iter().flatten().chain([book.clone()]).collect()
///         })?;
///     }
///     Ok(session.get::<Vec<String>>("books")?.unwrap_or_default().join(", "))
/// }
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// // 32 random bytes or more, from a file or a secret store.
/// let keys = CookieKeys::new(b"0123456789abcdef0123456789abcdef")?;
/// let client = Client::new(Application::new(basket).wrap(Sessions::encrypted(keys)));
///
/// assert_eq!(client.get("/").send().header("set-cookie"), None);
/// let response = client.get("/?Emma").send();
/// let cookie = response.header("set-cookie").unwrap().split(';').next().unwrap();
/// assert_eq!(client.get("/?Persuasion").header("cookie", cookie).send().text(), "Emma, Persuasion");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Sessions {
    keeper: Keeper,
    cookie: Cookie,
    is_persistent: bool,
    idle: Duration,
    lifetime: Duration,
    limit: usize,
    on_failure: Option<Arc<dyn Fn(&BoxError) + Send + Sync>>,
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    spare: Spare,
}

/// Places for the sessions of further requests. A clone of the options has none.
#[derive(Default)]
struct Spare(Mutex<Vec<Arc<Slot>>>);

impl Clone for Spare {
    fn clone(&self) -> Spare {
        Spare::default()
    }
}

/// Where sessions are.
#[derive(Clone)]
enum Keeper {
    Store(Arc<dyn SessionStore>),
    Encrypted(CookieKeys),
    Signed(CookieKeys),
}

impl Sessions {
    /// Keeps sessions in a store, such as [`MemorySessions`](crate::MemorySessions); the cookie has an ID.
    pub fn new(store: impl SessionStore) -> Sessions {
        Sessions::with(Keeper::Store(Arc::new(store)), 64 * 1024)
    }

    /// Keeps sessions in the cookie, encrypted: the client cannot read them.
    pub fn encrypted(keys: CookieKeys) -> Sessions {
        Sessions::with(Keeper::Encrypted(keys), 0)
    }

    /// Keeps sessions in the cookie, signed: the client can read them, and change nothing.
    pub fn signed(keys: CookieKeys) -> Sessions {
        Sessions::with(Keeper::Signed(keys), 0)
    }

    fn with(keeper: Keeper, limit: usize) -> Sessions {
        const DAY: Duration = Duration::from_secs(86_400);
        #[expect(
            clippy::disallowed_methods,
            reason = "the clock that is there unless another one is set"
        )]
        let now = Arc::new(SystemTime::now);
        let mut sessions = Sessions {
            keeper,
            cookie: Cookie::new(NAME, ""),
            is_persistent: true,
            idle: 14 * DAY,
            lifetime: 90 * DAY,
            limit,
            on_failure: None,
            now,
            spare: Spare::default(),
        };
        sessions.limit_to_cookie();
        sessions
    }

    /// Sets the name and the attributes of the cookie; its value and its age are set for each session.
    ///
    /// By default it is `__Host-session`, `HttpOnly`, `Secure`, `SameSite=Lax`, with the path `/`. Browsers send such a
    /// cookie over HTTP without TLS only to `localhost`, and some not even there: for development set one with
    /// [`insecure_without_tls`](Cookie::insecure_without_tls).
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::{MemorySessions, Sessions};
    /// use enfilade::{Cookie, SameSite};
    ///
    /// # fn main() -> Result<(), enfilade::middleware::Error> {
    /// let cookie = Cookie::new("shop", "").path("/shop").same_site(SameSite::Strict);
    /// let sessions = Sessions::new(MemorySessions::new(10_000)).cookie(cookie)?;
    /// # drop(sessions);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If browsers would reject the cookie; see [`Cookie::header_value`].
    pub fn cookie(mut self, cookie: Cookie) -> Result<Sessions, Error> {
        cookie
            .header_value()
            .map_err(|error| Error::new(ErrorKind::Cookie, error.to_string()))?;
        self.cookie = cookie;
        self.limit_to_cookie();
        Ok(self)
    }

    /// Leaves the age of the cookie out, so that most browsers forget it when they are closed.
    pub fn until_browser_closes(mut self) -> Sessions {
        self.is_persistent = false;
        self
    }

    /// Sets how long a session lives that is not used; 14 days by default.
    pub fn idle(mut self, time: Duration) -> Sessions {
        self.idle = time;
        self
    }

    /// Sets how long a session lives after it was created or renewed, however often it is used; 90 days by default.
    pub fn lifetime(mut self, time: Duration) -> Sessions {
        self.lifetime = time;
        self
    }

    /// Sets the maximum length of the values of a session in a store, in bytes; 64 KiB by default.
    ///
    /// In a cookie, the limit is that of browsers: about 3,000 bytes.
    pub fn size_limit(mut self, bytes: usize) -> Sessions {
        self.limit = bytes;
        self.limit_to_cookie();
        self
    }

    /// Goes on with an empty session if the store fails, and does not save it; `report` gets the error.
    ///
    /// By default the response is 503 then. Without sessions, users seem to be logged out.
    pub fn ignore_failures(
        mut self,
        report: impl Fn(&BoxError) + Send + Sync + 'static,
    ) -> Sessions {
        self.on_failure = Some(Arc::new(report));
        self
    }

    /// Sets the clock for the lifetime; that of the system by default. Stores and keys have their own.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Sessions {
        self.now = Arc::new(now);
        self
    }

    fn limit_to_cookie(&mut self) {
        if !matches!(self.keeper, Keeper::Store(_)) {
            self.limit = cookie::capacity(self.cookie.name());
        }
    }

    /// The maximum length of the values of a session, in bytes.
    fn limit(&self) -> usize {
        self.limit
    }

    /// The seconds since 1970.
    fn seconds(&self) -> u64 {
        let since = (self.now)().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    /// How long a session lives from now on, if it is not used.
    fn time_left(&self, record: &Record) -> Duration {
        let age = Duration::from_secs(self.seconds().saturating_sub(record.created));
        self.idle.min(self.lifetime.saturating_sub(age))
    }

    /// A place for the session of a request; one that is left over from another, if there is one.
    #[inline]
    fn slot(self: &Arc<Self>) -> Arc<Slot> {
        let spare = self.spare.0.try_lock().ok();
        let mut slot = spare.and_then(|mut spare| spare.pop()).unwrap_or_default();
        if let Some(slot) = Arc::get_mut(&mut slot) {
            slot.begin(self);
        }
        slot
    }

    /// Keeps a place for another request.
    #[inline]
    fn recycle(&self, slot: Arc<Slot>) {
        if let Ok(mut spare) = self.spare.0.try_lock()
            && spare.len() < SPARE
        {
            spare.push(slot);
        }
    }
}

fn unavailable(error: BoxError) -> HttpError {
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE).caused_by(error)
}

impl Middleware for Sessions {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Sessions {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let mut slot = self.slot();
        request.provide(slot.clone());
        let reply = inner.call(request);
        // Most requests end here.
        if reply.is_ready()
            && let Some(own) = Arc::get_mut(&mut slot)
            && own.end_untouched()
        {
            self.recycle(slot);
            return reply;
        }
        let sessions = self.clone();
        reply.then(move |response| {
            let (open, slot) = Slot::end(slot);
            if let Some(slot) = slot {
                sessions.recycle(slot);
            }
            match open {
                None => Reply::new(response),
                Some(open) => sessions.save(*open, response),
            }
        })
    }

    fn describe(&self) -> Description {
        let description = Description::new("Sessions")
            .option("cookie", self.cookie.name())
            .option("idle", self.idle)
            .option("lifetime", self.lifetime);
        match &self.keeper {
            Keeper::Store(store) => description.option("store", store.describe().to_line()),
            Keeper::Encrypted(_) => description.option("store", "encrypted cookie"),
            Keeper::Signed(_) => description.option("store", "signed cookie"),
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe().to_line())
    }
}

#[cfg(test)]
mod tests;
