//! Timers for futures of any runtime: a thread that wakes them.

use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use enfilade_core::unpoisoned;

/// Wakes one task at a time. Its thread starts with the first task that waits, and ends when this is dropped.
#[derive(Default)]
pub(super) struct Alarm {
    shared: Option<Arc<Shared>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<AlarmState>,
    changed: Condvar,
}

#[derive(Default)]
struct AlarmState {
    next: Option<(Instant, Waker)>,
    is_over: bool,
}

impl Alarm {
    /// Wakes `waker` at `time`, in place of any other.
    pub(super) fn set(&mut self, time: Instant, waker: &Waker) {
        let shared = self.shared.get_or_insert_with(|| {
            let shared = Arc::<Shared>::default();
            let of_thread = shared.clone();
            thread::spawn(move || of_thread.run());
            shared
        });
        let earlier = unpoisoned(shared.state.lock())
            .next
            .replace((time, waker.clone()));
        // A thread that sleeps until an earlier time checks again when it wakes.
        if earlier.is_none_or(|(earlier, _)| time < earlier) {
            shared.changed.notify_one();
        }
    }

    /// Wakes no task any longer.
    pub(super) fn clear(&mut self) {
        if let Some(shared) = &self.shared {
            unpoisoned(shared.state.lock()).next = None;
        }
    }

    /// Waits, and lets the runtime work meanwhile.
    pub(super) async fn sleep(&mut self, duration: Duration) {
        let end = Instant::now() + duration;
        poll_fn(|context| match Instant::now() >= end {
            true => Poll::Ready(()),
            false => {
                self.set(end, context.waker());
                Poll::Pending
            }
        })
        .await;
    }
}

impl Shared {
    fn run(&self) {
        let mut state = unpoisoned(self.state.lock());
        while !state.is_over {
            let now = Instant::now();
            state = match &state.next {
                None => unpoisoned(self.changed.wait(state)),
                Some((time, _)) if *time > now => {
                    let left = *time - now;
                    unpoisoned(self.changed.wait_timeout(state, left)).0
                }
                Some(_) => {
                    let next = state.next.take();
                    drop(state);
                    next.into_iter().for_each(|(_, waker)| waker.wake());
                    unpoisoned(self.state.lock())
                }
            };
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            unpoisoned(shared.state.lock()).is_over = true;
            shared.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_waiting_tasks_one_after_the_other() {
        let mut alarm = Alarm::default();
        let start = Instant::now();
        pollster::block_on(async {
            // The first is no longer waited for.
            let mut hour = Box::pin(alarm.sleep(Duration::from_secs(3_600)));
            let is_ready = poll_fn(|context| Poll::Ready(hour.as_mut().poll(context).is_ready()));
            assert!(!is_ready.await);
            drop(hour);
            alarm.sleep(Duration::from_millis(2)).await;
            alarm.sleep(Duration::from_millis(1)).await;
        });
        assert!(start.elapsed() < Duration::from_secs(3_600));
    }
}
