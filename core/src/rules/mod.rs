//! Rules of the RFCs, as functions of plain values.

pub mod gateway;
pub mod headers;
pub mod host;
pub mod path;
