//! Tests of requests and responses that several families of wrappers share.

pub(crate) mod accept;
pub(crate) mod guard;
pub(crate) mod host_pattern;
pub(crate) mod language;
pub(crate) mod media_range;
pub(crate) mod networks;
pub(crate) mod origin;
pub(crate) mod origin_policy;
pub(crate) mod path_glob;
pub(crate) mod prefix;
pub(crate) mod response_filter;
