//! Locks whose holder panicked.

use std::sync::{LockResult, PoisonError};

/// Returns the guard of a lock, even if a thread panicked while it held the lock.
///
/// Use it for state that is consistent after each change, so that such a panic cannot harm it. Without it, one request
/// that panics would make all later requests panic too.
///
/// ```
/// # use enfilade_core as enfilade;
/// use std::sync::Mutex;
///
/// use enfilade::unpoisoned;
///
/// let count = Mutex::new(1);
/// *unpoisoned(count.lock()) += 1;
/// assert_eq!(*unpoisoned(count.lock()), 2);
/// ```
pub fn unpoisoned<G>(locked: LockResult<G>) -> G {
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_lock_outlives_the_panic_of_its_holder() {
        let count = Mutex::new(1);
        let held = catch_unwind(|| {
            let _held = count.lock().unwrap();
            panic!("while it holds the lock");
        });
        assert!(held.is_err() && count.is_poisoned());
        assert_eq!(*unpoisoned(count.lock()), 1);
    }
}
