//! The error of an invalid target.

use std::fmt;

/// The error of an invalid path or host for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetError(pub(super) &'static str);

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for TargetError {}
