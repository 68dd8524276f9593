//! What the body and the query of a request say, as values.

#[cfg(feature = "form")]
mod form;
#[cfg(feature = "json")]
mod json;
pub(crate) mod limits;
mod reading;

#[cfg(all(test, feature = "form", feature = "json"))]
mod tests;
