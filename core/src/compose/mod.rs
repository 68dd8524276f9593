//! Applications, handlers and wrappers, and how to combine them.

pub(crate) mod application;
pub(crate) mod around;
pub(crate) mod description;
pub(crate) mod eventual;
pub(crate) mod forms;
pub(crate) mod into_handler;
pub(crate) mod middleware;
pub(crate) mod reply;
pub(crate) mod wrapper;
