//! Permits, handed out first come, first served.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use enfilade_core::unpoisoned;

/// A number of permits, and those who wait for one.
///
/// While nobody waits, a permit is taken and given back without a lock. Whoever comes while others wait goes behind them,
/// also when a permit is free at that moment: it belongs to the first that waits.
pub(super) struct Turns {
    free: AtomicUsize,
    /// How many are in the line; changed under its lock alone.
    waiting: AtomicUsize,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    last_ticket: u64,
    /// In the order of their tickets.
    waiters: VecDeque<Waiter>,
}

/// Its waker is code of somebody else's, which may come back here as it is woken or dropped: neither under the lock.
struct Waiter {
    ticket: u64,
    waker: Waker,
}

/// What a request gets that comes.
#[derive(Debug)]
pub(super) enum Turn {
    Now(Permit),
    Later(Waiting),
    /// The line is as long as it may be.
    Never,
}

impl Turns {
    pub(super) fn new(permits: usize) -> Arc<Turns> {
        Arc::new(Turns {
            free: AtomicUsize::new(permits),
            waiting: AtomicUsize::new(0),
            line: Mutex::default(),
        })
    }

    /// A permit, or a place in a line of at most `backlog`.
    pub(super) fn come(self: &Arc<Self>, backlog: usize) -> Turn {
        if self.waiting.load(SeqCst) == 0 && self.take() {
            return Turn::Now(Permit(self.clone()));
        }
        let mut line = self.line();
        if line.waiters.len() >= backlog {
            // The last of the line may have left since.
            return match line.waiters.is_empty() && self.take() {
                true => Turn::Now(Permit(self.clone())),
                false => Turn::Never,
            };
        }
        line.last_ticket += 1;
        let ticket = line.last_ticket;
        line.waiters.push_back(Waiter {
            ticket,
            waker: Waker::noop().clone(),
        });
        self.hand_out(line);
        Turn::Later(Waiting {
            turns: self.clone(),
            ticket: Some(ticket),
        })
    }

    /// Takes a permit, if one is free.
    fn take(&self) -> bool {
        let one_less = |free: usize| free.checked_sub(1);
        self.free.fetch_update(SeqCst, SeqCst, one_less).is_ok()
    }

    fn give_back(&self) {
        // Whoever comes into the line looks for a free permit after it is seen there, so one of the two sees the other.
        self.free.fetch_add(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.hand_out(self.line());
        }
    }

    /// Gives the permits that are free to the first of the line, whose place there is then gone.
    fn hand_out(&self, mut line: MutexGuard<'_, Line>) {
        self.waiting.store(line.waiters.len(), SeqCst);
        let mut wakers = Vec::new();
        while !line.waiters.is_empty() && self.take() {
            wakers.extend(line.waiters.pop_front().map(|waiter| waiter.waker));
        }
        self.waiting.store(line.waiters.len(), SeqCst);
        drop(line);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        unpoisoned(self.line.lock())
    }
}

impl Line {
    fn place_of(&self, ticket: u64) -> Option<usize> {
        let found = self
            .waiters
            .binary_search_by_key(&ticket, |waiter| waiter.ticket);
        found.ok()
    }

    fn waiter_mut(&mut self, ticket: u64) -> Option<&mut Waiter> {
        let place = self.place_of(ticket)?;
        self.waiters.get_mut(place)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns")
            .field("free", &self.free)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// The right to go on, which the next one has when this is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Turns>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// A place in the line, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    turns: Arc<Turns>,
    /// `None` once there was a permit for it.
    ticket: Option<u64>,
}

impl Future for Waiting {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let ticket = self.ticket.expect("not polled after it was ready");
        let mut line = self.turns.line();
        if let Some(waiter) = line.waiter_mut(ticket) {
            let before = std::mem::replace(&mut waiter.waker, context.waker().clone());
            drop(line);
            drop(before);
            return Poll::Pending;
        }
        drop(line);
        self.ticket = None;
        Poll::Ready(Permit(self.turns.clone()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut line = self.turns.line();
        match line.place_of(ticket) {
            Some(place) => {
                let waiter = line.waiters.remove(place);
                self.turns.waiting.store(line.waiters.len(), SeqCst);
                drop(line);
                drop(waiter);
            }
            // It was given a permit that it never took.
            None => {
                drop(line);
                self.turns.give_back();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ready(waiting: &mut Waiting) -> Option<Permit> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(waiting).poll(&mut context) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    fn later(turns: &Arc<Turns>) -> Waiting {
        match turns.come(9) {
            Turn::Later(waiting) => waiting,
            other => panic!("{other:?}"),
        }
    }

    fn now(turns: &Arc<Turns>) -> Permit {
        match turns.come(9) {
            Turn::Now(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn permits_go_to_those_who_came_first() {
        let turns = Turns::new(1);
        let first = now(&turns);
        let (mut second, mut third) = (later(&turns), later(&turns));
        assert!(is_ready(&mut third).is_none());
        drop(first);
        // Nobody has polled the second yet, and the permit is not free for all that.
        let mut fourth = later(&turns);
        assert!(is_ready(&mut fourth).is_none() && is_ready(&mut third).is_none());
        let permit = is_ready(&mut second).unwrap();
        drop(permit);
        let permit = is_ready(&mut third).unwrap();
        drop(permit);
        assert!(is_ready(&mut fourth).is_some());
        drop(fourth);
        drop(now(&turns));
    }

    #[test]
    fn who_leaves_the_line_takes_nothing_along() {
        let turns = Turns::new(1);
        let first = now(&turns);
        let (second, third, mut fourth) = (later(&turns), later(&turns), later(&turns));
        drop(second);
        drop(first);
        // The third has a permit that it never takes.
        drop(third);
        drop(is_ready(&mut fourth).unwrap());
        drop(fourth);
        assert!(matches!(turns.come(0), Turn::Now(_)));
    }

    #[test]
    fn a_line_is_no_longer_than_it_may_be() {
        let turns = Turns::new(0);
        assert!(matches!(turns.come(0), Turn::Never));
        let waiting = later(&turns);
        assert!(matches!(turns.come(1), Turn::Never));
        drop(waiting);
        assert!(matches!(turns.come(1), Turn::Later(_)));
    }

    #[test]
    fn threads_lose_no_permit_and_no_waiter() {
        let turns = Turns::new(2);
        let most = AtomicUsize::new(0);
        let at_once = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for round in 0..2_000 {
                        let permit = match turns.come(100) {
                            Turn::Now(permit) => permit,
                            Turn::Later(waiting) if round % 7 == 0 => {
                                drop(waiting);
                                continue;
                            }
                            Turn::Later(waiting) => pollster::block_on(waiting),
                            Turn::Never => continue,
                        };
                        let now = at_once.fetch_add(1, SeqCst) + 1;
                        most.fetch_max(now, SeqCst);
                        at_once.fetch_sub(1, SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert!(most.load(SeqCst) <= 2);
        assert_eq!(turns.free.load(SeqCst), 2);
        assert!(turns.line().waiters.is_empty());
    }
}
