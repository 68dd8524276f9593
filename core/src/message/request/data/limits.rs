//! How much of a request is read into memory.

use std::sync::Arc;

use crate::compose::application::Application;
use crate::compose::description::{Description, OptionValue};
use crate::compose::middleware::Middleware;
use crate::compose::reply::Reply;
use crate::compose::wrapper::{Wrapper, wrapped};
use crate::message::request::Request;

/// The limits of what [`Request::json`] and [`Request::form`] read.
///
/// As a middleware it sets them for all applications inside; the innermost counts. To a single call they are given with
/// [`json_with`](Request::json_with) and [`form_with`](Request::form_with).
///
/// A `BodyLimit` applies too, and a limit after decompression is that of `Decompression`.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, DataLimits, Request};
///
/// // Imports may be longer; everything else keeps the default of 2 MiB.
/// let import = Application::new(|_: Request| "imported").wrap(DataLimits::new().bytes(50 << 20));
/// # drop(import);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "limits do nothing until a body is read with them"]
pub struct DataLimits {
    pub(super) bytes: usize,
    pub(super) pairs: usize,
    pub(super) is_utf8_strict: bool,
    pub(super) has_unique_keys: bool,
}

impl DataLimits {
    /// The defaults, which each setter names.
    pub fn new() -> DataLimits {
        DataLimits {
            bytes: 2 << 20,
            pairs: 1_000,
            is_utf8_strict: false,
            has_unique_keys: false,
        }
    }

    /// Sets the maximum length of the body, in bytes; 2 MiB by default. A longer one is a 413.
    pub fn bytes(mut self, bytes: usize) -> DataLimits {
        self.bytes = bytes;
        self
    }

    /// Sets the maximum number of pairs in a form or a query; 1,000 by default. More are a 413, in a query a 400.
    pub fn pairs(mut self, pairs: usize) -> DataLimits {
        self.pairs = pairs;
        self
    }

    /// Responds with 400 to a form or a query that is not UTF-8. By default such bytes become U+FFFD.
    pub fn strict_utf8(mut self) -> DataLimits {
        self.is_utf8_strict = true;
        self
    }

    /// Responds with 400 to JSON in which an object has a key twice: parsers disagree about which one counts.
    ///
    /// By default that is an error for a struct's field only. It takes another pass over the text.
    pub fn unique_keys(mut self) -> DataLimits {
        self.has_unique_keys = true;
        self
    }

    /// The limits that a component outside has set, or the defaults.
    pub(super) fn of(request: &Request) -> DataLimits {
        request.extensions().get().copied().unwrap_or_default()
    }
}

impl Default for DataLimits {
    fn default() -> DataLimits {
        DataLimits::new()
    }
}

impl Wrapper for DataLimits {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        request.extensions_mut().insert(**self);
        inner.call(request)
    }

    fn describe(&self) -> Description {
        Description::new("DataLimits").option("bytes", OptionValue::size(self.bytes as u64))
    }
}

impl Middleware for DataLimits {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}
