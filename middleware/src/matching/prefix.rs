//! Prefixes of paths in options.

use enfilade_core::path;

use crate::error::{Error, ErrorKind};

/// Converts a prefix for [`path::match_prefix`]: `/` becomes empty.
///
/// A prefix that can match nothing, or more than it seems to, is an error.
pub(crate) fn mount_prefix(prefix: &str) -> Result<&str, Error> {
    let refused = |why| Err(Error::new(ErrorKind::Route, format!("{prefix:?} {why}")));
    if prefix.contains(['?', '#']) {
        return refused("has a query or a fragment: a prefix is a path");
    }
    if path::decode(prefix) != prefix {
        return refused("is percent-encoded: write the characters themselves");
    }
    if !prefix.starts_with('/') {
        return refused("does not begin with a slash");
    }
    let trimmed = prefix.strip_suffix('/').unwrap_or(prefix);
    if trimmed.len() < prefix.len() && !trimmed.is_empty() {
        return refused("ends with a slash: remove it");
    }
    let is_capture = |segment: &str| segment.starts_with([':', '*']) || segment.contains('{');
    if prefix.split('/').any(is_capture) {
        return refused("has a capture: use a Router for captures");
    }
    let is_dots = |segment| matches!(segment, "." | "..");
    if prefix.split('/').any(is_dots) {
        return refused("has a dot segment, which no path has");
    }
    Ok(trimmed)
}
