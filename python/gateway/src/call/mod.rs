//! One call of a WSGI application: its arguments, and the handling of its result.

pub(crate) mod blocks;
pub(crate) mod chunked;
pub(crate) mod environ;
pub(crate) mod exchange;
mod exchange_state;
pub(crate) mod file_wrapper;
pub(crate) mod head;
pub(crate) mod input;
pub(crate) mod job;
mod names;
pub(crate) mod numbers;
pub(crate) mod report;
