//! The values of one header, kept unparsed until they are needed.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Up to this number of header fields, scanning is faster than a lookup.
pub(crate) const SCAN_LIMIT: usize = 4;

/// All values of a header. Keeping a single one costs no allocation.
pub(crate) enum HeaderValues {
    None,
    One(HeaderValue),
    Several(Vec<HeaderValue>),
}

impl HeaderValues {
    pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> HeaderValues {
        // Comparing a few names takes less time than a lookup, and most requests do not have the header.
        if headers.len() <= SCAN_LIMIT && headers.keys().all(|other| other != name) {
            return HeaderValues::None;
        }
        match headers.get(name) {
            None => HeaderValues::None,
            // Further values exist only if some header is repeated.
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

    /// The same header in its own map.
    pub(crate) fn to_headers(&self, name: &HeaderName) -> HeaderMap {
        let lines = self.as_slice().iter();
        lines.map(|line| (name.clone(), line.clone())).collect()
    }
}
