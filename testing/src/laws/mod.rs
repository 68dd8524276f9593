//! Tests a wrapper with generated requests, applications and clients against the laws of the contract.
//!
//! A test takes one line:
//!
//! ```
//! # use enfilade_core as enfilade;
//! use enfilade::{Application, around};
//! use enfilade_testing::laws;
//!
//! // #[test]
//! fn passing_on_keeps_the_laws() {
//!     laws::check(around("passing", Application::call));
//! }
//! # passing_on_keeps_the_laws();
//! ```
//!
//! If a wrapper changes what its docs say it changes, allow that with a [`Check`].

mod alarm;
mod attempt;
mod counter_example;
mod derived;
mod generate;
mod plan;
mod search;
mod subject;
mod verdict;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::{Middleware, Request};
use http::{HeaderMap, HeaderName, StatusCode};

use self::attempt::RequestChange;
pub use self::counter_example::CounterExample;
use self::plan::ResponsePlan;
use crate::fail::fail;

/// The number of plans of a check.
const CASES: u32 = 512;

/// Tests a wrapper with generated requests; panics with a counter-example if it breaks a law.
///
/// The wrapper must pass on what it does not add.
///
/// # Panics
///
/// If a law is broken. The message says which law, how, and with which request, application and client.
#[track_caller]
pub fn check<M: Middleware + Clone + Send>(middleware: M) {
    Check::new(middleware).run();
}

/// The same for a wrapper that needs a runtime, such as one with a tokio timer.
///
/// The runtime works meanwhile. A check is 512 plans, one after the other: pause the time of the runtime for a wrapper that
/// sleeps, as this example does, or set fewer with [`Check::cases`].
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, around};
/// use enfilade_testing::laws;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
/// // #[tokio::test(start_paused = true)]
/// async fn keeps_the_laws() {
///     let slow = around("slow", |inner: &Application, request| {
///         let inner = inner.clone();
///         enfilade::Reply::from_future(async move {
///             tokio::time::sleep(std::time::Duration::from_millis(50)).await;
///             inner.call(request).await
///         })
///     });
///     laws::check_async(slow).await;
/// }
/// # runtime.block_on(keeps_the_laws());
/// ```
///
/// # Panics
///
/// As [`check`].
pub async fn check_async<M: Middleware + Clone>(middleware: M) {
    Check::new(middleware).run_async().await;
}

/// A check of a wrapper, with the changes that the wrapper's docs name.
///
/// It tries valid and invalid methods, targets and headers. Bodies are empty, in memory, a list, a stream with pauses
/// and trailers, failing, or endless. It tries every status with a special meaning. Clients read everything, disconnect
/// while they wait, or disconnect in the middle. It checks:
///
/// | Law | |
/// |---|---|
/// | 1 to 4, 7, 9 | the checks of [`Lint`](crate::Lint), with one outside and one inside the wrapper |
/// | 2 | HEAD has the headers of GET |
/// | 4 | every body's end is reported once; no body is held after the client disconnected; a failure is never reported as complete |
/// | 5 | headers, extensions, content and trailers pass both ways; an endless body is not buffered |
/// | 5 | an upgrade is passed on |
/// | 6 | no panic; no task waits forever |
/// | 7 | `ETag` and `Vary` of the responses to a client that accepts content codings and to one that does not |
/// | 9 | `Vary` of the 304 to `If-None-Match` and of the 206 to `Range` |
/// | 9 | a 304 or 412 that the wrapper makes of a 200 is what the conditions demand, and the 304 has the headers that it must have |
/// | 2 | the parts of a 206 that the wrapper makes of a 200 equal the slices of its content; a 416 has its length |
/// | 10 | the application is called at least once, unless [`never_calls`](Check::never_calls) says otherwise |
///
/// The plans are the same on each run.
///
/// A wrapper that lets few requests pass needs requests that reach the guarded application:
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Reply, Request, around};
/// use enfilade_testing::Law;
/// use enfilade_testing::laws::Check;
/// use enfilade::http::{HeaderValue, StatusCode};
///
/// let lock = around("lock", |inner: &Application, request: Request| {
///     match request.headers().contains_key("x-key") {
///         true => inner.call(request),
///         false => Reply::new(StatusCode::FORBIDDEN),
///     }
/// });
/// let found = Check::new(lock.clone()).counter_example().expect("no request has the key");
/// assert_eq!(found.law(), Law::Tested);
///
/// let with_key = Check::new(lock.clone()).request(|request| {
///     request.headers_mut().insert("x-key", HeaderValue::from_static("7"));
/// });
/// with_key.run();
/// // And the rejections.
/// Check::new(lock).never_calls().run();
/// ```
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, around};
/// use enfilade_testing::laws::Check;
/// use enfilade_testing::Law;
///
/// let careless = around("careless", |inner, request| {
///     inner.call(request).map(|response| enfilade::Response::new(response.into_body()))
/// });
/// let found = Check::new(careless).counter_example().expect("it drops the response's head");
/// assert_eq!(found.law(), Law::Unchanged);
/// assert!(found.to_string().contains("the response's extensions are lost on the way out"));
/// ```
#[must_use = "a check does nothing until it is run"]
pub struct Check<M> {
    middleware: M,
    options: Allowances,
    changes: Vec<RequestChange>,
    never_calls: bool,
    cases: u32,
}

/// The changes that a component may make.
struct Allowances {
    touches: Vec<HeaderName>,
    varies: Vec<HeaderName>,
    replaces: Vec<Arc<dyn Fn(&GeneratedResponse<'_>) -> bool>>,
    decodes: Arc<dyn Fn(&HeaderMap, Bytes) -> Bytes>,
    rewrites: bool,
}

/// A response of the generated application.
#[derive(Debug)]
pub struct GeneratedResponse<'a> {
    plan: &'a ResponsePlan,
    headers: HeaderMap,
}

impl<'a> GeneratedResponse<'a> {
    fn new(plan: &'a ResponsePlan) -> GeneratedResponse<'a> {
        GeneratedResponse {
            plan,
            headers: plan::header_map(&plan.headers),
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.plan.status).unwrap_or_default()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether the body has content, or may have.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.plan.body.may_have_content()
    }
}

impl<M: Middleware + Clone> Check<M> {
    /// A check of a wrapper that passes on what it does not add.
    pub fn new(middleware: M) -> Check<M> {
        let options = Allowances {
            touches: Vec::new(),
            varies: Vec::new(),
            replaces: Vec::new(),
            decodes: Arc::new(|_, content| content),
            rewrites: false,
        };
        Check {
            middleware,
            options,
            changes: Vec::new(),
            never_calls: false,
            cases: CASES,
        }
    }

    /// Changes the head of each generated request before the wrapper gets it, so that it passes the guard.
    ///
    /// It can add a key in a header, or change the path, the method, or the connection (to TLS). The body stays the
    /// generated one. If this is called several times, the changes run in that order.
    pub fn request(mut self, change: impl Fn(&mut Request) + Send + Sync + 'static) -> Check<M> {
        self.changes.push(Arc::new(change));
        self
    }

    /// Declares that the wrapper never calls the application for these requests.
    ///
    /// Use it to check rejections.
    ///
    /// Without it, a check fails if the application is never called ([`Law::Tested`](crate::Law::Tested)); with it, if the application is
    /// called.
    pub fn never_calls(mut self) -> Check<M> {
        self.never_calls = true;
        self
    }

    /// Allows changes to these headers of requests or responses, as named in the wrapper's docs.
    pub fn touches(mut self, names: impl IntoIterator<Item = HeaderName>) -> Check<M> {
        self.options.touches.extend(names);
        self
    }

    /// Declares headers whose value differs each time, such as a time or an ID.
    pub fn varies(mut self, names: impl IntoIterator<Item = HeaderName>) -> Check<M> {
        self.options.varies.extend(names);
        self
    }

    /// Allows the wrapper to replace the responses for which this returns true.
    pub fn replaces(
        mut self,
        replaces: impl Fn(&GeneratedResponse<'_>) -> bool + 'static,
    ) -> Check<M> {
        self.options.replaces.push(Arc::new(replaces));
        self
    }

    /// Sets how a client restores the application's content if the wrapper encodes it.
    pub fn decodes(mut self, decode: impl Fn(&HeaderMap, Bytes) -> Bytes + 'static) -> Check<M> {
        self.options.decodes = Arc::new(decode);
        self
    }

    /// Allows the wrapper to change the method and the target of requests.
    pub fn rewrites(mut self) -> Check<M> {
        self.options.rewrites = true;
        self
    }

    /// The number of plans. By default 512.
    pub fn cases(mut self, cases: u32) -> Check<M> {
        self.cases = cases;
        self
    }

    /// Runs the check. A wrapper that needs a runtime needs [`run_async`](Check::run_async).
    ///
    /// # Panics
    ///
    /// If a law is broken. The message is the counter-example.
    #[track_caller]
    pub fn run(&self)
    where
        M: Send,
    {
        if let Some(found) = self.counter_example() {
            fail(&found.to_string());
        }
    }

    /// Runs the check in the current runtime, which works while the wrapper waits.
    ///
    /// # Panics
    ///
    /// If a law is broken. The message is the counter-example.
    pub async fn run_async(&self) {
        if let Some(found) = self.counter_example_async().await {
            fail(&found.to_string());
        }
    }

    /// Runs the check and returns the simplest counter-example found.
    #[must_use]
    pub fn counter_example(&self) -> Option<CounterExample>
    where
        M: Send,
    {
        pollster::block_on(self.search(&|plan| self.is_blocked(plan)))
    }

    /// [Runs](Check::run_async) the check and returns the simplest counter-example found.
    pub async fn counter_example_async(&self) -> Option<CounterExample> {
        Box::pin(self.search(&|_| false)).await
    }
}

impl<M> fmt::Debug for Check<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("touches", &self.options.touches)
            .field("varies", &self.options.varies)
            .field("cases", &self.cases)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
