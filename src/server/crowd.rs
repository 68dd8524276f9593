//! The connections of a server, to close one if the system has no descriptor for another.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use enfilade_core::unpoisoned;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::server::connection::activity::Activity;

/// All connections, by a number that each one gets.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    seats: Mutex<HashMap<u64, Weak<Seat>>>,
    next: AtomicU64,
}

/// A connection's place, which is free when the connection has ended.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Weak<Crowd>,
    number: u64,
    pub(super) peer: Option<SocketAddr>,
    began: Instant,
    activity: OnceLock<Arc<Activity>>,
    task: OnceLock<AbortHandle>,
}

impl Crowd {
    pub(super) fn seat(self: &Arc<Self>, peer: Option<SocketAddr>) -> Arc<Seat> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let seat = Arc::new(Seat {
            crowd: Arc::downgrade(self),
            number,
            peer,
            began: Instant::now(),
            activity: OnceLock::new(),
            task: OnceLock::new(),
        });
        unpoisoned(self.seats.lock()).insert(number, Arc::downgrade(&seat));
        seat
    }

    /// Closes the connection that has been idle for longest, and returns its place; `None` if none is idle.
    pub(super) fn close_longest_idle(&self) -> Option<Arc<Seat>> {
        // Seats are dropped after the lock is released: the last one would take it.
        let seats: Vec<_> = unpoisoned(self.seats.lock())
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        let idle = seats
            .iter()
            .filter_map(|seat| Some((seat.idle_since()?, seat)));
        let (_, longest) = idle.min_by_key(|(since, _)| *since)?;
        longest.task.get()?.abort();
        Some(longest.clone())
    }
}

impl Seat {
    /// Sets the task that serves the connection.
    pub(super) fn runs(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }

    /// Sets the activity, once the connection has sent something.
    pub(super) fn begins(&self, activity: Arc<Activity>) {
        let _ = self.activity.set(activity);
    }

    /// Since when no request is on its way; `None` if there is one, or if the connection is being closed.
    fn idle_since(&self) -> Option<Instant> {
        if self.task.get()?.is_finished() {
            return None;
        }
        match self.activity.get() {
            Some(activity) => activity.idle_since(),
            None => Some(self.began),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(crowd) = self.crowd.upgrade() {
            unpoisoned(crowd.seats.lock()).remove(&self.number);
        }
    }
}

/// Whether the process or the system has too many open files.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    // ENFILE and EMFILE have these numbers on all Unix systems.
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failures::FailureHooks;

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_is_idle_for_longest_is_closed() {
        let crowd = Arc::<Crowd>::default();
        let mut seats = Vec::new();
        for number in 1..=4 {
            let peer = SocketAddr::from(([192, 0, 2, number], 1));
            let seat = crowd.seat(Some(peer));
            let kept = seat.clone();
            let task = tokio::spawn(async move {
                let _kept = kept;
                std::future::pending::<()>().await;
            });
            seat.runs(task.abort_handle());
            seats.push((seat, task));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // The first has a request in flight, and the second had one a moment ago.
        let activity = || Arc::new(Activity::http1(20, FailureHooks::default()));
        let (busy, recent) = (activity(), activity());
        let _in_flight = busy.read();
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(recent.read());
        seats[0].0.begins(busy);
        seats[1].0.begins(recent);
        let mut closed = Vec::new();
        while let Some(seat) = crowd.close_longest_idle() {
            closed.push(seat.number + 1);
            tokio::task::yield_now().await;
        }
        assert_eq!(closed, [3, 4, 2]);
        assert!(!seats[0].1.is_finished());
        drop(seats);
        assert_eq!(crowd.seats.lock().unwrap().len(), 1, "the busy one");
    }
}
