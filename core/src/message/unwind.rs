//! Panics: caught, matched to a request, and dropped safely.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::message::request_id::{RequestIdValue, is_tagged, replace_tag};

/// A panic that was caught, with the ID of the request that panicked, if there is one.
///
/// Its text is for a log, not for a client: `request 01J9ZK3V7Q8W2N4M6P0R panicked: boom`, or `panicked: boom`.
/// [`HttpError::from_panic`](crate::HttpError::from_panic) makes a 500 of it. A payload that panics when dropped does
/// no harm.
pub struct Panic {
    payload: Box<dyn Any + Send>,
    request_id: Option<RequestIdValue>,
}

impl Panic {
    /// Calls `run` and catches its panic.
    ///
    /// The ID is the one of the outermost [`RequestIdValue::tag_panic`] between here and the panic. Around applications
    /// use this function instead of `std::panic::catch_unwind`, which leaves the ID behind for the next panic inside
    /// the same `Panic::catch`.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Panic;
    ///
    /// assert_eq!(Panic::catch(|| 1).unwrap(), 1);
    /// let panic = Panic::catch(|| panic!("boom")).unwrap_err();
    /// assert_eq!(panic.to_string(), "panicked: boom");
    /// ```
    ///
    /// # Errors
    ///
    /// If `run` panics.
    #[inline]
    pub fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Panic> {
        let outer = match is_tagged() {
            true => outer_tag(),
            false => None,
        };
        let caught = catch_unwind(AssertUnwindSafe(run)).map_err(Panic::caught);
        if outer.is_some() {
            replace_tag(outer);
        }
        caught
    }

    #[cold]
    fn caught(payload: Box<dyn Any + Send>) -> Panic {
        Panic {
            payload,
            request_id: replace_tag(None),
        }
    }

    /// Resumes the panic, with the same value and ID; for a panic that was caught on another thread.
    ///
    /// The panic hook is not called again.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Panic;
    ///
    /// let panic = std::thread::spawn(|| Panic::catch(|| panic!("boom"))).join().unwrap().unwrap_err();
    /// let again = Panic::catch(|| panic.resume()).unwrap_err();
    /// assert_eq!(again.to_string(), "panicked: boom");
    /// ```
    ///
    /// # Panics
    ///
    /// Always.
    pub fn resume(mut self) -> ! {
        if let Some(id) = self.request_id.take() {
            replace_tag(Some(id));
        }
        resume_unwind(std::mem::replace(&mut self.payload, Box::new(())))
    }

    /// Sets the ID of the request, unless the panic has one.
    ///
    /// For components that catch panics and find the ID in the request's extensions.
    #[must_use]
    pub fn or_request_id(mut self, id: Option<RequestIdValue>) -> Panic {
        self.request_id = self.request_id.take().or(id);
        self
    }

    /// The ID of the request that panicked.
    #[must_use]
    pub fn request_id(&self) -> Option<&RequestIdValue> {
        self.request_id.as_ref()
    }
}

/// The payload may panic when it is dropped.
impl Drop for Panic {
    fn drop(&mut self) {
        drop_quietly(std::mem::replace(&mut self.payload, Box::new(())));
    }
}

/// The error of `catch_unwind`.
impl From<Box<dyn Any + Send>> for Panic {
    fn from(payload: Box<dyn Any + Send>) -> Panic {
        Panic {
            payload,
            request_id: None,
        }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| self.payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("with a value that is not text");
        match &self.request_id {
            Some(id) => write!(f, "request {id} panicked: {text}"),
            None => write!(f, "panicked: {text}"),
        }
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panic({self})")
    }
}

/// Takes the tag that is there already, and returns it if it belongs to the panic whose unwinding calls this.
///
/// Otherwise it belongs to a panic that was caught elsewhere.
#[cold]
fn outer_tag() -> Option<RequestIdValue> {
    replace_tag(None).filter(|_| std::thread::panicking())
}

/// Drops a value of an application, and catches a panic of its destructor.
///
/// The payload of that panic is never dropped, because it may panic too.
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
    fn a_destructor_that_panics_does_no_harm() {
        for depth in 0..3 {
            drop_quietly(Bomb(depth));
        }
    }

    fn id(text: &str) -> RequestIdValue {
        RequestIdValue::new(text).unwrap()
    }

    fn said(run: impl FnOnce()) -> String {
        Panic::catch(run).unwrap_err().to_string()
    }

    fn boom() {
        panic!("boom")
    }

    #[test]
    fn a_panic_has_the_outermost_id_that_it_left() {
        let (a, b) = (id("a"), id("b"));
        assert_eq!(said(|| a.tag_panic(boom)), "request a panicked: boom");
        assert_eq!(
            said(|| a.tag_panic(|| b.tag_panic(boom))),
            "request a panicked: boom"
        );
        let inside = || a.tag_panic(|| assert_eq!(said(boom), "panicked: boom"));
        Panic::catch(inside).unwrap();
        let panic = Panic::catch(|| a.tag_panic(boom)).unwrap_err();
        assert_eq!(panic.or_request_id(Some(b)).request_id(), Some(&a));
    }

    #[test]
    fn a_panic_that_was_caught_before_leaves_no_id() {
        let a = id("a");
        let caught_by_another = || {
            let caught = catch_unwind(AssertUnwindSafe(|| a.tag_panic(boom)));
            assert!(caught.is_err());
        };
        caught_by_another();
        assert_eq!(said(boom), "panicked: boom");
        Panic::catch(caught_by_another).unwrap();
        assert_eq!(said(boom), "panicked: boom");
    }

    #[test]
    fn a_catch_in_a_destructor_keeps_the_id_of_the_panic_outside() {
        struct Catches;
        impl Drop for Catches {
            fn drop(&mut self) {
                let b = id("b");
                assert_eq!(said(|| b.tag_panic(boom)), "request b panicked: boom");
                assert_eq!(said(boom), "panicked: boom");
            }
        }
        let a = id("a");
        let run = || {
            let _catches = Catches;
            a.tag_panic(boom);
        };
        assert_eq!(said(run), "request a panicked: boom");
    }
}
