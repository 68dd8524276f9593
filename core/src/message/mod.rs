//! The types that applications receive and return.

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod cookies;
pub(crate) mod environ;
pub(crate) mod error;
pub(crate) mod http_error;
pub(crate) mod marks;
pub(crate) mod request;
pub(crate) mod request_id;
pub(crate) mod responders;
pub(crate) mod response;
pub(crate) mod response_headers;
pub(crate) mod response_status;
pub(crate) mod unwind;
pub(crate) mod upgrade;
