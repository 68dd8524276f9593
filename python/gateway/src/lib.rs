//! Python's WSGI applications as applications of Enfilade, and the servers that run them.
//!
//! A callable of PEP 3333 becomes an [`enfilade::Application`] and stands in a stack like any other: mounted by a router,
//! behind a log, compressed. All the Python code of one request runs on one Python thread.

mod environ;
mod error;
mod exchange;
mod executor;
mod ffi;
mod file_wrapper;
mod head;
mod here;
mod inline;
mod input;
mod job;
mod leaf;
mod pool;
mod serve;
mod threaded;
mod wait;

pub use self::error::Error;
pub use self::file_wrapper::FileWrapper;
pub use self::here::{Answer, call};
pub use self::leaf::{callable, from_callable};
pub use self::serve::{Options, Server};
