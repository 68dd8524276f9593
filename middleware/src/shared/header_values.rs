//! The lines of one header, kept as they came until somebody needs to read them.

use http::{HeaderMap, HeaderName, HeaderValue};

/// How many header lines are few.
pub(crate) const SCAN_LIMIT: usize = 4;

/// All lines of a header. To keep the usual one costs no allocation.
pub(crate) enum HeaderValues {
    None,
    One(HeaderValue),
    Several(Vec<HeaderValue>),
}

impl HeaderValues {
    pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> HeaderValues {
        // To look at a few names takes less than to look one up, and most requests do not have the one that is asked for.
        if headers.len() <= SCAN_LIMIT && headers.keys().all(|other| other != name) {
            return HeaderValues::None;
        }
        match headers.get(name) {
            None => HeaderValues::None,
            // There are further lines only where any header has some.
            Some(first) if headers.len() == headers.keys_len() => HeaderValues::One(first.clone()),
            Some(_) => HeaderValues::Several(headers.get_all(name).iter().cloned().collect()),
        }
    }

    pub(crate) fn as_slice(&self) -> &[HeaderValue] {
        match self {
            HeaderValues::None => &[],
            HeaderValues::One(line) => std::slice::from_ref(line),
            HeaderValues::Several(lines) => lines,
        }
    }

    /// The same header in a map of its own.
    pub(crate) fn to_headers(&self, name: &HeaderName) -> HeaderMap {
        let lines = self.as_slice().iter();
        lines.map(|line| (name.clone(), line.clone())).collect()
    }
}
