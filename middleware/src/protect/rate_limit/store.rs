//! Stores for the state of quotas.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use enfilade_core::BoxError;

use super::{Quota, QuotaKey, QuotaState};

/// Stores the remaining quota of each key.
///
/// [`RateLimit`](crate::RateLimit) has a store in memory. To share a limit between programs, implement this for a
/// server such as Redis. Do it in one atomic step, so that two concurrent requests cannot both take the last one.
/// [`Quota::draw`] says what to keep; a key may be forgotten when its quota is complete again.
///
/// The store must limit its own time: a request waits as long as the store takes.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::sync::Mutex;
/// use std::time::Duration;
///
/// use enfilade::middleware::{Quota, QuotaResult, QuotaRequest, QuotaStore, RateLimit};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// /// One bucket for all keys. A store on a server would be asynchronous.
/// #[derive(Default)]
/// struct OneForAll(Mutex<Duration>);
///
/// impl QuotaStore for OneForAll {
///     fn take(&self, ask: &QuotaRequest<'_>) -> QuotaResult {
///         let mut full_at = self.0.lock().expect("nothing panics here");
///         let (state, debt) = ask.quota().draw(full_at.saturating_sub(ask.now()));
///         *full_at = ask.now() + debt;
///         QuotaResult::from_future(async move { Ok(state) })
///     }
/// }
///
/// let limit = RateLimit::new(Quota::per_hour(1)).store(OneForAll::default());
/// let client = Client::new(Application::new(|_: Request| "x").wrap(limit));
/// assert_eq!(client.get("/").send().status(), 200);
/// assert_eq!(client.get("/").send().status(), 429);
/// ```
pub trait QuotaStore: Send + Sync + 'static {
    /// Takes one request from the key's quota, or reports that none remains.
    fn take(&self, ask: &QuotaRequest<'_>) -> QuotaResult;
}

/// The input of a [`QuotaStore`].
#[derive(Debug)]
pub struct QuotaRequest<'a> {
    policy: &'a str,
    key: &'a QuotaKey,
    quota: &'a Quota,
    now: Duration,
}

impl<'a> QuotaRequest<'a> {
    /// One request of `key` in a limit of this name, as [`RateLimit`](crate::RateLimit) makes it, also for tests of a
    /// store.
    #[must_use]
    pub fn new(policy: &'a str, key: &'a QuotaKey, quota: &'a Quota, now: Duration) -> Self {
        QuotaRequest {
            policy,
            key,
            quota,
            now,
        }
    }

    /// Returns the [name](crate::RateLimit::name) of the limit: equal keys of different limits are separate.
    #[must_use]
    pub fn policy(&self) -> &str {
        self.policy
    }

    /// Returns the key of the client.
    #[must_use]
    pub fn key(&self) -> &QuotaKey {
        self.key
    }

    /// Returns the quota of the key.
    #[must_use]
    pub fn quota(&self) -> &Quota {
        self.quota
    }

    /// Returns the current time, since some moment of this program; a shared store has its own clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }
}

/// The output of a [`QuotaStore`]: available now, from memory, or later.
#[must_use = "an unused result limits nothing"]
pub struct QuotaResult(pub(super) TakeState);

pub(super) type TakeResult = Result<QuotaState, BoxError>;

pub(super) enum TakeState {
    Ready(TakeResult),
    Pending(Pin<Box<dyn Future<Output = TakeResult> + Send>>),
}

impl QuotaResult {
    /// A result that is available now: no future is made, and a synchronous application stays synchronous.
    pub fn new(state: QuotaState) -> QuotaResult {
        QuotaResult(TakeState::Ready(Ok(state)))
    }

    /// A failure; see [`when_store_fails`](crate::RateLimit::when_store_fails).
    pub fn failed(error: impl Into<BoxError>) -> QuotaResult {
        QuotaResult(TakeState::Ready(Err(error.into())))
    }

    /// A result that will be available later.
    pub fn from_future(
        future: impl Future<Output = Result<QuotaState, BoxError>> + Send + 'static,
    ) -> QuotaResult {
        QuotaResult(TakeState::Pending(Box::pin(future)))
    }
}

impl From<QuotaState> for QuotaResult {
    fn from(state: QuotaState) -> Self {
        QuotaResult::new(state)
    }
}

impl fmt::Debug for QuotaResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TakeState::Ready(taken) => f.debug_tuple("Ready").field(taken).finish(),
            TakeState::Pending(_) => f.write_str("Pending"),
        }
    }
}
