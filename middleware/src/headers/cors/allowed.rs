//! The origins that may read responses.

use std::sync::Arc;

use enfilade_core::OptionValue;
use http::HeaderValue;

use crate::matching::origin::{Origin, is_origin};

/// The origins that may read the responses of a site.
#[derive(Clone)]
pub(super) enum Origins {
    /// All, for requests without credentials: `*`.
    Any,
    /// These.
    Listed(Vec<Origin>),
    /// Those for which this returns true.
    Tested(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl Origins {
    /// Returns the `Access-Control-Allow-Origin` of a response to this origin.
    pub(super) fn allow(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        if matches!(self, Origins::Any) {
            return Some(HeaderValue::from_static("*"));
        }
        let origin = origin?;
        let text = origin.to_str().ok()?;
        let is_allowed = match self {
            Origins::Any => true,
            Origins::Listed(origins) => origins.iter().any(|known| known.is(text)),
            Origins::Tested(test) => is_origin(text) && test(text),
        };
        is_allowed.then(|| origin.clone())
    }
}

impl Origins {
    pub(super) fn describe(&self) -> OptionValue {
        match self {
            Origins::Any => "any".into(),
            Origins::Tested(_) => OptionValue::opaque("function"),
            Origins::Listed(origins) => origins.iter().map(Origin::to_string).collect(),
        }
    }
}
