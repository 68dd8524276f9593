//! What `Lint` finds, and where it goes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::client::refuse;

/// One breach of the contract: which law, by which side, and how.
///
/// [`Display`](fmt::Display) puts it in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    law: Law,
    side: Side,
    message: String,
}

impl Finding {
    pub(super) fn new(law: Law, side: Side, message: impl Into<String>) -> Self {
        Finding {
            law,
            side,
            message: message.into(),
        }
    }

    /// The law that was broken.
    #[must_use]
    pub fn law(&self) -> Law {
        self.law
    }

    /// Who broke it.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// What was seen.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { law, side, message } = self;
        write!(f, "{side} broke law {} ({law}): {message}", law.number())
    }
}

/// A law of the contract: the first four are what [`Lint`](crate::Lint) watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Law {
    /// Law 1: `script_name` and `path` in one are the path as received, and mounts only ever move it forward.
    Path,
    /// Law 2: a `Content-Length` equals the bytes of the body; 1xx, 204, 205 and 304 have no body.
    Length,
    /// Law 3: hop-by-hop headers belong to the gateway.
    HopByHop,
    /// Law 4: a body ends once, and nothing comes after its end.
    BodyEnd,
    /// Law 5: a wrapper touches only what its docs name, and keeps nothing without a cap.
    Unchanged,
    /// Law 6: nothing that a peer sends can panic or hang.
    Robust,
}

impl Law {
    /// The number that the law has in the documentation.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Law::Path => 1,
            Law::Length => 2,
            Law::HopByHop => 3,
            Law::BodyEnd => 4,
            Law::Unchanged => 5,
            Law::Robust => 6,
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
        })
    }
}

/// Who broke a law: what is inside the [`Lint`](crate::Lint), or what is outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// What `Lint` is wrapped around: it makes responses.
    Application,
    /// The gateway, or a wrapper between it and `Lint`: it makes requests.
    Gateway,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Application => "the application (inside Lint)",
            Side::Gateway => "the gateway (outside Lint)",
        })
    }
}

/// What an in-process client lays in its request to learn of findings whose panic a gateway would catch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Finding>>>);

impl Ledger {
    pub(crate) fn first(&self) -> Option<Finding> {
        let findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        findings.first().cloned()
    }

    fn add(&self, finding: Finding) {
        let mut findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        findings.push(finding);
    }
}

/// Where findings go.
#[derive(Clone)]
pub(super) enum Report {
    Panic(Option<Ledger>),
    Call(Arc<dyn Fn(Finding) + Send + Sync>),
}

impl Report {
    /// The same for one request, which may come from a client that wants to know.
    pub(super) fn for_request(&self, ledger: Option<&Ledger>) -> Report {
        match self {
            Report::Panic(_) => Report::Panic(ledger.cloned()),
            Report::Call(function) => Report::Call(function.clone()),
        }
    }

    pub(super) fn tell(&self, finding: Finding) {
        match self {
            Report::Call(function) => function(finding),
            Report::Panic(ledger) => {
                let text = finding.to_string();
                if let Some(ledger) = ledger {
                    ledger.add(finding);
                }
                refuse(&text)
            }
        }
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Report::Panic(_) => "panic",
            Report::Call(_) => "call",
        })
    }
}
