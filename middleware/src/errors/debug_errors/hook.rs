//! A panic hook that records panics on threads that are inside a [`DebugErrors`](crate::DebugErrors).

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::thread;

thread_local! {
    static WATCH: RefCell<ThreadPanics> = const { RefCell::new(ThreadPanics { depth: 0, seen: None }) };
}

/// The state of a thread.
struct ThreadPanics {
    /// The number of these wrappers that the thread is inside.
    depth: usize,
    /// The last panic since the thread entered the outermost of these wrappers.
    seen: Option<CaughtPanic>,
}

/// A panic, as seen by the hook.
#[derive(Debug)]
pub(super) struct CaughtPanic {
    pub(super) message: Option<String>,
    /// The path of the source file as the compiler knows it, the line and the column.
    pub(super) location: Option<(String, u32, u32)>,
    pub(super) thread: Option<String>,
    pub(super) backtrace: Backtrace,
}

/// Installs the hook in front of the current one, once per process.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    // A panicking thread cannot change hooks.
    if thread::panicking() {
        return;
    }
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            note(info);
            previous(info);
        }));
    });
}

/// Records panics of this thread until it is dropped.
pub(super) struct PanicWatch(());

pub(super) fn watch() -> PanicWatch {
    WATCH.with_borrow_mut(|watch| {
        if watch.depth == 0 {
            watch.seen = None;
        }
        watch.depth += 1;
    });
    PanicWatch(())
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        WATCH.with_borrow_mut(|watch| watch.depth -= 1);
    }
}

/// Returns the last recorded panic if `said` is the text of the error made from it.
pub(super) fn take(said: &str) -> Option<CaughtPanic> {
    // The request's ID may come first.
    WATCH.with_borrow_mut(|watch| watch.seen.take_if(|seen| said.ends_with(&seen.text())))
}

impl CaughtPanic {
    /// The text of a `Panic` without an ID.
    fn text(&self) -> String {
        let message = self.message.as_deref();
        format!(
            "panicked: {}",
            message.unwrap_or("with a value that is not text")
        )
    }
}

/// A panic here would abort the process, so nothing here may panic.
fn note(info: &PanicHookInfo<'_>) {
    let is_watched = WATCH.try_with(|watch| watch.try_borrow().is_ok_and(|watch| watch.depth > 0));
    if !is_watched.unwrap_or(false) {
        return;
    }
    let location = info
        .location()
        .map(|at| (at.file().to_owned(), at.line(), at.column()));
    let seen = CaughtPanic {
        message: text_of(info.payload()),
        location,
        thread: thread::current().name().map(str::to_owned),
        backtrace: Backtrace::force_capture(),
    };
    let _ = WATCH.try_with(|watch| {
        if let Ok(mut watch) = watch.try_borrow_mut() {
            watch.seen = Some(seen);
        }
    });
}

fn text_of(payload: &dyn Any) -> Option<String> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

    use super::*;

    fn caught(run: impl FnOnce()) {
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    }

    #[test]
    fn a_panic_is_noted_on_a_watched_thread_alone() {
        install();
        install();
        caught(|| panic!("before"));
        assert!(take("panicked: before").is_none());
        caught(|| {
            let _watching = watch();
            panic!("inside {}", 1);
        });
        caught(|| panic!("after"));
        assert!(take("panicked: other").is_none());
        let seen = take("panicked: inside 1").unwrap();
        let (file, line, _) = seen.location.unwrap();
        assert!(file.ends_with("hook.rs") && line > 100, "{file}:{line}");
        assert!(seen.backtrace.to_string().contains("hook::tests"));
        assert!(take("panicked: inside 1").is_none());
        caught(|| {
            let _watching = watch();
            panic_any(7);
        });
        assert!(take("panicked: with a value that is not text").is_some());
    }

    #[test]
    fn what_another_thread_panicked_with_is_not_taken_for_the_last() {
        install();
        caught(|| {
            let _outer = watch();
            caught(|| {
                let _inner = watch();
                panic!("old");
            });
            assert!(WATCH.with_borrow(|watch| watch.depth == 1));
            let _ = std::thread::spawn(|| {
                caught(|| panic!("unwatched"));
            })
            .join();
            resume_unwind(Box::new("resumed"));
        });
        assert!(take("panicked: resumed").is_none());
        assert!(take("panicked: old").is_some());
        caught(|| {
            let _watching = watch();
            panic!("stale");
        });
        drop(watch());
        assert!(take("panicked: stale").is_none());
    }
}
