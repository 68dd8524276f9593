//! Rules for responses, which may depend on the request too.

use std::fmt;
use std::sync::Arc;

use enfilade_core::{Application, Reply, Request, Response};
use http::{HeaderName, HeaderValue};

use super::Headers;
use super::change::{Change, PutMode};
use super::rules::{HeaderRule, HeaderRules, Message, Summary};
use crate::error::Error;
use crate::headers::names::parse_name;
use crate::matching::guard::Guard;
use crate::matching::response_filter::ResponseFilter;

/// Rules that only responses have.
#[derive(Clone)]
pub(super) enum ResponseRule {
    From(
        PutMode,
        HeaderName,
        Arc<dyn Fn(&Request) -> FinishValue + Send + Sync>,
    ),
    ForResponses(ResponseFilter, HeaderRules<Response>),
}

type FinishValue = Box<dyn FnOnce(&Response) -> Option<HeaderValue> + Send>;

/// What a rule keeps of the request until the response arrives.
enum RequestFact {
    Value(FinishValue),
    Inner(Vec<RequestFact>),
    Skip,
}

impl Headers {
    /// No rules for responses yet, which leaves them as they are.
    pub fn new() -> Self {
        Headers::none()
    }

    /// Sets a header to a value that depends on the request and the response; changes nothing if that is `None`.
    ///
    /// `begin` sees the request as it reaches this wrapper, and returns a function that sees the response later, with what
    /// that needs of the request. It costs one or two allocations a request. The same goes for
    /// [`append_from`](Headers::append_from) and [`default_from`](Headers::default_from).
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
        self.compute_from(PutMode::Set, name, begin)
    }

    /// Adds a field value that depends on the request and the response, or none if that is `None`.
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
        self.compute_from(PutMode::Append, name, begin)
    }

    /// Sets a header to a value that depends on the request and the response, if the response has none by that name.
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
        self.compute_from(PutMode::Default, name, begin)
    }

    /// Applies the rules of `headers` only to these responses; the filter is checked once, before the first of its
    /// rules.
    pub fn for_responses(mut self, responses: ResponseFilter, headers: Headers) -> Self {
        self.rules.need_request |= headers.rules.need_request;
        self.push(HeaderRule::Extra(ResponseRule::ForResponses(
            responses,
            headers.rules,
        )));
        self
    }

    fn compute_from<N, F, G>(mut self, put: PutMode, name: N, begin: F) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
        F: Fn(&Request) -> G + Send + Sync + 'static,
        G: FnOnce(&Response) -> Option<HeaderValue> + Send + 'static,
    {
        let begin = Arc::new(move |request: &Request| Box::new(begin(request)) as FinishValue);
        self.push(HeaderRule::Extra(ResponseRule::From(
            put,
            parse_name(name)?,
            begin,
        )));
        self.rules.need_request = true;
        Ok(self)
    }
}

impl Message for Response {
    type Extra = ResponseRule;

    const PREFIX: &'static str = "";

    fn call(rules: &Arc<HeaderRules<Self>>, app: &Application, request: Request) -> Reply {
        if rules.need_request {
            let (facts, rules) = (rules.read_request(&request), rules.clone());
            let reply = app.call(request);
            return reply.update(move |response| rules.apply(response, facts));
        }
        let mut reply = app.call(request);
        if let Some(response) = reply.as_ready_mut() {
            rules.apply(response, []);
            return reply;
        }
        let rules = rules.clone();
        reply.update(move |response| rules.apply(response, Vec::new()))
    }

    fn summarize(rule: &ResponseRule, condition: &str, summary: &mut Summary) {
        match rule {
            ResponseRule::From(put, name, _) => {
                let verb = format!("{condition}{} from", put.verb());
                summary.add(verb, name.to_string());
            }
            ResponseRule::ForResponses(responses, rules) => {
                rules.summarize(&format!("{condition}for {responses} "), summary);
            }
        }
    }
}

impl HeaderRules<Response> {
    /// Reads what the rules need of a request, in the order of the rules.
    fn read_request(&self, request: &Request) -> Vec<RequestFact> {
        if !self.need_request {
            return Vec::new();
        }
        let inner = |guard: &Guard, rules: &HeaderRules<Response>| match guard.matches(request) {
            true => RequestFact::Inner(rules.read_request(request)),
            false => RequestFact::Skip,
        };
        let facts = self.list.iter().filter_map(|rule| match rule {
            HeaderRule::ForRequests(guard, rules) => Some(inner(guard, rules)),
            HeaderRule::Extra(ResponseRule::From(_, _, begin)) => {
                Some(RequestFact::Value(begin(request)))
            }
            HeaderRule::Extra(ResponseRule::ForResponses(_, rules)) if rules.need_request => {
                Some(RequestFact::Inner(rules.read_request(request)))
            }
            HeaderRule::Extra(ResponseRule::ForResponses(..))
            | HeaderRule::Change(_)
            | HeaderRule::Compute(..) => None,
        });
        facts.collect()
    }

    /// Applies them all; `facts` are what [`look_at`](Rules::look_at) returned.
    ///
    /// Inlined if there are none, it is little more than to insert the headers.
    #[inline]
    fn apply(&self, response: &mut Response, facts: impl IntoIterator<Item = RequestFact>) {
        let mut facts = facts.into_iter();
        for rule in &self.list {
            match rule {
                HeaderRule::Change(Change::Put(PutMode::Set, name, value)) => {
                    response.headers_mut().insert(name, value.clone());
                }
                HeaderRule::Change(change) => change.apply(response.headers_mut()),
                HeaderRule::Compute(put, name, compute) => {
                    compute_into(response, *put, name, |response| compute(response));
                }
                HeaderRule::ForRequests(_, rules) => {
                    if let Some(RequestFact::Inner(facts)) = facts.next() {
                        rules.apply(response, facts);
                    }
                }
                HeaderRule::Extra(ResponseRule::From(put, name, _)) => {
                    if let Some(RequestFact::Value(finish)) = facts.next() {
                        compute_into(response, *put, name, finish);
                    }
                }
                HeaderRule::Extra(ResponseRule::ForResponses(responses, rules)) => {
                    let fact = rules.need_request.then(|| facts.next()).flatten();
                    if responses.matches(response) {
                        let facts = match fact {
                            Some(RequestFact::Inner(facts)) => facts,
                            _ => Vec::new(),
                        };
                        rules.apply(response, facts);
                    }
                }
            }
        }
    }
}

fn compute_into(
    response: &mut Response,
    put: PutMode,
    name: &HeaderName,
    compute: impl FnOnce(&Response) -> Option<HeaderValue>,
) {
    let is_wanted = put.wants(response.headers(), name);
    if let Some(value) = is_wanted.then(|| compute(response)).flatten() {
        put.apply(response.headers_mut(), name, value);
    }
}
