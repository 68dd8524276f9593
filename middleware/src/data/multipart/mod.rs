//! Multipart forms (RFC 7578).

pub(crate) mod decoder;
pub(crate) mod error;
pub(crate) mod form_data;
pub(crate) mod limits;
pub(crate) mod part_head;
pub(crate) mod reader;

mod boundary;
mod file_name;
#[cfg(feature = "sessions")]
mod first_field;
mod parameters;
mod persist;

#[cfg(feature = "sessions")]
pub(crate) use self::first_field::first_field;

#[cfg(test)]
mod tests;
