//! What a check returns.

use std::fmt;

use super::plan::Plan;
use super::verdict::BrokenLaw;
use crate::lint::Law;

/// A law that a component broke, with the simplest request and application that show it.
#[derive(Clone, Debug)]
pub struct CounterExample {
    broken: BrokenLaw,
    plan: Option<Plan>,
}

impl CounterExample {
    pub(super) fn new(broken: BrokenLaw, plan: Option<Plan>) -> CounterExample {
        CounterExample { broken, plan }
    }

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
        write!(f, "law {} is broken ({law}): {message}", law.number())?;
        match &self.plan {
            Some(plan) => write!(f, "\nwith\n{plan}"),
            None => Ok(()),
        }
    }
}
