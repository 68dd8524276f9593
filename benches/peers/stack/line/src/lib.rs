//! A line of the combined format, as users write it for a framework that has no such log.

use http::header::{HeaderMap, HeaderName, REFERER, USER_AGENT};
use http::{Method, Uri, Version};
use time::OffsetDateTime;
use time::macros::format_description;

/// The parts of a request that are kept until its response is ready.
pub struct Kept {
    time: String,
    client: String,
    method: Method,
    uri: Uri,
    version: Version,
    referer: String,
    agent: String,
}

impl Kept {
    /// Keeps the parts of a request from `client`.
    pub fn new(
        client: String,
        method: &Method,
        uri: &Uri,
        version: Version,
        headers: &HeaderMap,
    ) -> Kept {
        let format = format_description!(
            "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
        );
        let header = |name: HeaderName| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("-").to_owned()
        };
        Kept {
            time: OffsetDateTime::now_utc().format(format).unwrap_or_default(),
            client,
            method: method.clone(),
            uri: uri.clone(),
            version,
            referer: header(REFERER),
            agent: header(USER_AGENT),
        }
    }

    /// Returns the line, with its line end.
    pub fn line(&self, status: u16, bytes: u64) -> String {
        let Kept {
            time,
            client,
            method,
            uri,
            version,
            referer,
            agent,
        } = self;
        format!(
            "{client} - - [{time}] \"{method} {uri} {version:?}\" {status} {bytes} \"{referer}\" \"{agent}\"\n"
        )
    }
}
