//! What can come out of a case.

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The answer was not the expected one.
    Failed(String),
    /// The component exists, and this runner cannot say what the case says. It counts against the run.
    Unsupported(String),
    /// The case is about a component that does not exist yet.
    Needs(String),
    /// The stack or its application could not be built, which some cases expect.
    Refused(String),
}

impl Trouble {
    /// The same with where it was.
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

/// Passes where one alternative passes; an alternative that cannot be judged keeps the rest from failing.
pub(crate) fn any_of<'a, T: 'a>(
    alternatives: impl IntoIterator<Item = &'a T>,
    judge: impl Fn(&'a T) -> Check,
) -> Check {
    let mut reasons = Vec::new();
    let mut unsupported = None;
    for alternative in alternatives {
        match judge(alternative) {
            Ok(()) => return Ok(()),
            Err(Trouble::Failed(reason)) => reasons.push(reason),
            Err(trouble) => unsupported = unsupported.or(Some(trouble)),
        }
    }
    match unsupported {
        Some(trouble) => Err(trouble),
        None => fail(format!("no alternative fits: {}", reasons.join(" | "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alternative_is_enough_and_an_unknown_one_is_not_a_failure() {
        let judge = |number: &u8| match number {
            0 => Ok(()),
            1 => fail("one"),
            _ => unsupported("many"),
        };
        assert_eq!(any_of(&[1, 2, 0], judge), Ok(()));
        assert_eq!(any_of(&[1, 2], judge), unsupported("many"));
        let failed = fail("no alternative fits: one | one");
        assert_eq!(any_of(&[1, 1], judge), failed);
        assert_eq!(any_of(&[], judge), fail("no alternative fits: "));
    }
}
