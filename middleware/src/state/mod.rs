//! State that the client keeps.

#[cfg(feature = "secure-cookies")]
pub(crate) mod cookie_keys;
pub(crate) mod csrf;
#[cfg(feature = "sessions")]
pub(crate) mod flash;
#[cfg(feature = "sessions")]
pub(crate) mod sessions;
