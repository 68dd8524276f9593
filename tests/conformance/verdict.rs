//! The possible results of a case.

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The response was not the expected one.
    Failed(String),
    /// The component exists, but this runner does not know a part of the case. It counts against the run.
    Unsupported(String),
    /// The case is about a component that does not exist yet.
    Needs(String),
    /// The case has a reason not to run.
    NotRun(String),
    /// The stack or its application could not be built, which some cases expect.
    Refused(String),
}

impl Trouble {
    /// Adds the place.
    pub(crate) fn within(self, place: &str) -> Trouble {
        match self {
            Trouble::Failed(reason) => Trouble::Failed(format!("{place}: {reason}")),
            Trouble::Unsupported(reason) => Trouble::Unsupported(format!("{place}: {reason}")),
            other => other,
        }
    }
}

pub(crate) type Check<T = ()> = Result<T, Trouble>;

pub(crate) fn fail<T>(message: impl Into<String>) -> Check<T> {
    Err(Trouble::Failed(message.into()))
}

pub(crate) fn unsupported<T>(message: impl Into<String>) -> Check<T> {
    Err(Trouble::Unsupported(message.into()))
}

pub(crate) fn needs<T>(component: impl Into<String>) -> Check<T> {
    Err(Trouble::Needs(component.into()))
}

pub(crate) fn refused<T>(error: impl std::fmt::Display) -> Check<T> {
    Err(Trouble::Refused(error.to_string()))
}

/// Fails unless `holds`.
pub(crate) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { fail(message()) }
}

/// Passes if one alternative passes, and cannot be judged if one of them cannot: nothing in a case is skipped.
pub(crate) fn any_of<'a, T: 'a>(
    alternatives: impl IntoIterator<Item = &'a T>,
    judge: impl Fn(&'a T) -> Check,
) -> Check {
    let mut passed = false;
    let mut reasons = Vec::new();
    for alternative in alternatives {
        match judge(alternative) {
            Ok(()) => passed = true,
            Err(Trouble::Failed(reason)) => reasons.push(reason),
            Err(trouble) => return Err(trouble),
        }
    }
    ensure(passed, || {
        format!("no alternative matches: {}", reasons.join(" | "))
    })
}

/// Passes if all pass. A part that cannot be judged comes before a failure, so that no failure hides it.
pub(crate) fn all(checks: impl IntoIterator<Item = Check>) -> Check {
    let mut failed = Ok(());
    for check in checks {
        match check {
            Ok(()) => {}
            Err(Trouble::Failed(reason)) => failed = failed.and(fail(reason)),
            Err(trouble) => return Err(trouble),
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(number: &u8) -> Check {
        match number {
            0 => Ok(()),
            1 => fail("one"),
            _ => unsupported("many"),
        }
    }

    #[test]
    fn one_alternative_is_enough_and_an_unknown_one_is_never_skipped() {
        assert_eq!(any_of(&[1, 0], judge), Ok(()));
        assert_eq!(any_of(&[1, 2], judge), unsupported("many"));
        assert_eq!(any_of(&[0, 2], judge), unsupported("many"));
        let failed = fail("no alternative matches: one | one");
        assert_eq!(any_of(&[1, 1], judge), failed);
        assert_eq!(any_of(&[], judge), fail("no alternative matches: "));
    }

    #[test]
    fn a_failure_does_not_hide_what_cannot_be_judged() {
        assert_eq!(all([0, 0].iter().map(judge)), Ok(()));
        assert_eq!(all([0, 1].iter().map(judge)), fail("one"));
        assert_eq!(all([1, 2].iter().map(judge)), unsupported("many"));
    }
}
