//! The limiter that handles each request.

use std::sync::Arc;
use std::time::Duration;

use enfilade_core::headers::retry_after;
use enfilade_core::{
    Application, BoxError, Description, HttpError, IntoResponse, OptionValue, Reply, Request,
    Response, Wrapper,
};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::store::{TakeResult, TakeState};
use super::{
    Quota, QuotaKey, QuotaRequest, QuotaResult, QuotaState, QuotaStore, RateLimit, WhenNoKey,
    WhenStoreFails,
};

/// The options, and values computed from them once.
pub(super) struct Limiter {
    /// The policy header of the default quota.
    policy: HeaderValue,
    options: RateLimit,
}

impl Wrapper for Limiter {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let options = &self.options;
        if !options.counts(&request) {
            return inner.call(request);
        }
        let key = match (options.key.find(&request), options.when_no_key) {
            (Some(key), _) => key,
            (None, WhenNoKey::Share) => QuotaKey::NONE,
            (None, WhenNoKey::Pass) => return inner.call(request),
            (None, WhenNoKey::Refuse) => {
                let error = HttpError::new(StatusCode::BAD_REQUEST);
                return Reply::new(error.caused_by("the request has no key for the rate limit"));
            }
        };
        let quota = options.quota_of(&request);
        match options.ask(&key, &quota).0 {
            TakeState::Ready(taken) => {
                let state = options.settle(taken, &key, &quota);
                self.call_or_refuse(inner, request, state, quota)
            }
            TakeState::Pending(future) => {
                let (this, inner) = (self.clone(), inner.clone());
                Reply::from_future(async move {
                    let state = this.options.settle(future.await, &key, &quota);
                    this.call_or_refuse(&inner, request, state, quota).await
                })
            }
        }
    }

    fn describe(&self) -> Description {
        let options = &self.options;
        let mut description = options.quota.describe_in(Description::new("RateLimit"));
        if options.quota_by.is_some() {
            description = description.option("quota by", OptionValue::opaque("function"));
        }
        let description = options.key.describe_in(description);
        let description = description.option("name", options.fields.name());
        match options.store {
            None => description.option("keys", options.buckets.max_keys()),
            Some(_) => description.option("store", OptionValue::opaque("its own")),
        }
    }
}

impl Limiter {
    pub(super) fn new(options: RateLimit) -> Limiter {
        Limiter {
            policy: options.fields.policy(&options.quota),
            options,
        }
    }

    fn call_or_refuse(
        self: &Arc<Self>,
        inner: &Application,
        request: Request,
        state: Result<Option<QuotaState>, BoxError>,
        quota: Quota,
    ) -> Reply {
        let state = match state {
            Ok(Some(state)) => state,
            Ok(None) => return inner.call(request),
            Err(cause) => {
                let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE);
                return Reply::new(error.caused_by(cause));
            }
        };
        let policy = match quota == self.options.quota {
            true => self.policy.clone(),
            false => self.options.fields.policy(&quota),
        };
        if !state.is_allowed() {
            let (fields, response) = (&self.options.fields, refuse(&quota, &state));
            return fields.put(response, policy, &quota, &state).into();
        }
        let this = self.clone();
        let reply = inner.call(request);
        reply.map(move |response| this.options.fields.put(response, policy, &quota, &state))
    }
}

impl RateLimit {
    fn counts(&self, request: &Request) -> bool {
        let counts = self.only_if.as_ref();
        counts.is_none_or(|counts| counts(request))
    }

    fn quota_of(&self, request: &Request) -> Quota {
        let own = self.quota_by.as_ref();
        let own = own.and_then(|function| function(request));
        own.unwrap_or(self.quota)
    }

    fn ask(&self, key: &QuotaKey, quota: &Quota) -> QuotaResult {
        let ask = QuotaRequest::new(self.fields.name(), key, quota, self.timer.now());
        match &self.store {
            None => self.buckets.take(&ask),
            Some(store) => store.take(&ask),
        }
    }

    /// Handles the outcome of a store, which may have failed; `None` if the request passes without a limit.
    fn settle(
        &self,
        taken: TakeResult,
        key: &QuotaKey,
        quota: &Quota,
    ) -> Result<Option<QuotaState>, BoxError> {
        let error = match taken {
            Ok(state) => return Ok(Some(state)),
            Err(error) => error,
        };
        if let Some(function) = &self.on_store_error {
            function(&*error);
        }
        match self.when_store_fails {
            WhenStoreFails::CountHere => Ok(Some(self.buckets.draw(key, quota, self.timer.now()))),
            WhenStoreFails::Refuse => Err(error),
            WhenStoreFails::Pass => Ok(None),
        }
    }
}

/// Makes a 429 with a message and the time to wait (RFC 6585, section 4).
fn refuse(quota: &Quota, state: &QuotaState) -> Response {
    let seconds = state.wait_seconds();
    let error = HttpError::new(StatusCode::TOO_MANY_REQUESTS)
        .message(format!("Try again in {seconds} s."))
        .caused_by(format!("the quota of {quota} is used up"));
    let mut response = error.into_response();
    let value = retry_after(Duration::from_secs(seconds));
    response.headers_mut().insert(RETRY_AFTER, value);
    response
}
