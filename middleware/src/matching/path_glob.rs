//! Patterns of paths, such as `/assets/**`.

use std::fmt;

use enfilade_core::{Request, path};
use globset::{GlobBuilder, GlobMatcher};

use crate::error::Error;
use crate::error::ErrorKind;

/// A pattern of paths.
///
/// `*` and `?` stand for what is in one segment, `**` for any number of them, `[…]` for one of some characters, `{…}` for
/// one of some texts, and a backslash takes away what the next character means. Upper and lower case differ.
#[derive(Clone, Debug)]
pub(crate) struct PathGlob(GlobMatcher);

impl PathGlob {
    /// An error where the pattern is not well formed, or begins with neither a slash nor `**/` and so fits nothing.
    pub(crate) fn new(pattern: &str) -> Result<PathGlob, Error> {
        let refused = |why: String| {
            let message = format!("{pattern:?} is not a pattern of paths: {why}");
            Error::new(ErrorKind::Rule, message)
        };
        if !(pattern.starts_with('/') || pattern.starts_with("**/")) {
            return Err(refused("it begins with neither / nor **/".to_owned()));
        }
        let glob = GlobBuilder::new(pattern)
            .literal_separator(true)
            .backslash_escape(true)
            .build();
        let glob = glob.map_err(|error| refused(error.kind().to_string()))?;
        Ok(PathGlob(glob.compile_matcher()))
    }

    /// Whether this path, as [`subject`] gives it, is one of those.
    pub(crate) fn fits(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.glob().fmt(f)
    }
}

/// The path that is left, without dot segments and decoded: what patterns are compared with.
pub(crate) fn subject(request: &Request) -> String {
    let clean = path::remove_dots(request.path());
    let decoded = path::decode(&clean).into_owned();
    // RFC 3986, section 6.2.3: an empty path, as in a mount, is `/`.
    if decoded.is_empty() {
        "/".to_owned()
    } else {
        decoded
    }
}
