//! Values that may panic as they are dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops what an application left behind, the payload of a panic among it, whatever its destructor does.
///
/// What that says in a panic is never dropped: its destructor may panic too.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        std::mem::forget(panic);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    struct Bomb(u8);

    impl Drop for Bomb {
        fn drop(&mut self) {
            match self.0 {
                0 => panic!("the last"),
                more => panic_any(Bomb(more - 1)),
            }
        }
    }

    #[test]
    fn a_destructor_that_panics_harms_nobody() {
        for depth in 0..3 {
            drop_quietly(Bomb(depth));
        }
    }
}
