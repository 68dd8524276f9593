//! Rules for requests.

use std::convert::Infallible;
use std::sync::Arc;

use enfilade_core::{Application, Reply, Request};

use super::Headers;
use super::rules::{HeaderRule, HeaderRules, Message, Summary};

impl Headers<Request> {
    /// No rules for requests yet, which leaves them as they are. Rules change the request before the application gets it.
    pub fn request() -> Self {
        Headers::none()
    }
}

impl Message for Request {
    type Extra = Infallible;

    const PREFIX: &'static str = "request ";

    fn call(rules: &Arc<HeaderRules<Self>>, app: &Application, mut request: Request) -> Reply {
        rules.apply(&mut request);
        app.call(request)
    }

    fn summarize(rule: &Infallible, _: &str, _: &mut Summary) {
        match *rule {}
    }
}

impl HeaderRules<Request> {
    fn apply(&self, request: &mut Request) {
        for rule in &self.list {
            match rule {
                HeaderRule::Change(change) => change.apply(request.headers_mut()),
                HeaderRule::Compute(put, name, compute) => {
                    let is_wanted = put.wants(request.headers(), name);
                    if let Some(value) = is_wanted.then(|| compute(request)).flatten() {
                        put.apply(request.headers_mut(), name, value);
                    }
                }
                HeaderRule::ForRequests(guard, rules) => {
                    if guard.matches(request) {
                        rules.apply(request);
                    }
                }
                HeaderRule::Extra(rule) => match *rule {},
            }
        }
    }
}
