//! Files as bodies, and files that a web server sends.

mod buffers;
pub(crate) mod file_source;
pub(crate) mod send_file;
