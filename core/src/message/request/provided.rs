//! What components around a request provide to those inside.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Request;

/// The values of components around, outermost first.
#[derive(Clone, Default)]
pub(super) struct Provided(SmallVec<[Arc<dyn Any + Send + Sync>; 2]>);

impl Provided {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Request {
    /// Provides a value of a component to the components inside.
    ///
    /// As an [extension](Request::extensions_mut), but it costs no allocation, so a component that is seldom used can be
    /// around each request: it provides what it makes the real value from. A second value of the same type hides the
    /// first from those inside.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use std::sync::Arc;
    ///
    /// use enfilade::Request;
    ///
    /// struct Pool(&'static str);
    ///
    /// let pool = Arc::new(Pool("db.example"));
    /// let mut request = Request::get("/");
    /// request.provide(pool.clone());
    /// assert_eq!(request.provided::<Pool>().unwrap().0, "db.example");
    /// ```
    #[inline]
    pub fn provide<T: Any + Send + Sync>(&mut self, value: Arc<T>) {
        self.0.provided.0.push(value);
    }

    /// The value of this type from the innermost component that [provides](Request::provide) one.
    #[must_use]
    pub fn provided<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let mut values = self.0.provided.0.iter().rev();
        let value = values.find(|value| (***value).is::<T>())?;
        Arc::clone(value).downcast().ok()
    }
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provided").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_value_is_found_and_travels_with_the_request() {
        let mut request = Request::get("/");
        assert!(request.provided::<u8>().is_none());
        for value in [1_u8, 2, 3] {
            request.provide(Arc::new(value));
        }
        request.provide(Arc::new("text"));
        assert_eq!(request.provided::<u8>().as_deref(), Some(&3));
        assert_eq!(request.provided::<&str>().as_deref(), Some(&"text"));
        assert_eq!(
            request
                .keep_head()
                .into_request()
                .provided::<u8>()
                .as_deref(),
            Some(&3)
        );
        let request = Request::from(request.into_http());
        assert_eq!(request.provided::<u8>().as_deref(), Some(&3));
    }
}
