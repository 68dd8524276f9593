//! The lines of one header, kept as they came until somebody needs to read them.

use http::{HeaderMap, HeaderName, HeaderValue};

/// How many header lines are few.
pub(crate) const FEW: usize = 4;

/// All lines of a header. To keep the usual one costs no allocation.
pub(crate) enum Lines {
    None,
    One(HeaderValue),
    Several(Vec<HeaderValue>),
}

impl Lines {
    pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> Lines {
        // To look at a few names takes less than to look one up, and most requests do not have the one that is asked for.
        if headers.len() <= FEW && headers.keys().all(|other| other != name) {
            return Lines::None;
        }
        match headers.get(name) {
            None => Lines::None,
            // There are further lines only where any header has some.
            Some(first) if headers.len() == headers.keys_len() => Lines::One(first.clone()),
            Some(_) => Lines::Several(headers.get_all(name).iter().cloned().collect()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Lines::None)
    }

    pub(crate) fn as_slice(&self) -> &[HeaderValue] {
        match self {
            Lines::None => &[],
            Lines::One(line) => std::slice::from_ref(line),
            Lines::Several(lines) => lines,
        }
    }

    /// The same header in a map of its own.
    pub(crate) fn to_headers(&self, name: &HeaderName) -> HeaderMap {
        let lines = self.as_slice().iter();
        lines.map(|line| (name.clone(), line.clone())).collect()
    }
}
