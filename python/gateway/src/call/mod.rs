//! One call of a WSGI application: what it is called with, and what becomes of what it returns.

pub(crate) mod blocks;
pub(crate) mod environ;
pub(crate) mod exchange;
pub(crate) mod file_wrapper;
pub(crate) mod head;
pub(crate) mod input;
pub(crate) mod job;
