//! The wrappers of Enfilade: each takes an application and returns an application.
//!
//! One file a wrapper; none of them knows a gateway, a runtime or another wrapper. Application authors find all of this
//! in `enfilade::middleware`.

mod access_log;
mod compression;
mod error;
mod headers;
mod not_found;
mod router;

pub use access_log::{AccessLog, DroppedLines};
pub use compression::{Coding, Compression, Flush, Negotiated, negotiate_coding};
pub use error::{Error, ErrorKind};
pub use headers::Headers;
pub use not_found::{NotFound, Pass};
pub use router::Router;
