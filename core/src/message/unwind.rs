//! Values that may panic as they are dropped, and what a panic said.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops what an application left behind, the payload of a panic among it, whatever its destructor does.
///
/// What that says in a panic is never dropped: its destructor may panic too.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        std::mem::forget(panic);
    }
}

/// What a panic said, for a log; the payload is dropped.
pub(crate) fn panic_cause(panic: Box<dyn Any + Send>) -> Box<dyn std::error::Error + Send + Sync> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("with a value that is no text");
    let cause = format!("panicked: {text}");
    drop_quietly(panic);
    cause.into()
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
