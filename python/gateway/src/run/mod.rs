//! Chooses the thread that runs the Python code of a request, and how it waits.

pub(crate) mod activity;
pub(crate) mod executor;
pub(crate) mod pool;
pub(crate) mod process;
pub(crate) mod python_app;
pub(crate) mod reactor;
mod received;
mod submission;
