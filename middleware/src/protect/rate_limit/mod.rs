//! A limit for the number of requests in a time, for each client.

mod buckets;
mod fields;
mod key;
mod limiter;
mod quota;
mod store;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{Application, Middleware, Request, wrapped};
use http::HeaderName;

use self::buckets::Buckets;
use self::fields::Fields;
use self::key::KeySource;
pub use self::key::QuotaKey;
use self::limiter::Limiter;
pub use self::quota::{Quota, QuotaState};
pub use self::store::{QuotaAnswer, QuotaAsk, QuotaStore};
use crate::error::Error;
use crate::shared::monotonic::Timer;

/// How many keys are kept.
const MAX_KEYS: usize = 100_000;
/// An IPv6 network that one customer has (RFC 6177): whoever has one address has all of it.
const IPV6_PREFIX: u8 = 64;

/// Lets each client send so many requests in a time, and refuses the rest with 429 and `Retry-After`.
///
/// What a client may send is a [`Quota`]. A request that is refused takes nothing of it, and nothing of it is read.
///
/// A client is its [address](Request::client_address), of IPv6 the network `/64`; or what
/// [`by_header`](RateLimit::by_header) or [`by`](RateLimit::by) say. Requests without a key, as those from a Unix
/// socket, share one quota unless [`when_no_key`](RateLimit::when_no_key) says otherwise.
///
/// # Headers
///
/// | | |
/// |---|---|
/// | `RateLimit-Policy: "default";q=100;w=60` | the quota: so many requests at once, which come back in so many seconds |
/// | `RateLimit: "default";r=50;t=1` | so many are left, and one more in so many seconds |
/// | `Retry-After: 12` | when a request that was refused is to come again, in seconds, rounded up |
///
/// The first two are those of the IETF's draft (draft-ietf-httpapi-ratelimit-headers-11), and are lists: where one limit
/// stands in another, an answer has a line of each, told apart by their [names](RateLimit::name). What an application
/// says in them stays.
///
/// # Order
///
/// Inside [`ProxyFix`](crate::ProxyFix), without which all clients behind a proxy are one, and inside logs and metrics,
/// which then see what is refused. Outside what is dear: the application, its reading of bodies.
/// [`ErrorPages`](crate::ErrorPages) outside it gives the 429 a page.
///
/// A preflight (`OPTIONS`) counts as any request does. Outside this, [`Cors`](crate::Cors) answers preflights itself, so
/// that they do not count, and pages may read a 429; the fields in it are for them to see by
/// [`Cors::expose`](crate::Cors::expose).
///
/// Inside a router, it limits one application of a tree. Clones of one `RateLimit` share what is left; so a limit for two
/// parts of a tree is a clone around each.
///
/// # Security
///
/// Memory is bounded: [`max_keys`](RateLimit::max_keys) keys are kept, each in the same few bytes however long it was.
/// Where more come, those that were asked for seldom are forgotten, and have a whole quota when they come again. So
/// someone with more addresses than there is room for is limited no more; each of them has a quota of its own anyway.
///
/// A header that clients write is no key, as each request may have another one; one that a proxy writes is, or one that
/// was checked further out. A limit by user stands inside what finds out who the user is, and one by address outside it.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::{Quota, RateLimit};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|_: Request| "x");
/// let limit = RateLimit::new(Quota::per_minute(2));
/// let client = Client::new(app.clone().wrap(limit));
/// let ask = |peer: &str| client.get("/").peer(peer.parse().unwrap()).send();
/// let answer = ask("192.0.2.1:1000");
/// assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=2;w=60"));
/// assert_eq!(answer.header("ratelimit"), Some("\"default\";r=1;t=30"));
/// assert_eq!(ask("192.0.2.1:1001").status(), 200);
/// let refused = ask("192.0.2.1:1002");
/// assert_eq!((refused.status().as_u16(), refused.header("retry-after")), (429, Some("30")));
/// assert_eq!(ask("192.0.2.2:1000").status(), 200);
///
/// // Those who pay may send more.
/// let limit = RateLimit::new(Quota::per_second(1))
///     .by_header(http::HeaderName::from_static("x-user"))
///     .quota_by(|request| {
///         let paid = request.headers().get("x-plan")? == "paid";
///         paid.then_some(Quota::per_second(100))
///     });
/// let client = Client::new(app.wrap(limit));
/// let answer = client.get("/").header("x-user", "7").header("x-plan", "paid").send();
/// assert_eq!(answer.header("ratelimit"), Some("\"default\";r=99;t=1"));
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct RateLimit {
    quota: Quota,
    quota_by: Option<Arc<dyn Fn(&Request) -> Option<Quota> + Send + Sync>>,
    key: KeySource,
    when_no_key: WhenNoKey,
    only_if: Option<Arc<dyn Fn(&Request) -> bool + Send + Sync>>,
    fields: Fields,
    buckets: Arc<Buckets>,
    /// None where the buckets are all there is.
    store: Option<Arc<dyn QuotaStore>>,
    when_store_fails: WhenStoreFails,
    on_store_error: Option<Arc<dyn Fn(&(dyn StdError + Send + Sync + 'static)) + Send + Sync>>,
    timer: Timer,
}

/// What happens to a request that has no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenNoKey {
    /// All of them share one quota, so that to leave the key out gains nothing.
    #[default]
    Share,
    /// It is refused: 400.
    Refuse,
    /// It passes, and is limited by nothing; right where something else refuses it.
    Pass,
}

/// What happens to a request where the [`QuotaStore`] fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenStoreFails {
    /// This program counts by itself, in memory, so that a limit is there, if not for all programs together.
    #[default]
    CountHere,
    /// It is refused: 503. Where the store is down, so is what is behind this.
    Refuse,
    /// It passes, and is limited by nothing.
    Pass,
}

impl RateLimit {
    /// Gives each client address this quota; IPv6 addresses of one `/64` share it.
    pub fn new(quota: Quota) -> Self {
        RateLimit {
            quota,
            quota_by: None,
            key: KeySource::Address {
                ipv6_prefix: IPV6_PREFIX,
            },
            when_no_key: WhenNoKey::default(),
            only_if: None,
            fields: Fields::new(),
            buckets: Arc::new(Buckets::new(MAX_KEYS)),
            store: None,
            when_store_fails: WhenStoreFails::default(),
            on_store_error: None,
            timer: Timer::default(),
        }
    }

    /// How many bits of an IPv6 address count, in place of a key that was set before; 64 by default.
    ///
    /// A customer may have more than a `/64`: 56 or 48 make it one client. 128 is one client an address, of which nearly
    /// everybody has more than there is room for. The key is the client's address then.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        let ipv6_prefix = bits.min(128);
        self.key = KeySource::Address { ipv6_prefix };
        self
    }

    /// Gives each value of this header a quota, in place of each address.
    ///
    /// A request with an empty value, or with several lines of it, has no key. See [Security](#security) for who writes it.
    pub fn by_header(mut self, name: HeaderName) -> Self {
        self.key = KeySource::Header(name);
        self
    }

    /// Gives each key that `function` finds a quota, in place of each address; `None` is a request without one.
    ///
    /// ```
    /// use enfilade_core::{Application, Request, RemoteUser};
    /// use enfilade_middleware::{Quota, RateLimit};
    ///
    /// let limit = RateLimit::new(Quota::per_minute(100)).by(|request| {
    ///     let user = request.extensions().get::<RemoteUser>()?;
    ///     Some(user.name().to_owned())
    /// });
    /// # let app = Application::new(|_: Request| "x").wrap(limit);
    /// # assert_eq!(pollster::block_on(app.call(Request::get("/"))).status(), 200);
    /// ```
    pub fn by<K: Into<QuotaKey>>(
        mut self,
        function: impl Fn(&Request) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        let function = move |request: &Request| function(request).map(Into::into);
        self.key = KeySource::KeyFunction(Arc::new(function));
        self
    }

    /// What happens to a request without a key; by default all of them share one quota.
    pub fn when_no_key(mut self, choice: WhenNoKey) -> Self {
        self.when_no_key = choice;
        self
    }

    /// The quota of a request where it is another one than the others have; `None` is that of the others.
    ///
    /// A key has one bucket, whatever the quota: where it has another one from now on, what it took before counts, but no
    /// longer than it takes for all of the new one to come back.
    pub fn quota_by(
        mut self,
        function: impl Fn(&Request) -> Option<Quota> + Send + Sync + 'static,
    ) -> Self {
        self.quota_by = Some(Arc::new(function));
        self
    }

    /// Counts and limits only requests of which this says `true`; all by default. Others pass without the fields.
    pub fn only_if(mut self, counts: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.only_if = Some(Arc::new(counts));
        self
    }

    /// The name of this limit in its fields, and to a store; `default` by default. Two limits of one stack need two.
    ///
    /// # Errors
    ///
    /// Where it is empty, or has a character that is not printable ASCII.
    pub fn name(mut self, name: impl AsRef<str>) -> Result<Self, Error> {
        self.fields.set_name(name.as_ref())?;
        Ok(self)
    }

    /// Whether answers have `RateLimit` and `RateLimit-Policy`; they do by default. `Retry-After` a refusal always has.
    ///
    /// To leave them out tells no stranger what the limits are.
    pub fn fields(mut self, shown: bool) -> Self {
        self.fields.standard = shown;
        self
    }

    /// Whether answers have `X-RateLimit-Limit`, `-Remaining` and `-Reset` too, for old clients; off by default.
    ///
    /// The last one is in seconds from now, until one more request may come, and no time of day, as some servers have it.
    /// Of several limits that which has least left is told.
    pub fn legacy_fields(mut self, shown: bool) -> Self {
        self.fields.legacy = shown;
        self
    }

    /// How many keys are kept in memory at most; 100 000 by default, which take 8.5 MB.
    ///
    /// Those that were asked for seldom are forgotten first, and have a whole quota again. Give more than clients come
    /// while a quota comes back. One key has room at least.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.buckets = Arc::new(Buckets::new(keys));
        self
    }

    /// Keeps what is left in this, such as one that several programs share; in memory by default.
    pub fn store(mut self, store: impl QuotaStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// What happens to a request where the store fails; by default this program counts by itself.
    pub fn when_store_fails(mut self, choice: WhenStoreFails) -> Self {
        self.when_store_fails = choice;
        self
    }

    /// Calls this with each error of the store, for a log; without it, only a refusal shows one, as its cause.
    pub fn on_store_error(
        mut self,
        function: impl Fn(&(dyn StdError + Send + Sync + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.on_store_error = Some(Arc::new(function));
        self
    }

    /// Sets the timer: it returns the time since any moment. By default it is the system's monotonic clock; tests fix it.
    ///
    /// If it runs backward, no more requests pass than by the time that went by; at worst a client waits for as long as a
    /// whole quota takes to come back.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }
}

impl Middleware for RateLimit {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, Limiter::new(self))
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("quota", &self.quota)
            .field("key", &self.key.to_string())
            .field("name", &self.fields.name())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
