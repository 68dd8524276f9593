//! Operations on answers.

use std::fmt;
use std::sync::Arc;

use enfilade_core::{Request, Response};
use http::{HeaderName, HeaderValue};

use super::Headers;
use super::change::{Change, Put};
use crate::error::Error;
use crate::headers::names::parse_name;
use crate::matching::guard::Guard;
use crate::matching::response_filter::Answers;

/// In the order in which they run.
#[derive(Clone, Default)]
pub(super) struct Operations {
    list: Vec<Operation>,
    /// Whether one of them, at any depth, has to see the request.
    need_request: bool,
}

#[derive(Clone)]
enum Operation {
    Change(Change),
    With(Put, HeaderName, With),
    From(Put, HeaderName, From),
    ForRequests(Guard, Operations),
    ForAnswers(Answers, Operations),
}

type With = Arc<dyn Fn(&Response) -> Option<HeaderValue> + Send + Sync>;
type From = Arc<dyn Fn(&Request) -> Finish + Send + Sync>;
type Finish = Box<dyn FnOnce(&Response) -> Option<HeaderValue> + Send>;

/// What an operation keeps of the request until the answer is there.
pub(super) enum Fact {
    Value(Finish),
    Inner(Vec<Fact>),
    Skip,
}

impl Headers {
    /// Sets a header of the answer; every line that is there by that name is replaced.
    ///
    /// # Errors
    ///
    /// Where the name is no token or belongs to the gateway (hop-by-hop headers and `Content-Length`), or where the
    /// value has a byte that is not allowed in one. The same goes for every method here.
    pub fn set<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Change::put(Put::Set, name, value).map(|change| self.on_response(change))
    }

    /// Adds a line to the answer, after those that are there by that name.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn append<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Change::put(Put::Append, name, value).map(|change| self.on_response(change))
    }

    /// Sets a header where the answer has none by that name; one with an empty value is there.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn default<N, V>(self, name: N, value: V) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        V: TryInto<HeaderValue> + fmt::Debug,
    {
        Change::put(Put::Default, name, value).map(|change| self.on_response(change))
    }

    /// Removes all lines of the answer by that name.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn remove<N>(self, name: N) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        Change::remove(name).map(|change| self.on_response(change))
    }

    /// Removes all headers of the answer whose names begin so, in upper or lower case: `x-debug-`.
    ///
    /// Those that belong to the gateway stay.
    ///
    /// # Errors
    ///
    /// Where no name can begin so.
    pub fn remove_prefix(self, prefix: &str) -> Result<Self, Error> {
        Change::remove_prefix(prefix).map(|change| self.on_response(change))
    }

    /// Gives all lines of one name another name, and replaces those that were there by that one.
    ///
    /// Where there is none by the first name, nothing is changed.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn rename<N, M>(self, from: N, to: M) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        M: TryInto<HeaderName> + fmt::Debug,
    {
        Change::rename(from, to).map(|change| self.on_response(change))
    }

    /// Replaces every match of a regular expression in the values of a header, each line by itself.
    ///
    /// The pattern is one of the `regex` crate, and not anchored; `$1` and `${name}` stand for groups, `$$` for a dollar.
    /// A value is bytes, and need not be UTF-8.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set); also where the pattern is not well formed, or compiles to more than 256 KiB, and
    /// where `to` names a group that it does not have.
    pub fn replace<N>(self, name: N, pattern: &str, to: &str) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        Change::replace(name, pattern, to).map(|change| self.on_response(change))
    }

    /// Sets a header to what `compute` makes of the answer; where that is `None`, what is there stays.
    ///
    /// It sees the headers as the operations before it left them. It runs once for each answer, on the event loop. The
    /// same goes for the other methods of this kind.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn set_with<N, F>(self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Response) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        self.compute_with(Put::Set, name, Arc::new(compute))
    }

    /// Adds a line with what `compute` makes of the answer, and none where that is `None`.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn append_with<N, F>(self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Response) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        self.compute_with(Put::Append, name, Arc::new(compute))
    }

    /// Sets a header to what `compute` makes of the answer where it has none by that name; else nothing is computed.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn default_with<N, F>(self, name: N, compute: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Response) -> Option<HeaderValue> + Send + Sync + 'static,
    {
        self.compute_with(Put::Default, name, Arc::new(compute))
    }

    /// Sets a header to what is computed of the request and the answer; where that is `None`, what is there stays.
    ///
    /// `begin` sees the request as the application gets it, and gives back what sees the answer later: it takes along
    /// whatever it needs. That costs one allocation a request, or two. The same goes for the other methods of this kind.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn set_from<N, F, G>(self, name: N, begin: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Request) -> G + Send + Sync + 'static,
        G: FnOnce(&Response) -> Option<HeaderValue> + Send + 'static,
    {
        self.compute_from(Put::Set, name, begin)
    }

    /// Adds a line with what is computed of the request and the answer, and none where that is `None`.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn append_from<N, F, G>(self, name: N, begin: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Request) -> G + Send + Sync + 'static,
        G: FnOnce(&Response) -> Option<HeaderValue> + Send + 'static,
    {
        self.compute_from(Put::Append, name, begin)
    }

    /// Sets a header to what is computed of the request and the answer where the answer has none by that name.
    ///
    /// # Errors
    ///
    /// As for [`set`](Headers::set).
    pub fn default_from<N, F, G>(self, name: N, begin: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Request) -> G + Send + Sync + 'static,
        G: FnOnce(&Response) -> Option<HeaderValue> + Send + 'static,
    {
        self.compute_from(Put::Default, name, begin)
    }

    fn on_response(mut self, change: Change) -> Self {
        self.response.list.push(Operation::Change(change));
        self
    }

    fn compute_with<N>(mut self, put: Put, name: N, compute: With) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        let operation = Operation::With(put, parse_name(name)?, compute);
        self.response.list.push(operation);
        Ok(self)
    }

    fn compute_from<N, F, G>(mut self, put: Put, name: N, begin: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Request) -> G + Send + Sync + 'static,
        G: FnOnce(&Response) -> Option<HeaderValue> + Send + 'static,
    {
        let begin: From = Arc::new(move |request: &Request| Box::new(begin(request)));
        let operation = Operation::From(put, parse_name(name)?, begin);
        self.response.list.push(operation);
        self.response.need_request = true;
        Ok(self)
    }
}

impl Operations {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn push_for_requests(&mut self, guard: Guard, inner: Operations) {
        self.list.push(Operation::ForRequests(guard, inner));
        self.need_request = true;
    }

    pub(super) fn push_for_answers(&mut self, answers: Answers, inner: Operations) {
        self.need_request |= inner.need_request;
        self.list.push(Operation::ForAnswers(answers, inner));
    }

    /// Whether one of them has to see the request.
    pub(super) fn need_request(&self) -> bool {
        self.need_request
    }

    /// What is to be kept of a request: in the order of the operations that need it.
    pub(super) fn look_at(&self, request: &Request) -> Vec<Fact> {
        if !self.need_request {
            return Vec::new();
        }
        let facts = self.list.iter().filter_map(|operation| match operation {
            Operation::From(_, _, begin) => Some(Fact::Value(begin(request))),
            Operation::ForRequests(guard, inner) => Some(match guard.matches(request) {
                true => Fact::Inner(inner.look_at(request)),
                false => Fact::Skip,
            }),
            Operation::ForAnswers(_, inner) if inner.need_request => {
                Some(Fact::Inner(inner.look_at(request)))
            }
            Operation::ForAnswers(..) | Operation::Change(_) | Operation::With(..) => None,
        });
        facts.collect()
    }

    /// Does them all; `facts` are what [`look_at`](Operations::look_at) gave.
    ///
    /// Inlined where there are none, it is little more than to insert the headers.
    #[inline]
    pub(super) fn apply(&self, response: &mut Response, facts: impl IntoIterator<Item = Fact>) {
        let mut facts = facts.into_iter();
        for operation in &self.list {
            match operation {
                Operation::Change(Change::Put(Put::Set, name, value)) => {
                    response.headers_mut().insert(name, value.clone());
                }
                Operation::Change(change) => change.apply(response.headers_mut()),
                Operation::With(put, name, compute) => {
                    compute_into(response, *put, name, |answer| compute(answer));
                }
                Operation::From(put, name, _) => {
                    if let Some(Fact::Value(finish)) = facts.next() {
                        compute_into(response, *put, name, finish);
                    }
                }
                Operation::ForRequests(_, inner) => {
                    if let Some(Fact::Inner(facts)) = facts.next() {
                        inner.apply(response, facts);
                    }
                }
                Operation::ForAnswers(answers, inner) => {
                    let fact = inner.need_request.then(|| facts.next()).flatten();
                    if answers.fit(response) {
                        let facts = match fact {
                            Some(Fact::Inner(facts)) => facts,
                            _ => Vec::new(),
                        };
                        inner.apply(response, facts);
                    }
                }
            }
        }
    }

    /// What they do and to which names, where `condition` holds; values are not shown, as they may be secrets.
    pub(super) fn summarize(&self, condition: &str, options: &mut Vec<(String, String)>) {
        for operation in &self.list {
            let (verb, names) = match operation {
                Operation::Change(change) => {
                    let (verb, names) = change.summary();
                    (verb.to_owned(), names)
                }
                Operation::With(put, name, _) => (format!("{} with", put.verb()), name.to_string()),
                Operation::From(put, name, _) => (format!("{} from", put.verb()), name.to_string()),
                Operation::ForRequests(guard, inner) => {
                    inner.summarize(&format!("{condition}for {guard} "), options);
                    continue;
                }
                Operation::ForAnswers(answers, inner) => {
                    inner.summarize(&format!("{condition}for {answers} "), options);
                    continue;
                }
            };
            options.push((format!("{condition}{verb}"), names));
        }
    }
}

fn compute_into(
    response: &mut Response,
    put: Put,
    name: &HeaderName,
    compute: impl FnOnce(&Response) -> Option<HeaderValue>,
) {
    let is_wanted = put.wants(response.headers(), name);
    if let Some(value) = is_wanted.then(|| compute(response)).flatten() {
        put.apply(response.headers_mut(), name, value);
    }
}
