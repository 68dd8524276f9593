//! Responses that applications make every day.

pub(crate) mod attachment;
pub(crate) mod html;
#[cfg(feature = "json")]
pub(crate) mod json;
pub(crate) mod no_content;
pub(crate) mod redirect;

#[cfg(test)]
mod tests;
