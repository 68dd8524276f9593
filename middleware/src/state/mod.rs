//! State that the client keeps.

#[cfg(feature = "secure-cookies")]
pub(crate) mod cookie_keys;
