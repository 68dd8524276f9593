//! Rewrites and redirects of requests.

pub(crate) mod canonical_host;
pub(crate) mod host_redirect;
pub(crate) mod https_redirect;
pub(crate) mod method_override;
#[cfg(feature = "regex")]
pub(crate) mod path_rule;
#[cfg(feature = "regex")]
pub(crate) mod redirect;
#[cfg(feature = "regex")]
pub(crate) mod rewrite;
pub(crate) mod slashes;
