//! Tries a wrapper on generated requests, applications and clients, and checks the laws of the contract on each.
//!
//! Three lines are a test:
//!
//! ```
//! use enfilade_testing::laws;
//! # use enfilade_core::{Application, around};
//! # #[derive(Clone)] struct Polite;
//! # impl enfilade_core::Middleware for Polite {
//! #     fn wrap(self, app: Application) -> Application { app.wrap(around("polite", Application::call)) }
//! # }
//!
//! // #[test]
//! fn keeps_the_laws() {
//!     laws::check(Polite);
//! }
//! # keeps_the_laws();
//! ```
//!
//! A wrapper that changes what its docs say it changes tells that to a [`Check`].

mod attempt;
mod generate;
mod plan;
mod subject;
mod verdict;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::Middleware;
use http::{HeaderMap, HeaderName, StatusCode};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use self::plan::{ClientPlan, Plan, ResponsePlan};
use self::verdict::BrokenLaw;
use crate::fail::fail;
use crate::lint::Law;

/// How many plans a check tries.
const CASES: u32 = 512;
/// How long a counter-example is made simpler; a component that hangs costs seconds each time.
const MAX_SHRINK_MILLISECONDS: u32 = 8_000;

/// Tries a wrapper that passes on what it does not add; panics with a counter-example where it breaks a law.
///
/// # Panics
///
/// Where a law is broken; the message says which, how, and by what request, application and client.
#[track_caller]
pub fn check<M: Middleware + Clone>(middleware: M) {
    Check::new(middleware).run();
}

/// A check of a wrapper, with what the wrapper's docs say that it changes.
///
/// Tried are methods, targets and headers good and bad; bodies that are empty, in memory, a list, a stream with pauses
/// and trailers, failing, endless; every status that means something; and clients that read all, leave while they wait,
/// or leave in the middle. Checked are:
///
/// | Law | |
/// |---|---|
/// | 1 to 4, 7 | what [`Lint`](crate::Lint) watches, with one outside and one inside the wrapper |
/// | 2 | HEAD has the headers of GET |
/// | 4 | every body's end is reported once; nothing is held when the client is gone; a failure never ends well |
/// | 5 | headers, extensions, content and trailers pass both ways; an endless body is not kept |
/// | 6 | no panic; nobody waits for ever |
/// | 7 | `ETag` and `Vary` of the answers to a client that takes content codings and to one that does not |
///
/// The plans are the same on each run.
///
/// ```
/// use enfilade_core::{Application, around};
/// use enfilade_testing::laws::Check;
/// use enfilade_testing::Law;
///
/// let careless = around("careless", |inner, request| {
///     inner.call(request).map(|response| enfilade_core::Response::new(response.into_body()))
/// });
/// let found = Check::new(careless).counter_example().expect("it drops the response's head");
/// assert_eq!(found.law(), Law::Unchanged);
/// assert!(found.to_string().contains("the response's extensions are lost on the way out"));
/// ```
#[must_use = "a check does nothing until it is run"]
pub struct Check<M> {
    middleware: M,
    options: Allowances,
    cases: u32,
}

/// What a component may do.
struct Allowances {
    touches: Vec<HeaderName>,
    varies: Vec<HeaderName>,
    replaces: Vec<Arc<dyn Fn(&GeneratedResponse<'_>) -> bool>>,
    decodes: Arc<dyn Fn(&HeaderMap, Bytes) -> Bytes>,
    rewrites: bool,
}

/// An answer that the generated application gives.
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

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.plan.status).unwrap_or_default()
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether its body is, or may be, more than nothing.
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
            cases: CASES,
        }
    }

    /// Headers that the wrapper's docs say it changes or removes, of requests or of answers.
    pub fn touches(mut self, names: impl IntoIterator<Item = HeaderName>) -> Check<M> {
        self.options.touches.extend(names);
        self
    }

    /// Headers whose value is another one each time, such as a time or an id.
    pub fn varies(mut self, names: impl IntoIterator<Item = HeaderName>) -> Check<M> {
        self.options.varies.extend(names);
        self
    }

    /// Which answers of the application the wrapper replaces by its own.
    pub fn replaces(
        mut self,
        replaces: impl Fn(&GeneratedResponse<'_>) -> bool + 'static,
    ) -> Check<M> {
        self.options.replaces.push(Arc::new(replaces));
        self
    }

    /// How a client gets back the application's content, where the wrapper codes it.
    pub fn decodes(mut self, decode: impl Fn(&HeaderMap, Bytes) -> Bytes + 'static) -> Check<M> {
        self.options.decodes = Arc::new(decode);
        self
    }

    /// Allows the wrapper to change the method and the target of requests.
    pub fn rewrites(mut self) -> Check<M> {
        self.options.rewrites = true;
        self
    }

    /// How many plans are tried; 512 by default.
    pub fn cases(mut self, cases: u32) -> Check<M> {
        self.cases = cases;
        self
    }

    /// Runs the check.
    ///
    /// # Panics
    ///
    /// Where a law is broken; the message is the counter-example.
    #[track_caller]
    pub fn run(&self) {
        if let Some(found) = self.counter_example() {
            fail(&found.to_string());
        }
    }

    /// Runs the check and gives the simplest counter-example that was found.
    #[must_use]
    pub fn counter_example(&self) -> Option<CounterExample> {
        let config = Config {
            cases: self.cases,
            failure_persistence: None,
            max_shrink_time: MAX_SHRINK_MILLISECONDS,
            ..Config::default()
        };
        let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let outcome = TestRunner::new_with_rng(config, seed).run(&generate::plan(), |plan| {
            self.try_plan(&plan)
                .map_err(|broken| TestCaseError::fail(broken.message))
        });
        let plan = match outcome {
            Ok(()) => return None,
            Err(TestError::Fail(_, plan)) => plan,
            Err(TestError::Abort(reason)) => fail(&format!("nothing could be tried: {reason}")),
        };
        let broken = self.try_plan(&plan).err();
        let flaky = || BrokenLaw {
            law: Law::Robust,
            message: "a law is broken, but not each time".to_owned(),
        };
        Some(CounterExample {
            broken: broken.unwrap_or_else(flaky),
            plan,
        })
    }

    fn try_plan(&self, plan: &Plan) -> Result<(), BrokenLaw> {
        let (seen, records) = plan.attempt(&self.middleware);
        verdict::check_plan(plan, &seen, &records, &self.options)?;
        if plan.request.method != "GET" || plan.client != ClientPlan::ReadsAll {
            return Ok(());
        }
        let mut head = plan.clone();
        "HEAD".clone_into(&mut head.request.method);
        let (by_head, _) = head.attempt(&self.middleware);
        verdict::check_head(&seen, &by_head, &self.options)?;
        if plan.response.status != 200 || !plan.response.body.may_have_content() {
            return Ok(());
        }
        verdict::check_conduct(&plan.attempt_codings(&self.middleware))
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

/// A law that a component broke, and the simplest plan that was found for which it does.
#[derive(Clone, Debug)]
pub struct CounterExample {
    broken: BrokenLaw,
    plan: Plan,
}

impl CounterExample {
    /// The law that was broken.
    #[must_use]
    pub fn law(&self) -> Law {
        self.broken.law
    }

    /// How it was broken.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.broken.message
    }
}

impl fmt::Display for CounterExample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BrokenLaw { law, message } = &self.broken;
        write!(
            f,
            "law {} is broken ({law}): {message}\nwith\n{}",
            law.number(),
            self.plan
        )
    }
}

#[cfg(test)]
mod tests;
