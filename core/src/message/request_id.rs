//! The ID of a request.

use std::cell::Cell;
use std::fmt;

use http::HeaderValue;

/// The longest ID, in bytes.
const MAX_BYTES: usize = 200;

thread_local! {
    /// Whether there is a tag: reading it costs less than reading a value with a destructor.
    static IS_TAGGED: Cell<bool> = const { Cell::new(false) };
    /// The ID of the request that the panic of this thread has left so far.
    static TAG: Cell<Option<RequestIdValue>> = const { Cell::new(None) };
}

/// The ID of a request: an extension of the request and of the response.
///
/// The middleware `RequestId` sets it, and keeps one that is there already. Components that log, or that call another
/// service, read it.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::RequestIdValue;
///
/// let id = RequestIdValue::new("01J9ZK3V7Q8W2N4M6P0R").unwrap();
/// assert_eq!(id.as_str(), "01J9ZK3V7Q8W2N4M6P0R");
/// assert_eq!(RequestIdValue::new("two words"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIdValue(HeaderValue);

impl RequestIdValue {
    /// An ID of 1 to 200 visible ASCII characters; `None` if the text is not one.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        HeaderValue::from_str(id).ok().and_then(Self::from_header)
    }

    /// An ID of 1 to 200 visible ASCII characters; `None` if the value is not one.
    ///
    /// The bytes are shared, not copied.
    #[must_use]
    pub fn from_header(value: HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        // Without an early return the loop compiles to a few vector instructions.
        let is_visible = |so_far, byte: &u8| so_far & byte.is_ascii_graphic();
        let is_valid =
            (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().fold(true, is_visible);
        is_valid.then_some(RequestIdValue(value))
    }

    /// The ID.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The ID as the value of a header.
    #[must_use]
    pub fn as_header(&self) -> &HeaderValue {
        &self.0
    }

    /// Calls `run`; if it panics, [`Panic::catch`](crate::Panic::catch) further out gets this ID with the panic.
    ///
    /// A component that chooses the ID both calls the application and polls its future through this function. It costs
    /// nothing unless there is a panic. The outermost ID wins.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Panic, RequestIdValue};
    ///
    /// let id = RequestIdValue::new("01J9ZK3V7Q8W2N4M6P0R").unwrap();
    /// let panic = Panic::catch(|| id.tag_panic(|| panic!("boom"))).unwrap_err();
    /// assert_eq!(panic.to_string(), "request 01J9ZK3V7Q8W2N4M6P0R panicked: boom");
    /// ```
    pub fn tag_panic<T>(&self, run: impl FnOnce() -> T) -> T {
        let tagging = Tagging(self);
        let output = run();
        // Only unwinding may drop it.
        std::mem::forget(tagging);
        output
    }
}

impl fmt::Display for RequestIdValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

struct Tagging<'a>(&'a RequestIdValue);

impl Drop for Tagging<'_> {
    fn drop(&mut self) {
        replace_tag(Some(self.0.clone()));
    }
}

/// Whether a panic of this thread has left a request with an ID.
#[inline]
pub(crate) fn is_tagged() -> bool {
    IS_TAGGED.get()
}

/// Sets the tag of this thread, and returns the previous one. Returns `None` while the thread ends.
#[cold]
pub(crate) fn replace_tag(tag: Option<RequestIdValue>) -> Option<RequestIdValue> {
    IS_TAGGED.set(tag.is_some());
    TAG.try_with(|current| current.replace(tag)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_visible() {
        let long = "a".repeat(MAX_BYTES);
        let longer = "a".repeat(MAX_BYTES + 1);
        for (text, is_valid) in [
            ("a", true),
            ("<any>/\"sign\"~", true),
            (&long, true),
            (&longer, false),
            ("", false),
            ("a b", false),
            ("a\r\nb", false),
            ("é", false),
        ] {
            let id = RequestIdValue::new(text);
            assert_eq!(id.is_some(), is_valid, "{text:?}");
            assert!(id.is_none_or(|id| id.as_str() == text && id.as_header() == text));
        }
    }
}
