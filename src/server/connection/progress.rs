//! Whether a client reads what is sent to it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How slowly a client may read a response.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct WritePace {
    /// How long it may read nothing, and how long the server waits in total for each share.
    pub(in crate::server) timeout: Duration,
    /// The bytes a second of such a share; 0 for any.
    pub(in crate::server) rate: u64,
}

impl WritePace {
    /// How many bytes the client must read while the server waits for as long as the timeout.
    pub(super) fn share(self) -> u64 {
        let milliseconds = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        milliseconds.saturating_mul(self.rate) / 1_000
    }
}

/// Measures the time that a client lets the server wait.
#[derive(Debug)]
pub(in crate::server) struct Progress {
    pace: WritePace,
    timer: Option<Pin<Box<Sleep>>>,
    waits_since: Option<Instant>,
    /// How long the server waited for the current share, and how much of it was read.
    waited: Duration,
    taken: u64,
}

impl Progress {
    pub(in crate::server) fn new(pace: WritePace) -> Progress {
        Progress {
            pace,
            timer: None,
            waits_since: None,
            waited: Duration::ZERO,
            taken: 0,
        }
    }

    /// Notes bytes that the client read; returns how long that took.
    pub(in crate::server) fn takes(&mut self, bytes: u64) -> Duration {
        let Some(since) = self.waits_since.take() else {
            // The server did not wait, and bytes that fit into buffers earn no time.
            return Duration::ZERO;
        };
        let waited = since.elapsed();
        self.waited += waited;
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= self.pace.share() {
            (self.waited, self.taken) = (Duration::ZERO, 0);
        }
        waited
    }

    /// Restarts the time, if it is not the client's fault that it read nothing.
    #[cfg(feature = "http2")]
    pub(super) fn renew(&mut self) {
        (self.waits_since, self.waited, self.taken) = (None, Duration::ZERO, 0);
    }

    /// Called while the client reads nothing; ready when the timeout has passed.
    pub(in crate::server) fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timeout = self.pace.timeout.saturating_sub(self.waited);
        let is_new = self.waits_since.is_none();
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since + timeout)));
        if is_new {
            timer.as_mut().reset(since + timeout);
        }
        timer.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many seconds a client is given up that reads `bytes` every `every` seconds.
    async fn given_up(rate: u64, bytes: u64, every: u64) -> Option<u64> {
        let timeout = Duration::from_secs(60);
        let mut progress = Progress::new(WritePace { timeout, rate });
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10_000) {
            let wait = std::future::poll_fn(|context| progress.poll_wait(context));
            match tokio::time::timeout(Duration::from_secs(every), wait).await {
                Ok(()) => return Some(start.elapsed().as_secs()),
                Err(_) => _ = progress.takes(bytes),
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_or_too_little_is_given_up() {
        for (rate, bytes, every, expected) in [
            (0, 1, 59, None),
            (0, 1, 61, Some(60)),
            (100, 1, 1, Some(60)),
            (100, 102, 1, None),
            (100, 99, 1, Some(60)),
            (100, 6_000, 59, None),
            (100, 6_000, 61, Some(60)),
            // The first share is read after 59 seconds, and half of the second.
            (100, 3_000, 29, None),
            (100, 2_999, 29, Some(60)),
        ] {
            let found = given_up(rate, bytes, every).await;
            assert_eq!(found, expected, "{rate} {bytes} {every}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_waiting_does_not_count() {
        let timeout = Duration::from_secs(60);
        let mut progress = Progress::new(WritePace { timeout, rate: 100 });
        for _ in 0..100 {
            let wait = std::future::poll_fn(|context| progress.poll_wait(context));
            assert!(
                tokio::time::timeout(Duration::from_millis(1), wait)
                    .await
                    .is_err()
            );
            progress.takes(1);
            tokio::time::advance(Duration::from_secs(100)).await;
        }
    }
}
