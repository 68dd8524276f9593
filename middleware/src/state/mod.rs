//! State that the client keeps.

#[cfg(feature = "secure-cookies")]
pub(crate) mod cookie_keys;
#[cfg(feature = "sessions")]
pub(crate) mod sessions;
