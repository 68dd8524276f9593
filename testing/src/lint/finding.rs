//! Findings of `Lint`.

use std::fmt;
use std::sync::Arc;

/// One breach of the contract: which law, which component, which side, and how.
///
/// [`Display`](fmt::Display) writes it as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    law: Law,
    side: Side,
    component: Arc<str>,
    message: String,
}

impl Finding {
    pub(super) fn new(law: Law, side: Side, component: Arc<str>, message: String) -> Self {
        Finding {
            law,
            side,
            component,
            message,
        }
    }

    /// The law that was broken.
    #[must_use]
    pub fn law(&self) -> Law {
        self.law
    }

    /// The side of the `Lint` on which it was broken.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// The name of the component that broke it, directly on that side of the `Lint`.
    ///
    /// It is the name set with [`Lint::inside`](crate::Lint::inside) or [`Lint::outside`](crate::Lint::outside).
    #[must_use]
    pub fn component(&self) -> &str {
        &self.component
    }

    /// What was wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether it is the same fault, perhaps seen from further away.
    pub(crate) fn is_same_fault(&self, other: &Finding) -> bool {
        (self.law, self.side, &self.message) == (other.law, other.side, &other.message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            law,
            side,
            component,
            message,
        } = self;
        let number = law.number();
        write!(
            f,
            "{component} ({side}) broke law {number} ({law}): {message}"
        )
    }
}

/// A law of the contract: [`Lint`](crate::Lint) checks 1 to 4, 7 and 9; 10 is about the checks themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Law {
    /// Law 1: `script_name` and `path` together are the path as received, and mounts only move the boundary forward.
    Path,
    /// Law 2: a `Content-Length` equals the bytes of the body; 1xx, 204, 205 and 304 have no body.
    Length,
    /// Law 3: hop-by-hop headers belong to the gateway.
    HopByHop,
    /// Law 4: a body ends once, and nothing comes after its end.
    BodyEnd,
    /// Law 5: a wrapper touches only what its docs name, and buffers nothing without a limit.
    Unchanged,
    /// Law 6: nothing that a peer sends can panic or hang.
    Robust,
    /// Law 7: header values are valid and correct.
    Values,
    /// Law 9: a response has the headers that its status requires.
    Required,
    /// Law 10: a law that was never tested counts as broken.
    Tested,
}

impl Law {
    /// The number of the law. Law 8, that wrapping is associative, holds for every wrapper and needs no check.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Law::Path => 1,
            Law::Length => 2,
            Law::HopByHop => 3,
            Law::BodyEnd => 4,
            Law::Unchanged => 5,
            Law::Robust => 6,
            Law::Values => 7,
            Law::Required => 9,
            Law::Tested => 10,
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Law::Path => "script_name and path are the path as received",
            Law::Length => "lengths are true",
            Law::HopByHop => "hop-by-hop headers belong to the gateway",
            Law::BodyEnd => "a body ends once",
            Law::Unchanged => "a wrapper touches only what its docs name",
            Law::Robust => "nothing that a peer sends can panic or hang",
            Law::Values => "header values are valid and correct",
            Law::Required => "a response has the headers that its status requires",
            Law::Tested => "a law that was never tested counts as broken",
        })
    }
}

/// The side that broke a law: inside the [`Lint`](crate::Lint), or outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// The application that `Lint` wraps: it makes responses.
    Application,
    /// The gateway, or a wrapper between it and `Lint`: it makes requests.
    Gateway,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Application => "inside Lint",
            Side::Gateway => "outside Lint",
        })
    }
}
