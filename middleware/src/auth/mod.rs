//! Who asks, and what they may do.

pub(crate) mod allow_addresses;
#[cfg(feature = "auth")]
pub(crate) mod api_keys;
pub(crate) mod authorize;
#[cfg(feature = "auth")]
pub(crate) mod basic;
pub(crate) mod bearer;
mod challenge;
#[cfg(feature = "auth")]
pub(crate) mod client_certificates;
pub(crate) mod forward_auth;
#[cfg(feature = "htpasswd")]
pub(crate) mod htpasswd;
pub(crate) mod identity;
#[cfg(feature = "auth")]
pub(crate) mod passwords;

#[cfg(test)]
mod tests;
