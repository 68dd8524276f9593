//! A semaphore that is first come, first served.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use enfilade_core::unpoisoned;

/// A number of permits, and a queue of waiting requests.
///
/// While the queue is empty, taking and returning a permit needs no lock. A new request goes to the end of a non-empty
/// queue, even if a permit is free at that moment: it belongs to the first in the queue.
pub(super) struct FairSemaphore {
    free: AtomicUsize,
    /// The length of the queue; changed only under its lock.
    waiting: AtomicUsize,
    queue: Mutex<WaitQueue>,
}

#[derive(Default)]
struct WaitQueue {
    last_ticket: u64,
    /// Ordered by ticket.
    waiters: VecDeque<Waiter>,
}

/// Waking or dropping a waker runs foreign code, which may call back: never do either under the lock.
struct Waiter {
    ticket: u64,
    waker: Waker,
}

/// The result for a new request.
#[derive(Debug)]
pub(super) enum Acquired {
    Now(Permit),
    Later(PendingPermit),
    /// The queue is full.
    Never,
}

impl FairSemaphore {
    pub(super) fn new(permits: usize) -> Arc<FairSemaphore> {
        Arc::new(FairSemaphore {
            free: AtomicUsize::new(permits),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
        })
    }

    /// Returns a permit, or a place in the queue of at most `backlog` requests.
    pub(super) fn acquire(self: &Arc<Self>, backlog: usize) -> Acquired {
        if self.waiting.load(SeqCst) == 0 && self.try_take() {
            return Acquired::Now(Permit(self.clone()));
        }
        let mut queue = self.lock_queue();
        if queue.waiters.len() >= backlog {
            // The last one may have left the queue since.
            return match queue.waiters.is_empty() && self.try_take() {
                true => Acquired::Now(Permit(self.clone())),
                false => Acquired::Never,
            };
        }
        queue.last_ticket += 1;
        let ticket = queue.last_ticket;
        queue.waiters.push_back(Waiter {
            ticket,
            waker: Waker::noop().clone(),
        });
        self.grant_free(queue);
        Acquired::Later(PendingPermit {
            semaphore: self.clone(),
            ticket: Some(ticket),
        })
    }

    /// Takes a permit if one is free.
    fn try_take(&self) -> bool {
        let one_less = |free: usize| free.checked_sub(1);
        self.free.fetch_update(SeqCst, SeqCst, one_less).is_ok()
    }

    fn release(&self) {
        // A new waiter joins the queue before it looks for a free permit, so one of the two always sees the other.
        self.free.fetch_add(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.grant_free(self.lock_queue());
        }
    }

    /// Gives free permits to the first waiters and removes them from the queue.
    fn grant_free(&self, mut queue: MutexGuard<'_, WaitQueue>) {
        self.waiting.store(queue.waiters.len(), SeqCst);
        let mut wakers = Vec::new();
        while !queue.waiters.is_empty() && self.try_take() {
            wakers.extend(queue.waiters.pop_front().map(|waiter| waiter.waker));
        }
        self.waiting.store(queue.waiters.len(), SeqCst);
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock_queue(&self) -> MutexGuard<'_, WaitQueue> {
        unpoisoned(self.queue.lock())
    }
}

impl WaitQueue {
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

impl fmt::Debug for FairSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairSemaphore")
            .field("free", &self.free)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// The right to continue; dropping it passes it to the next request.
#[derive(Debug)]
pub(super) struct Permit(Arc<FairSemaphore>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A place in the queue; dropping it frees it.
#[derive(Debug)]
pub(super) struct PendingPermit {
    semaphore: Arc<FairSemaphore>,
    /// `None` after it got a permit.
    ticket: Option<u64>,
}

impl Future for PendingPermit {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let ticket = self.ticket.expect("not polled after it was ready");
        let mut queue = self.semaphore.lock_queue();
        if let Some(waiter) = queue.waiter_mut(ticket) {
            let before = std::mem::replace(&mut waiter.waker, context.waker().clone());
            drop(queue);
            drop(before);
            return Poll::Pending;
        }
        drop(queue);
        self.ticket = None;
        Poll::Ready(Permit(self.semaphore.clone()))
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut queue = self.semaphore.lock_queue();
        match queue.place_of(ticket) {
            Some(place) => {
                let waiter = queue.waiters.remove(place);
                self.semaphore.waiting.store(queue.waiters.len(), SeqCst);
                drop(queue);
                drop(waiter);
            }
            // It was given a permit but never took it.
            None => {
                drop(queue);
                self.semaphore.release();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ready(waiting: &mut PendingPermit) -> Option<Permit> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(waiting).poll(&mut context) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    fn later(semaphore: &Arc<FairSemaphore>) -> PendingPermit {
        match semaphore.acquire(9) {
            Acquired::Later(waiting) => waiting,
            other => panic!("{other:?}"),
        }
    }

    fn now(semaphore: &Arc<FairSemaphore>) -> Permit {
        match semaphore.acquire(9) {
            Acquired::Now(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn permits_go_to_those_who_came_first() {
        let semaphore = FairSemaphore::new(1);
        let first = now(&semaphore);
        let (mut second, mut third) = (later(&semaphore), later(&semaphore));
        assert!(is_ready(&mut third).is_none());
        drop(first);
        // The second was not polled yet, but the permit is reserved for it.
        let mut fourth = later(&semaphore);
        assert!(is_ready(&mut fourth).is_none() && is_ready(&mut third).is_none());
        let permit = is_ready(&mut second).unwrap();
        drop(permit);
        let permit = is_ready(&mut third).unwrap();
        drop(permit);
        assert!(is_ready(&mut fourth).is_some());
        drop(fourth);
        drop(now(&semaphore));
    }

    #[test]
    fn who_leaves_the_line_takes_nothing_along() {
        let semaphore = FairSemaphore::new(1);
        let first = now(&semaphore);
        let (second, third, mut fourth) = (later(&semaphore), later(&semaphore), later(&semaphore));
        drop(second);
        drop(first);
        // The third has a permit that it never takes.
        drop(third);
        drop(is_ready(&mut fourth).unwrap());
        drop(fourth);
        assert!(matches!(semaphore.acquire(0), Acquired::Now(_)));
    }

    #[test]
    fn a_line_is_no_longer_than_it_may_be() {
        let semaphore = FairSemaphore::new(0);
        assert!(matches!(semaphore.acquire(0), Acquired::Never));
        let waiting = later(&semaphore);
        assert!(matches!(semaphore.acquire(1), Acquired::Never));
        drop(waiting);
        assert!(matches!(semaphore.acquire(1), Acquired::Later(_)));
    }

    #[test]
    fn threads_lose_no_permit_and_no_waiter() {
        let semaphore = FairSemaphore::new(2);
        let most = AtomicUsize::new(0);
        let at_once = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for round in 0..2_000 {
                        let permit = match semaphore.acquire(100) {
                            Acquired::Now(permit) => permit,
                            Acquired::Later(waiting) if round % 7 == 0 => {
                                drop(waiting);
                                continue;
                            }
                            Acquired::Later(waiting) => pollster::block_on(waiting),
                            Acquired::Never => continue,
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
        assert_eq!(semaphore.free.load(SeqCst), 2);
        assert!(semaphore.lock_queue().waiters.is_empty());
    }
}
