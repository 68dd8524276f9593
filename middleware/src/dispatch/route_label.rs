//! The route of a mounted application, as logs show it.

use enfilade_core::{MatchedPattern, Response};

/// Replaces the rest of the path if no router below the mount has a pattern for it.
pub(super) const MOUNTED: &str = "/...";

/// Adds the prefix of a mount to the route that the inner router reported.
pub(super) fn add_prefix(prefix: &str, response: &mut Response) {
    let inner = response.extensions_mut().remove::<MatchedPattern>();
    let inner = inner.as_ref().map_or(MOUNTED, MatchedPattern::as_str);
    let whole = format!("{}{inner}", prefix.trim_end_matches('/'));
    response.extensions_mut().insert(MatchedPattern::new(whole));
}
