//! What clients and developers see of errors.

pub(crate) mod catch_panic;
pub(crate) mod catching;
pub(crate) mod debug_errors;
pub(crate) mod error_pages;
pub(crate) mod new_content;
