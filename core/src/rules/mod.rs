//! Rules of the RFCs, as functions of plain values.

#[cfg(feature = "time")]
pub mod conditional;
pub mod gateway;
pub mod headers;
pub mod host;
pub mod path;
pub(crate) mod unprintable;
