//! Parts of [`Server`](crate::Server) for the one in the Python package, which runs on one thread. Not part of the API.

pub use crate::server::connection::close_reason::CloseReason;
pub use crate::server::connection::date;
pub use crate::server::connection::framing::{Framing, MessageBody};
pub use crate::server::connection::limits::MAX_REQUEST_LINE;
pub use crate::server::connection::prepared::{ClientSupport, prepare_for_hyper};
pub use crate::server::connection::response_body::{ResponseBody, Watch};
