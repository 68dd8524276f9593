//! Headers that a request shares with a copy of its head.

use std::sync::Arc;

use http::HeaderMap;

/// Headers of one request, or shared with a copy of its head until one of the two changes them.
pub(super) enum Headers {
    Own(HeaderMap),
    Shared(Arc<HeaderMap>),
}

impl Headers {
    pub(super) fn as_map(&self) -> &HeaderMap {
        match self {
            Headers::Own(map) => map,
            Headers::Shared(shared) => shared,
        }
    }

    /// The map, to change it; only here is it copied, and only while the other one is still there.
    pub(super) fn as_map_mut(&mut self) -> &mut HeaderMap {
        match self {
            Headers::Own(map) => map,
            Headers::Shared(shared) => Arc::make_mut(shared),
        }
    }

    pub(super) fn into_map(self) -> HeaderMap {
        match self {
            Headers::Own(map) => map,
            Headers::Shared(shared) => Arc::unwrap_or_clone(shared),
        }
    }

    /// A second owner of the same map; costs an allocation the first time, and a count after that.
    pub(super) fn share(&mut self) -> Headers {
        let own = std::mem::replace(self, Headers::Own(HeaderMap::new()));
        let shared = match own {
            Headers::Own(map) => Arc::new(map),
            Headers::Shared(shared) => shared,
        };
        *self = Headers::Shared(shared.clone());
        Headers::Shared(shared)
    }
}
