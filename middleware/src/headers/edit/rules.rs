//! The rules, which are the same for requests and for responses.

use std::fmt;
use std::sync::Arc;

use enfilade_core::{Application, Description, Reply, Request};
use http::{HeaderName, HeaderValue};

use super::Headers;
use super::change::{Change, PutMode};
use crate::error::Error;
use crate::headers::names::{parse_name, parse_prefix};
use crate::matching::guard::Guard;

/// In the order in which they run.
pub(super) struct HeaderRules<T: Message> {
    pub(super) list: Vec<HeaderRule<T>>,
    /// Whether a rule for responses, at any depth, has to see the request.
    pub(super) need_request: bool,
}

pub(super) enum HeaderRule<T: Message> {
    Change(Change),
    Compute(PutMode, HeaderName, Compute<T>),
    ForRequests(Guard, HeaderRules<T>),
    Extra(T::Extra),
}

type Compute<T> = Arc<dyn Fn(&T) -> Option<HeaderValue> + Send + Sync>;

/// What a rule is for: a request or a response.
pub(super) trait Message: Sized + 'static {
    /// Rules that only requests or only responses have.
    type Extra: Clone + Send + Sync + 'static;

    /// The text before the verb in the description.
    const PREFIX: &'static str;

    fn call(rules: &Arc<HeaderRules<Self>>, app: &Application, request: Request) -> Reply;

    fn summarize(rule: &Self::Extra, condition: &str, summary: &mut Summary);
}

/// Rules for either side.
#[expect(private_bounds, reason = "only requests and responses have headers")]
impl<T: Message> Headers<T> {
    /// Sets a header; every field value by that name is replaced.
    ///
    /// # Errors
    ///
    /// If the name is not a token or belongs to the gateway (hop-by-hop headers and `Content-Length`), or if the value
    /// has a byte that is not allowed.
    pub fn set<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Change::put(PutMode::Set, name, value).map(|change| self.change(change))
    }

    /// Adds a field value after the existing ones of that header.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn append<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Change::put(PutMode::Append, name, value).map(|change| self.change(change))
    }

    /// Sets a header if it is missing. A header with an empty value is not missing.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn default<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Change::put(PutMode::Default, name, value).map(|change| self.change(change))
    }

    /// Removes a header, with all its field values.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn remove<N>(self, name: N) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        Ok(self.change(Change::Remove(parse_name(name)?)))
    }

    /// Removes all headers whose names have this prefix, in upper or lower case: `x-debug-`.
    ///
    /// Those that belong to the gateway stay.
    ///
    /// # Errors
    ///
    /// If no name can have the prefix.
    pub fn remove_prefix(self, prefix: &str) -> Result<Self, Error> {
        Ok(self.change(Change::RemovePrefix(parse_prefix(prefix)?)))
    }

    /// Renames a header; replaces an existing header with the new name.
    ///
    /// Changes nothing if the header is missing.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn rename<N, M>(self, from: N, to: M) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        M: TryInto<HeaderName> + fmt::Debug,
    {
        let (from, to) = (parse_name(from)?, parse_name(to)?);
        Ok(self.change(Change::Rename { from, to }))
    }

    /// Sets a header to what `compute` returns; changes nothing if that is `None`.
    ///
    /// `compute` sees the request or the response as the rules before left it. It runs once for each, on a thread that must
    /// not block. The same goes for [`append_with`](Headers::append_with) and [`default_with`](Headers::default_with).
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn set_with<N, F>(self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&T) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        self.compute(PutMode::Set, name, Arc::new(compute))
    }

    /// Adds the field value that `compute` returns, or none if that is `None`.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn append_with<N, F>(self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&T) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        self.compute(PutMode::Append, name, Arc::new(compute))
    }

    /// Sets a header to what `compute` returns if it is missing; otherwise `compute` is not called.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn default_with<N, F>(self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&T) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        self.compute(PutMode::Default, name, Arc::new(compute))
    }

    /// Applies the rules of `headers` if the guard matches the request.
    ///
    /// The guard sees the request as the rules before left it. A rule for responses sees the request as it reaches this
    /// wrapper.
    pub fn for_requests(mut self, guard: Guard, headers: Self) -> Self {
        if !headers.rules.list.is_empty() {
            self.push(HeaderRule::ForRequests(guard, headers.rules));
            self.rules.need_request = true;
        }
        self
    }

    pub(super) fn none() -> Self {
        Headers {
            rules: HeaderRules {
                list: Vec::new(),
                need_request: false,
            },
        }
    }

    pub(super) fn change(mut self, change: Change) -> Self {
        self.push(HeaderRule::Change(change));
        self
    }

    pub(super) fn push(&mut self, rule: HeaderRule<T>) {
        self.rules.list.push(rule);
    }

    fn compute<N>(mut self, put: PutMode, name: N, compute: Compute<T>) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        self.push(HeaderRule::Compute(put, parse_name(name)?, compute));
        Ok(self)
    }
}

impl<T: Message> HeaderRules<T> {
    /// What the rules do and to which names, if `condition` holds; values are not shown, as they may be secrets.
    pub(super) fn summarize(&self, condition: &str, summary: &mut Summary) {
        let prefix = format!("{condition}{}", T::PREFIX);
        for rule in &self.list {
            match rule {
                HeaderRule::Change(change) => {
                    let (verb, names) = change.summary();
                    summary.add(format!("{prefix}{verb}"), names);
                }
                HeaderRule::Compute(put, name, _) => {
                    let verb = format!("{prefix}{} with", put.verb());
                    summary.add(verb, name.to_string());
                }
                HeaderRule::ForRequests(guard, rules) => {
                    rules.summarize(&format!("{condition}for {guard} "), summary);
                }
                HeaderRule::Extra(rule) => T::summarize(rule, condition, summary),
            }
        }
    }
}

/// What rules do, each with its header names; repeated verbs in a row are merged.
#[derive(Default)]
pub(super) struct Summary(Vec<(String, Vec<String>)>);

impl Summary {
    pub(super) fn add(&mut self, verb: String, names: String) {
        match self.0.last_mut() {
            Some((last, all)) if *last == verb => all.push(names),
            _ => self.0.push((verb, vec![names])),
        }
    }

    pub(super) fn describe_in(self, tree: Description) -> Description {
        let options = self.0.into_iter();
        options.fold(tree, |tree, (verb, names)| tree.option(verb, names))
    }
}

// Not derived: `derive` would require a message that is `Clone`.
impl<T: Message> Clone for HeaderRules<T> {
    fn clone(&self) -> Self {
        HeaderRules {
            list: self.list.clone(),
            need_request: self.need_request,
        }
    }
}

impl<T: Message> Clone for HeaderRule<T> {
    fn clone(&self) -> Self {
        match self {
            HeaderRule::Change(change) => HeaderRule::Change(change.clone()),
            HeaderRule::Compute(put, name, compute) => {
                HeaderRule::Compute(*put, name.clone(), compute.clone())
            }
            HeaderRule::ForRequests(guard, rules) => {
                HeaderRule::ForRequests(guard.clone(), rules.clone())
            }
            HeaderRule::Extra(rule) => HeaderRule::Extra(rule.clone()),
        }
    }
}
