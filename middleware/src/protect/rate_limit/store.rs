//! Where it is kept what is left of quotas.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use enfilade_core::BoxError;

use super::{Quota, QuotaKey, QuotaState};

/// Where it is kept what is left of each key's quota.
///
/// [`RateLimit`](crate::RateLimit) has one in memory. One that several programs share is an implementation of this, that
/// asks a server such as Redis: in one step there, so that two requests at a time cannot both take the last one. What
/// has to be kept is in [`Quota::draw`]; a key may be forgotten when its quota is all there again.
///
/// It limits its own time: a request waits for as long as the answer takes.
///
/// # Example
///
/// ```
/// use std::sync::Mutex;
/// use std::time::Duration;
///
/// use enfilade_core::{Application, Request};
/// use enfilade_middleware::{Quota, QuotaAnswer, QuotaAsk, QuotaStore, RateLimit};
/// use enfilade_testing::Client;
///
/// /// One bucket for all, of which a client of a server would be the asynchronous one.
/// #[derive(Default)]
/// struct OneForAll(Mutex<Duration>);
///
/// impl QuotaStore for OneForAll {
///     fn take(&self, ask: &QuotaAsk<'_>) -> QuotaAnswer {
///         let mut full_at = self.0.lock().expect("nothing panics here");
///         let (state, debt) = ask.quota().draw(full_at.saturating_sub(ask.now()));
///         *full_at = ask.now() + debt;
///         QuotaAnswer::from_future(async move { Ok(state) })
///     }
/// }
///
/// let limit = RateLimit::new(Quota::per_hour(1)).store(OneForAll::default());
/// let client = Client::new(Application::new(|_: Request| "x").wrap(limit));
/// assert_eq!(client.get("/").send().status(), 200);
/// assert_eq!(client.get("/").send().status(), 429);
/// ```
pub trait QuotaStore: Send + Sync + 'static {
    /// Takes one request from what the key has left, or says that nothing is.
    fn take(&self, ask: &QuotaAsk<'_>) -> QuotaAnswer;
}

/// What a [`QuotaStore`] is asked.
#[derive(Debug)]
pub struct QuotaAsk<'a> {
    policy: &'a str,
    key: &'a QuotaKey,
    quota: &'a Quota,
    now: Duration,
}

impl<'a> QuotaAsk<'a> {
    /// One request of `key` in a limit of this name, as [`RateLimit`](crate::RateLimit) asks, and tests of a store do.
    #[must_use]
    pub fn new(policy: &'a str, key: &'a QuotaKey, quota: &'a Quota, now: Duration) -> Self {
        QuotaAsk {
            policy,
            key,
            quota,
            now,
        }
    }

    /// The [name](crate::RateLimit::name) of the limit: a key of one is none of another.
    #[must_use]
    pub fn policy(&self) -> &str {
        self.policy
    }

    /// Who asks.
    #[must_use]
    pub fn key(&self) -> &QuotaKey {
        self.key
    }

    /// How many requests in which time the key has.
    #[must_use]
    pub fn quota(&self) -> &Quota {
        self.quota
    }

    /// The time now, since a moment of this program; one that several share has a clock of its own.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }
}

/// What a [`QuotaStore`] answers: now, where it is in memory, or later.
#[must_use = "an answer that is not looked at limits nothing"]
pub struct QuotaAnswer(pub(super) TakeState);

pub(super) type TakeResult = Result<QuotaState, BoxError>;

pub(super) enum TakeState {
    Ready(TakeResult),
    Pending(Pin<Box<dyn Future<Output = TakeResult> + Send>>),
}

impl QuotaAnswer {
    /// The answer is there; no future is made, and an application that does not wait still does not.
    pub fn new(state: QuotaState) -> QuotaAnswer {
        QuotaAnswer(TakeState::Ready(Ok(state)))
    }

    /// There is none; see [`when_store_fails`](crate::RateLimit::when_store_fails).
    pub fn failed(error: impl Into<BoxError>) -> QuotaAnswer {
        QuotaAnswer(TakeState::Ready(Err(error.into())))
    }

    /// The answer will be there.
    pub fn from_future(
        future: impl Future<Output = Result<QuotaState, BoxError>> + Send + 'static,
    ) -> QuotaAnswer {
        QuotaAnswer(TakeState::Pending(Box::pin(future)))
    }
}

impl From<QuotaState> for QuotaAnswer {
    fn from(state: QuotaState) -> Self {
        QuotaAnswer::new(state)
    }
}

impl fmt::Debug for QuotaAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TakeState::Ready(taken) => f.debug_tuple("Ready").field(taken).finish(),
            TakeState::Pending(_) => f.write_str("Pending"),
        }
    }
}
