//! How plans are tried, and what breaks a law made simpler.

use std::thread;
use std::time::{Duration, Instant};

use enfilade_core::Middleware;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::alarm::Alarm;
use super::attempt::Trial;
use super::derived::followups;
use super::plan::{ClientPlan, Plan};
use super::verdict::{self, BrokenLaw};
use super::{Check, CounterExample, generate};
use crate::fail::fail;
use crate::lint::Law;

/// How long a counter-example is made simpler; a component that hangs costs seconds each time.
const SHRINK_TIME: Duration = Duration::from_secs(8);

impl<M: Middleware + Clone> Check<M> {
    /// Whether a component waits only because its runtime is that of this thread, which waits too: tried on a thread of its own, it panics.
    pub(super) fn is_blocked(&self, plan: &Plan) -> bool
    where
        M: Send,
    {
        let (plan, middleware) = (plan.clone(), self.middleware.clone());
        let changes = &self.changes;
        let elsewhere = move || {
            let mut trial = Trial {
                middleware: &middleware,
                changes,
                alarm: Alarm::default(),
            };
            pollster::block_on(trial.attempt(&plan)).0.panic
        };
        let panic = thread::scope(|scope| scope.spawn(elsewhere).join().ok().flatten());
        panic.is_some_and(|panic| verdict::wants_tokio(&panic))
    }

    /// Tries plans until one breaks a law, and makes that simpler; `is_blocked` is asked of one that waits for ever.
    pub(super) async fn search(
        &self,
        is_blocked: &dyn Fn(&Plan) -> bool,
    ) -> Option<CounterExample> {
        let config = Config {
            failure_persistence: None,
            ..Config::default()
        };
        let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, seed);
        let mut trial = Trial {
            middleware: &self.middleware,
            changes: &self.changes,
            alarm: Alarm::default(),
        };
        let mut is_called = false;
        for _ in 0..self.cases {
            let mut tree = match generate::plan().new_tree(&mut runner) {
                Ok(tree) => tree,
                Err(reason) => fail(&format!("nothing could be tried: {reason}")),
            };
            let plan = tree.current();
            let broken = match self.try_plan(&plan, &mut trial).await {
                Ok(calls) => {
                    is_called |= calls;
                    continue;
                }
                Err(broken) => broken,
            };
            if broken.law == Law::Robust && is_blocked(&plan) {
                return Some(CounterExample::new(verdict::needs_runtime(), Some(plan)));
            }
            return Some(self.simplest(&mut tree, plan, broken, &mut trial).await);
        }
        let broken = verdict::check_calls(is_called, self.never_calls).err()?;
        Some(CounterExample::new(broken, None))
    }

    async fn simplest(
        &self,
        tree: &mut impl ValueTree<Value = Plan>,
        plan: Plan,
        broken: BrokenLaw,
        trial: &mut Trial<'_, M>,
    ) -> CounterExample {
        let (start, mut found) = (Instant::now(), CounterExample::new(broken, Some(plan)));
        let mut is_simpler = tree.simplify();
        while is_simpler && start.elapsed() < SHRINK_TIME {
            let plan = tree.current();
            is_simpler = match self.try_plan(&plan, trial).await {
                Ok(_) => tree.complicate(),
                Err(broken) => {
                    found = CounterExample::new(broken, Some(plan));
                    tree.simplify()
                }
            };
        }
        found
    }

    /// Whether the application was called, or what is wrong.
    async fn try_plan(&self, plan: &Plan, trial: &mut Trial<'_, M>) -> Result<bool, BrokenLaw> {
        let (seen, records) = trial.attempt(plan).await;
        verdict::check_plan(plan, &seen, &records, &self.options, &mut trial.alarm).await?;
        let is_called = !records.response.notes().calls.is_empty();
        if plan.request.method != "GET" || plan.client != ClientPlan::ReadsAll {
            return Ok(is_called);
        }
        let mut head = plan.clone();
        "HEAD".clone_into(&mut head.request.method);
        let (by_head, _) = trial.attempt(&head).await;
        verdict::check_head(&seen, &by_head, &self.options)?;
        if plan.response.status == 200 && plan.response.body.may_have_content() {
            verdict::check_conduct(&trial.attempt_variants(plan).await)?;
        }
        for plan in followups(plan, seen.head.as_ref()) {
            let (seen, records) = trial.attempt(&plan).await;
            verdict::check_plan(&plan, &seen, &records, &self.options, &mut trial.alarm).await?;
        }
        Ok(is_called)
    }
}
