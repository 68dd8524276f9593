//! Requests that become others, or are sent elsewhere.

pub(crate) mod canonical_host;
pub(crate) mod host_redirect;
pub(crate) mod https_redirect;
pub(crate) mod method_override;
pub(crate) mod path_rule;
pub(crate) mod redirect;
pub(crate) mod rewrite;
pub(crate) mod slashes;
