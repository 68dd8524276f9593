//! Header names and values as text in options.

use std::fmt;

use enfilade_core::gateway::HOP_BY_HOP;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue};

use crate::error::Error;
use crate::error::ErrorKind;
use enfilade_core::headers::is_token;

pub(crate) fn parse_name<N>(name: N) -> Result<HeaderName, Error>
where
    N: TryInto<HeaderName> + fmt::Debug,
{
    // `{:?}` escapes, so that the error text cannot forge a line in a log.
    let text = format!("{name:?}");
    let refused = |why| Error::new(ErrorKind::HeaderName, format!("{text} {why}"));
    let name = name
        .try_into()
        .map_err(|_| refused("is not a header name"))?;
    if belongs_to_gateway(&name) {
        return Err(refused("is a header that belongs to the gateway"));
    }
    Ok(name)
}

pub(super) fn parse_value<V>(value: V) -> Result<HeaderValue, Error>
where
    V: TryInto<HeaderValue> + fmt::Debug,
{
    let text = format!("{value:?}");
    value.try_into().map_err(|_| {
        Error::new(
            ErrorKind::HeaderValue,
            format!("{text} is not a header value"),
        )
    })
}

/// The prefix of a name, in lower case like a [`HeaderName`].
pub(super) fn parse_prefix(prefix: &str) -> Result<String, Error> {
    if !is_token(prefix) {
        let message = format!("{prefix:?} is not a prefix of a header name");
        return Err(Error::new(ErrorKind::HeaderName, message));
    }
    Ok(prefix.to_ascii_lowercase())
}

pub(super) fn belongs_to_gateway(name: &HeaderName) -> bool {
    name == CONTENT_LENGTH || HOP_BY_HOP.contains(name)
}
