//! Sets, changes and protects headers of requests and responses.

pub(crate) mod cache_control;
pub(crate) mod cors;
pub(crate) mod edit;
pub(crate) mod names;
pub(crate) mod propagate;
pub(crate) mod security_headers;
pub(crate) mod sensitive;
