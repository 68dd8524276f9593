//! Files: trees of them and what serves them, as bodies, and sent by a web server.

mod buffers;
pub(crate) mod file_source;
mod read_ahead;
mod reading;
pub(crate) mod send_file;
pub(crate) mod serve;
pub(crate) mod tree;
