//! Quotas: how many requests in which time, and what remains.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::error::ErrorKind;
use enfilade_core::Description;

/// The longest period of a quota.
const MAX_PERIOD: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// The longest time until a quota is complete again, in nanoseconds: 73 years, so that a sum of two fits in a `u64`.
const MAX_REFILL: u64 = 1 << 61;

/// How many requests are allowed in a period, and how many at once.
///
/// It is a bucket that loses one for each request and refills evenly: `per_minute(60)` gets one back each second. It
/// starts full, so 60 requests may come at once; [`burst`](Quota::burst) changes that number. In any time, at most the
/// burst plus the refill of that time is allowed. For example, 120 in the first minute, if 60 come at once and then one
/// each second, and 60 in every minute after it.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::time::Duration;
///
/// use enfilade::middleware::Quota;
///
/// assert_eq!(Quota::per_second(10).to_string(), "10 in 1s");
/// let quota = Quota::new(1_000, Duration::from_secs(24 * 60 * 60))?.burst(50);
/// assert_eq!(quota.to_string(), "1000 in 86400s, 50 at once");
/// assert!(Quota::new(1, Duration::ZERO).is_err());
/// # Ok::<_, enfilade::middleware::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    requests: u32,
    period: Duration,
    capacity: u32,
    /// The time to refill one request, in nanoseconds, rounded up; never 0.
    interval: u64,
}

impl Quota {
    /// Allows this many requests per second; with 0, none.
    #[must_use]
    pub const fn per_second(requests: u32) -> Quota {
        Quota::of(requests, Duration::from_secs(1))
    }

    /// Allows this many requests per minute; with 0, none.
    #[must_use]
    pub const fn per_minute(requests: u32) -> Quota {
        Quota::of(requests, Duration::from_secs(60))
    }

    /// Allows this many requests per hour; with 0, none.
    #[must_use]
    pub const fn per_hour(requests: u32) -> Quota {
        Quota::of(requests, Duration::from_secs(60 * 60))
    }

    /// Allows this many requests in this period; with 0, none.
    ///
    /// # Errors
    ///
    /// If the period is 0, or longer than 366 days.
    pub fn new(requests: u32, period: Duration) -> Result<Quota, Error> {
        if period.is_zero() || period > MAX_PERIOD {
            let message =
                format!("{period:?} is not a valid period of a quota: use 1ns to 366 days");
            return Err(Error::new(ErrorKind::Quota, message));
        }
        Ok(Quota::of(requests, period))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "no period is longer than 2^55 nanoseconds, and `try_from` is not const"
    )]
    const fn of(requests: u32, period: Duration) -> Quota {
        let nanoseconds = period.as_nanos() as u64;
        let interval = match requests {
            0 => nanoseconds,
            _ => nanoseconds.div_ceil(requests as u64),
        };
        let quota = Quota {
            requests,
            period,
            capacity: 0,
            interval,
        };
        quota.burst(requests)
    }

    /// Sets how many requests may come at once after a pause; by default as many as in the whole period.
    ///
    /// 1 spreads requests evenly; 0 allows none. A burst that takes more than 73 years to refill is reduced to 73
    /// years.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the smaller one of both is no larger than a u32"
    )]
    #[must_use]
    pub const fn burst(mut self, requests: u32) -> Quota {
        let limit = MAX_REFILL / self.interval;
        self.capacity = match requests as u64 > limit {
            _ if self.requests == 0 => 0,
            true => limit as u32,
            false => requests,
        };
        self
    }

    /// Returns how many requests may come at once.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Returns the time to refill one request, in whole nanoseconds, rounded up.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// Returns the time to refill the whole quota.
    #[must_use]
    pub const fn refill_time(&self) -> Duration {
        Duration::from_nanos(self.interval * self.capacity as u64)
    }

    /// The time to refill the whole quota, in whole seconds, rounded up; never 0.
    pub(super) fn window_seconds(&self) -> u64 {
        let refill = match u128::from(self.capacity) {
            0 => self.period.as_nanos(),
            // Not computed from the interval, whose rounding error would add up.
            capacity => (self.period.as_nanos() * capacity).div_ceil(self.requests.max(1).into()),
        };
        u64::try_from(refill.div_ceil(1_000_000_000)).map_or(u64::MAX, |seconds| seconds.max(1))
    }

    /// Takes one request, for a [`QuotaStore`](crate::QuotaStore) that keeps only one time per key.
    ///
    /// `debt` is the time until the quota is complete, 0 for an unknown key; the second value is the new debt. This is
    /// the generic cell rate algorithm (ITU-T I.371), which needs no other state. A debt that is too high for this
    /// quota, for example of another quota or after a clock was set back, counts as an empty bucket.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use std::time::Duration;
    ///
    /// use enfilade::middleware::Quota;
    ///
    /// let quota = Quota::per_minute(2);
    /// let (state, debt) = quota.draw(Duration::ZERO);
    /// assert_eq!((state.remaining(), debt), (1, Duration::from_secs(30)));
    /// let (state, debt) = quota.draw(debt);
    /// assert_eq!((state.remaining(), debt), (0, Duration::from_secs(60)));
    /// // Ten seconds later.
    /// let (state, debt) = quota.draw(Duration::from_secs(50));
    /// assert!(!state.is_allowed());
    /// assert_eq!((state.wait(), debt), (Duration::from_secs(20), Duration::from_secs(50)));
    /// ```
    #[must_use]
    pub fn draw(&self, debt: Duration) -> (QuotaState, Duration) {
        if self.capacity == 0 {
            return (QuotaState::refused(self.period), debt);
        }
        let whole = self.interval * u64::from(self.capacity);
        let debt = u64::try_from(debt.as_nanos()).map_or(whole, |debt| debt.min(whole));
        let after = debt + self.interval;
        if after > whole {
            let wait = Duration::from_nanos(after - whole);
            return (QuotaState::refused(wait), Duration::from_nanos(debt));
        }
        let left = whole - after;
        let remaining = u32::try_from(left / self.interval).unwrap_or(self.capacity);
        let wait = Duration::from_nanos(self.interval - left % self.interval);
        let state = QuotaState::allowed(remaining, wait);
        (state, Duration::from_nanos(after))
    }
}

impl Quota {
    pub(super) fn describe_in(&self, tree: Description) -> Description {
        let tree = tree
            .option("requests", self.requests)
            .option("period", self.period);
        match self.capacity == self.requests {
            true => tree,
            false => tree.option("burst", self.capacity),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:?}", self.requests, self.period)?;
        if self.capacity != self.requests {
            write!(f, ", {} at once", self.capacity)?;
        }
        Ok(())
    }
}

/// The state of a quota after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaState {
    is_allowed: bool,
    remaining: u32,
    wait: Duration,
}

impl QuotaState {
    /// The request is allowed; `remaining` more are allowed now, and one more after `wait`.
    #[must_use]
    pub const fn allowed(remaining: u32, wait: Duration) -> QuotaState {
        QuotaState {
            is_allowed: true,
            remaining,
            wait,
        }
    }

    /// The request is rejected, and so is every request before `wait` is over.
    #[must_use]
    pub const fn refused(wait: Duration) -> QuotaState {
        QuotaState {
            is_allowed: false,
            remaining: 0,
            wait,
        }
    }

    /// Returns whether the request is allowed.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        self.is_allowed
    }

    /// Returns how many more requests are allowed now.
    #[must_use]
    pub const fn remaining(&self) -> u32 {
        self.remaining
    }

    /// Returns the time until one more request is allowed.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        self.wait
    }

    /// The time until one more request is allowed, in whole seconds, rounded up; never 0.
    pub(super) fn wait_seconds(&self) -> u64 {
        let rounding = u64::from(self.wait.subsec_nanos() > 0);
        self.wait.as_secs().saturating_add(rounding).max(1)
    }
}
