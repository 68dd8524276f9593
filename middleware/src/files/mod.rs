//! Files: as bodies, and left to a web server to send.

mod buffers;
pub(crate) mod file_source;
pub(crate) mod send_file;
