//! Operations on requests.

use std::fmt;
use std::sync::Arc;

use enfilade_core::Request;
use http::{HeaderName, HeaderValue};

use super::Headers;
use super::change::{Change, Put};
use crate::error::Error;
use crate::headers::names::parse_name;
use crate::matching::guard::Guard;

#[derive(Clone)]
pub(super) enum RequestOperation {
    Change(Change),
    Compute(Put, HeaderName, Compute),
    If(Guard, Vec<RequestOperation>),
}

type Compute = Arc<dyn Fn(&Request) -> Option<HeaderValue> + Send + Sync>;

impl Headers {
    /// Sets a header of the request before the application sees it; every line by that name is replaced.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_set<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Change::put(Put::Set, name, value).map(|change| self.on_request(change))
    }

    /// Adds a line to the request, after those that are there by that name.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_append<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Change::put(Put::Append, name, value).map(|change| self.on_request(change))
    }

    /// Sets a header where the request has none by that name; one with an empty value is there.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_default<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Change::put(Put::Default, name, value).map(|change| self.on_request(change))
    }

    /// Removes all lines of the request by that name.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_remove<N>(self, name: N) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        Change::remove(name).map(|change| self.on_request(change))
    }

    /// Removes all headers of the request whose names begin so, as [`remove_prefix`](Headers::remove_prefix) does.
    ///
    /// # Errors
    ///
    /// As for [`remove_prefix`](Headers::remove_prefix).
    pub fn request_remove_prefix(self, prefix: &str) -> Result<Self, Error> {
        Change::remove_prefix(prefix).map(|change| self.on_request(change))
    }

    /// Gives all lines of one name another name, as [`rename`](Headers::rename) does.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_rename<N, M>(self, from: N, to: M) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        M: TryInto<HeaderName> + fmt::Debug,
    {
        Change::rename(from, to).map(|change| self.on_request(change))
    }

    /// Replaces every match of a regular expression in the values of a header, as [`replace`](Headers::replace) does.
    ///
    /// # Errors
    ///
    /// As for [`replace`](Headers::replace).
    pub fn request_replace<N>(self, name: N, pattern: &str, to: &str) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        Change::replace(name, pattern, to).map(|change| self.on_request(change))
    }

    /// Sets a header of the request to what `compute` makes of it; where that is `None`, what is there stays.
    ///
    /// It sees the request as the operations before it left it, and runs once for each one, on the event loop. The same
    /// goes for the other methods of this kind.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_set_with<N, F>(self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Request) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        self.compute_on_request(Put::Set, name, Arc::new(compute))
    }

    /// Adds a line with what `compute` makes of the request, and none where that is `None`.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_append_with<N, F>(self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Request) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        self.compute_on_request(Put::Append, name, Arc::new(compute))
    }

    /// Sets a header to what `compute` makes of the request where it has none by that name; else nothing is computed.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn request_default_with<N, F>(self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Request) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        self.compute_on_request(Put::Default, name, Arc::new(compute))
    }

    fn on_request(mut self, change: Change) -> Self {
        self.request.push(RequestOperation::Change(change));
        self
    }

    fn compute_on_request<N>(mut self, put: Put, name: N, compute: Compute) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        let operation = RequestOperation::Compute(put, parse_name(name)?, compute);
        self.request.push(operation);
        Ok(self)
    }
}

impl RequestOperation {
    pub(super) fn apply(&self, request: &mut Request) {
        match self {
            RequestOperation::Change(change) => change.apply(request.headers_mut()),
            RequestOperation::Compute(put, name, compute) => {
                let is_wanted = put.wants(request.headers(), name);
                if let Some(value) = is_wanted.then(|| compute(request)).flatten() {
                    put.apply(request.headers_mut(), name, value);
                }
            }
            RequestOperation::If(guard, operations) => {
                if guard.matches(request) {
                    operations.iter().for_each(|one| one.apply(request));
                }
            }
        }
    }

    /// What it does and to which names, where `condition` holds; values are not shown, as they may be secrets.
    pub(super) fn summarize(&self, condition: &str, options: &mut Vec<(String, String)>) {
        match self {
            RequestOperation::Change(change) => {
                let (verb, names) = change.summary();
                options.push((format!("{condition}request {verb}"), names));
            }
            RequestOperation::Compute(put, name, _) => {
                let verb = format!("{condition}request {} with", put.verb());
                options.push((verb, name.to_string()));
            }
            RequestOperation::If(guard, operations) => {
                let condition = format!("{condition}for {guard} ");
                operations
                    .iter()
                    .for_each(|one| one.summarize(&condition, options));
            }
        }
    }
}
