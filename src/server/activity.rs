//! What a connection is doing, as far as its time limits go.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Counts the requests of a connection that are not answered yet, and knows since when it waits for the next.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    in_flight: AtomicUsize,
    /// When the last answer was done, in milliseconds since the connection began.
    idle_since: AtomicU64,
    /// When the first byte of a head that is not whole came, in milliseconds and one more; 0 where there is none.
    head_since: AtomicU64,
    /// How many bytes of the first line of such a head came; [`WHOLE`] where that line is whole.
    line: AtomicUsize,
    max_line: usize,
}

const WHOLE: usize = usize::MAX;

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// A head is not whole in time.
    SlowHead,
    /// The first line of a head is too long.
    LongLine,
    /// Nothing was asked for too long.
    Idle,
}

/// One request that is not answered yet, or whose body is not read.
#[derive(Debug)]
pub(super) struct InFlight(std::sync::Arc<Activity>);

impl Activity {
    /// With the number of bytes that the first line of a head may have.
    pub(super) fn new(max_line: usize) -> Activity {
        Activity {
            began: Instant::now(),
            in_flight: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            line: AtomicUsize::new(0),
            max_line,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Some bytes came; answers whether they may be read, which those of too long a line may not.
    pub(super) fn receives(&self, bytes: &[u8]) -> bool {
        // What comes while something is answered is a body, or a head that waits for its turn.
        if bytes.is_empty() || self.in_flight.load(Ordering::Relaxed) > 0 {
            return true;
        }
        if self.head_since.load(Ordering::Relaxed) == 0 {
            // Most heads come whole, and wait for nothing that would have to be timed.
            if bytes.ends_with(b"\r\n\r\n") && self.has_short_line(bytes) {
                return true;
            }
            self.head_since.store(self.now() + 1, Ordering::Relaxed);
            self.line.store(0, Ordering::Relaxed);
        }
        let line = self.line.load(Ordering::Relaxed);
        let line = match memchr::memchr(b'\n', bytes) {
            _ if line == WHOLE => WHOLE,
            Some(at) if line + at <= self.max_line => WHOLE,
            Some(at) => line + at,
            None => line + bytes.len(),
        };
        self.line.store(line, Ordering::Relaxed);
        line == WHOLE || line <= self.max_line
    }

    fn has_short_line(&self, head: &[u8]) -> bool {
        memchr::memchr(b'\n', head).is_some_and(|at| at <= self.max_line)
    }

    fn is_line_too_long(&self) -> bool {
        let line = self.line.load(Ordering::Relaxed);
        line != WHOLE && line > self.max_line
    }

    /// A head is whole.
    pub(super) fn begin(self: &std::sync::Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// A body is to be read, which may go on when the request is answered: what comes of it is no head.
    pub(super) fn read(self: &std::sync::Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// When the connection is over, and why, unless something happens before; `None` while something is answered.
    ///
    /// Until the first request only the limit for heads counts.
    pub(super) fn deadline(&self, head: Duration, keep_alive: Duration) -> Option<(Instant, Over)> {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let after = |milliseconds, limit| self.began + Duration::from_millis(milliseconds) + limit;
        let idle_since = self.idle_since.load(Ordering::Relaxed);
        match self.head_since.load(Ordering::Relaxed) {
            since if since > 0 && self.is_line_too_long() => Some((self.began, Over::LongLine)),
            0 if idle_since == 0 => Some((after(0, head), Over::Idle)),
            0 => Some((after(idle_since, keep_alive), Over::Idle)),
            since => Some((after(since - 1, head), Over::SlowHead)),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.0;
        // A connection that has answered within its first millisecond has answered.
        activity
            .idle_since
            .store(activity.now().max(1), Ordering::Relaxed);
        activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const KEEP_ALIVE: Duration = Duration::from_secs(60);

    fn left(activity: &Activity) -> Option<(u64, Over)> {
        let (deadline, over) = activity.deadline(HEAD, KEEP_ALIVE)?;
        Some(((deadline - activity.began).as_secs(), over))
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_while_nothing_is_answered() {
        let activity = Arc::new(Activity::new(20));
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        assert_eq!(left(&activity), Some((10, Over::Idle)));
        pass(3).await;
        assert!(activity.receives(b"GET"));
        pass(1).await;
        // What comes later is no new beginning.
        assert!(activity.receives(b"GET"));
        assert_eq!(left(&activity), Some((13, Over::SlowHead)));
        let first = activity.begin();
        assert!(activity.receives(b"GET"));
        let second = activity.begin();
        assert_eq!(left(&activity), None);
        pass(100).await;
        drop(first);
        assert_eq!(left(&activity), None);
        pass(1).await;
        drop(second);
        assert_eq!(left(&activity), Some((165, Over::Idle)));
        assert!(activity.receives(b"GET"));
        assert_eq!(left(&activity), Some((115, Over::SlowHead)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_comes_whole_is_not_timed() {
        let activity = Arc::new(Activity::new(20));
        assert!(activity.receives(b"GET / HTTP/1.1\r\n\r\n"));
        drop(activity.begin());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(activity.receives(b"GET / HTTP/1.1\r\n\r\n"));
        assert_eq!(left(&activity).map(|(_, over)| over), Some(Over::Idle));
        drop(activity.begin());
        assert_eq!(left(&activity), Some((65, Over::Idle)));
    }

    #[test]
    fn the_first_line_of_a_head_has_a_limit() {
        for (parts, expected) in [
            (
                &[
                    "GET /",
                    " HTTP/1.1\r\n",
                    "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
                ][..],
                true,
            ),
            (&["12345678901234567890\nmore"], true),
            (&["123456789012345678901\r\n\r\n"], false),
            (&["123456789012345678901\n"], false),
            (&["12345678901234567890", "1"], false),
            (&["1234567890", "12345678901\nmore"], false),
        ] {
            let activity = Activity::new(20);
            let all = parts.iter().all(|part| activity.receives(part.as_bytes()));
            assert_eq!(all, expected, "{parts:?}");
            let over = activity.deadline(HEAD, KEEP_ALIVE).map(|(_, over)| over);
            let wanted = if expected {
                Over::SlowHead
            } else {
                Over::LongLine
            };
            assert_eq!(over, Some(wanted), "{parts:?}");
        }
    }
}
