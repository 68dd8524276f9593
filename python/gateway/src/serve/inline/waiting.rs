//! Waits for events and for times, and handles what has come.

use std::io;
use std::time::Duration;

use mio::Token;
use pyo3::prelude::*;

use crate::serve::inline::{Inline, LISTENERS, SIGNAL, WAKE};
use crate::serve::stop;

impl Inline {
    /// Handles events while Python waits for a client.
    ///
    /// New connections are for the other workers, if there are any.
    pub(super) fn turn_in_request(&self, py: Python<'_>) -> PyResult<()> {
        let accepts = !self.sharing.is_shared();
        self.turn(py, accepts)?;
        match accepts {
            true => self.accept(py),
            false => Ok(()),
        }
    }

    /// Waits without the interpreter until an event comes, and handles it.
    pub(super) fn turn(&self, py: Python<'_>, accepts: bool) -> PyResult<()> {
        self.poll(py, self.timeout(accepts))
    }

    pub(super) fn poll(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<()> {
        let mut poll = self.poll.borrow_mut();
        let mut events = self.events.borrow_mut();
        let (poll_now, events_now) = (&mut *poll, &mut *events);
        let waited = match timeout {
            Some(Duration::ZERO) => poll_now.poll(events_now, timeout),
            _ => py.detach(|| poll_now.poll(events_now, timeout)),
        };
        match waited {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            waited => waited?,
        }
        self.clock.look();
        let mut is_signalled = false;
        for event in events.iter() {
            match event.token() {
                WAKE => {}
                SIGNAL => is_signalled = true,
                Token(token) if token >= LISTENERS => self.listeners.set_ready(token - LISTENERS),
                Token(task) => self.tasks.notify(task, event),
            }
        }
        drop((poll, events));
        self.sweep();
        if let Some(signals) = self.signals.as_ref().filter(|_| is_signalled) {
            stop::drain(signals);
            py.check_signals()?;
        }
        Ok(())
    }

    /// Returns how long the server may sleep.
    fn timeout(&self, accepts: bool) -> Option<Duration> {
        let now = self.clock.now();
        let expected = self.sharing.waits_until(now);
        let may_accept = accepts && expected.is_none() && !self.listeners.is_pausing();
        if self.tasks.has_ready() || (may_accept && self.has_waiting()) {
            return Some(Duration::ZERO);
        }
        if let Some(until) = expected {
            return Some(
                until
                    .saturating_duration_since(now)
                    .max(Duration::from_millis(1)),
            );
        }
        let needs_time = !self.tasks.is_empty() || self.listeners.is_pausing() || self.limits.wakes;
        needs_time.then(|| {
            let next = self.next_sweep.get();
            let next = self.deadline.map_or(next, |deadline| next.min(deadline));
            let left = next.saturating_duration_since(now);
            left.clamp(Duration::from_millis(1), self.tick())
        })
    }

    /// Returns how often the timeouts are checked.
    fn tick(&self) -> Duration {
        const AT_THE_END: Duration = Duration::from_millis(100);
        match self.is_finishing.get() {
            true => self.limits.tick.min(AT_THE_END),
            false => self.limits.tick,
        }
    }

    /// Ends connections and tasks whose timeout has passed.
    fn sweep(&self) {
        let now = self.clock.now();
        if now < self.next_sweep.get() {
            return;
        }
        self.next_sweep.set(now + self.tick());
        self.tasks.expire(now);
        self.tasks.for_each(|wake, connection| {
            if connection.check(now, &self.limits) {
                wake();
            }
        });
    }
}
