//! What logs call a route below a mount.

use enfilade_core::{MatchedPattern, Response};

/// Stands for the rest of the path if no router below the mount has a pattern for it.
pub(super) const MOUNTED: &str = "/...";

/// The pattern of a mount, and what is below it said of itself.
pub(super) fn add_prefix(prefix: &str, response: &mut Response) {
    let inner = response.extensions_mut().remove::<MatchedPattern>();
    let inner = inner.as_ref().map_or(MOUNTED, MatchedPattern::as_str);
    let whole = format!("{}{inner}", prefix.trim_end_matches('/'));
    response.extensions_mut().insert(MatchedPattern::new(whole));
}
