//! Multipart forms (RFC 7578).

pub(crate) mod decoder;
pub(crate) mod error;
pub(crate) mod form_data;
pub(crate) mod limits;
pub(crate) mod part_head;
pub(crate) mod reader;

mod boundary;
mod file_name;
mod parameters;

#[cfg(test)]
mod tests;
