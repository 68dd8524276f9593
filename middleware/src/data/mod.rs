//! What requests bring: forms, uploads, and what the client accepts.

#[cfg(feature = "multipart")]
pub(crate) mod multipart;
pub(crate) mod negotiate;
#[cfg(feature = "spool")]
pub(crate) mod spool;
