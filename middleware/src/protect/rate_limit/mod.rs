//! Limits the request rate of each client.

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
pub use self::store::{QuotaRequest, QuotaResult, QuotaStore};
use crate::error::Error;
use crate::shared::monotonic::Timer;

/// The default number of keys.
const MAX_KEYS: usize = 100_000;
/// The IPv6 network of one customer (RFC 6177): a client with one address has the whole network.
const IPV6_PREFIX: u8 = 64;

/// Limits how many requests each client may send in a time, and rejects the rest with 429 and `Retry-After`.
///
/// The limit is a [`Quota`]. A rejected request does not count, and its body is not read.
///
/// A client is identified by its [address](Request::client_address), for IPv6 by its `/64` network;
/// [`by_header`](RateLimit::by_header) and [`by`](RateLimit::by) choose another key. Requests without a key, such as
/// those from a Unix socket, share one quota unless [`when_no_key`](RateLimit::when_no_key) says otherwise.
///
/// # Headers
///
/// | | |
/// |---|---|
/// | `RateLimit-Policy: "default";q=100;w=60` | the quota: this many requests at once, and the seconds in which they refill |
/// | `RateLimit: "default";r=50;t=1` | the remaining requests, and the seconds until there is one more |
/// | `Retry-After: 12` | when to repeat a rejected request, in seconds, rounded up |
///
/// The first two are from the IETF's draft (draft-ietf-httpapi-ratelimit-headers-11), and are lists: with nested
/// limits, a response has a field value of each limit, distinguished by their [names](RateLimit::name). Values that the
/// application sets stay.
///
/// # Order
///
/// Inside [`ProxyFix`](crate::ProxyFix): without it all clients behind a proxy count as one. Inside logs and metrics,
/// so that they see rejected requests. Outside expensive work: the application, and reading bodies.
/// [`ErrorPages`](crate::ErrorPages) outside it adds a page to the 429.
///
/// A preflight (`OPTIONS`) counts like any request. If [`Cors`](crate::Cors) is outside, it responds to preflights
/// itself, so they do not count, and pages may read a 429; to let pages read its headers too, use
/// [`Cors::expose`](crate::Cors::expose).
///
/// Inside a router, it limits one application of a tree. Clones of one `RateLimit` share their state, so to limit two
/// parts of a tree together, wrap each in a clone.
///
/// # Security
///
/// Memory is bounded: at most [`max_keys`](RateLimit::max_keys) keys are kept, each in the same few bytes however long
/// it is. If there are more, rarely used keys are forgotten and start again with a full quota. So a client with more
/// addresses than there is room for is not limited; but each of its addresses has its own quota anyway.
///
/// A header that clients control is not a safe key, because each request may have another value. A header that a proxy
/// writes or that an outer wrapper checked is safe. Put a limit by user inside the wrapper that identifies the user,
/// and a limit by address outside it.
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Quota, RateLimit};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|_: Request| "x");
/// let limit = RateLimit::new(Quota::per_minute(2));
/// let client = Client::new(app.clone().wrap(limit));
/// let ask = |peer: &str| client.get("/").peer(peer.parse().unwrap()).send();
/// let response = ask("192.0.2.1:1000");
/// assert_eq!(response.header("ratelimit-policy"), Some("\"default\";q=2;w=60"));
/// assert_eq!(response.header("ratelimit"), Some("\"default\";r=1;t=30"));
/// assert_eq!(ask("192.0.2.1:1001").status(), 200);
/// let refused = ask("192.0.2.1:1002");
/// assert_eq!((refused.status().as_u16(), refused.header("retry-after")), (429, Some("30")));
/// assert_eq!(ask("192.0.2.2:1000").status(), 200);
///
/// // Those who pay may send more.
/// let limit = RateLimit::new(Quota::per_second(1))
///     .by_header(enfilade::http::HeaderName::from_static("x-user"))
///     .quota_by(|request| {
///         let paid = request.headers().get("x-plan")? == "paid";
///         paid.then_some(Quota::per_second(100))
///     });
/// let client = Client::new(app.wrap(limit));
/// let response = client.get("/").header("x-user", "7").header("x-plan", "paid").send();
/// assert_eq!(response.header("ratelimit"), Some("\"default\";r=99;t=1"));
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
    /// `None` if there are only the buckets in memory.
    store: Option<Arc<dyn QuotaStore>>,
    when_store_fails: WhenStoreFails,
    on_store_error: Option<Arc<dyn Fn(&(dyn StdError + Send + Sync + 'static)) + Send + Sync>>,
    timer: Timer,
}

/// What to do with a request without a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenNoKey {
    /// All of them share one quota, so leaving the key out gains nothing.
    #[default]
    Share,
    /// It is rejected with 400.
    Refuse,
    /// It passes without a limit; use it if another wrapper rejects such requests.
    Pass,
}

/// What to do with a request if the [`QuotaStore`] fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenStoreFails {
    /// This program counts by itself, in memory: there is a limit, but not across all programs.
    #[default]
    CountHere,
    /// It is rejected with 503. If the store is down, so is the application.
    Refuse,
    /// It passes without a limit.
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

    /// Sets how many bits of an IPv6 address form the key, and replaces any other key; 64 by default.
    ///
    /// A customer may have more than a `/64`: 56 or 48 treat it as one client. With 128 each address is a client, and
    /// almost everyone has more addresses than there is room for. This setting makes the client's address the key.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        let ipv6_prefix = bits.min(128);
        self.key = KeySource::Address { ipv6_prefix };
        self
    }

    /// Gives each value of this header a quota, instead of each address.
    ///
    /// A request with an empty or repeated value has no key. See [Security](#security) for which headers are safe.
    pub fn by_header(mut self, name: HeaderName) -> Self {
        self.key = KeySource::Header(name);
        self
    }

    /// Gives each key that `function` returns a quota, instead of each address; `None` means no key.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::{Quota, RateLimit};
    /// use enfilade::{Application, Request, RemoteUser};
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

    /// Sets what to do with a request without a key; by default all of them share one quota.
    pub fn when_no_key(mut self, choice: WhenNoKey) -> Self {
        self.when_no_key = choice;
        self
    }

    /// Sets the quota for some requests; `None` is the default quota.
    ///
    /// A key has one bucket, whatever its quota. If its quota changes, requests from before still count, but at most
    /// until the new quota has refilled completely.
    pub fn quota_by(
        mut self,
        function: impl Fn(&Request) -> Option<Quota> + Send + Sync + 'static,
    ) -> Self {
        self.quota_by = Some(Arc::new(function));
        self
    }

    /// Limits only requests for which this returns `true`; all by default. Others pass without the headers.
    pub fn only_if(mut self, counts: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Self {
        self.only_if = Some(Arc::new(counts));
        self
    }

    /// Sets the name of this limit in its headers and for a store; `default` by default.
    ///
    /// Two limits of one stack need two names.
    ///
    /// # Errors
    ///
    /// If it is empty, or has a character that is not printable ASCII.
    pub fn name(mut self, name: impl AsRef<str>) -> Result<Self, Error> {
        self.fields.set_name(name.as_ref())?;
        Ok(self)
    }

    /// Sets whether responses have `RateLimit` and `RateLimit-Policy`; on by default.
    ///
    /// Turn it off to hide the limits from strangers. A rejection always has `Retry-After`.
    pub fn fields(mut self, shown: bool) -> Self {
        self.fields.standard = shown;
        self
    }

    /// Sets whether responses also have `X-RateLimit-Limit`, `-Remaining` and `-Reset`, for old clients; off by
    /// default.
    ///
    /// `-Reset` is in seconds from now until one more request is allowed, not a time of day as on some servers. With
    /// several limits, the one with the fewest remaining requests is shown.
    pub fn legacy_fields(mut self, shown: bool) -> Self {
        self.fields.legacy = shown;
        self
    }

    /// Sets the maximum number of keys in memory; 100 000 by default, which take 8.5 MB.
    ///
    /// Rarely used keys are forgotten first, and then have a full quota again. Set it above the number of clients that
    /// come while a quota refills. There is always room for one key.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.buckets = Arc::new(Buckets::new(keys));
        self
    }

    /// Sets the store, such as one that several programs share; in memory by default.
    pub fn store(mut self, store: impl QuotaStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets what to do with a request if the store fails; by default this program counts by itself.
    pub fn when_store_fails(mut self, choice: WhenStoreFails) -> Self {
        self.when_store_fails = choice;
        self
    }

    /// Calls this with each error of the store, for a log; without it only a rejection has the error, as its cause.
    pub fn on_store_error(
        mut self,
        function: impl Fn(&(dyn StdError + Send + Sync + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.on_store_error = Some(Arc::new(function));
        self
    }

    /// Sets the timer, which returns the time since any moment.
    ///
    /// By default it is the system's monotonic clock; tests use a fixed one.
    ///
    /// If it runs backward, no more requests pass than the elapsed time allows; at worst a client waits until a whole
    /// quota has refilled.
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
