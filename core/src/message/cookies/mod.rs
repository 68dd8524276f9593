//! Cookies (draft-ietf-httpbis-rfc6265bis).

pub(crate) mod cookie;
pub(crate) mod received;

#[cfg(test)]
mod tests;
