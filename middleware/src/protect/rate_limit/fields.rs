//! Response headers that show clients their quota (draft-ietf-httpapi-ratelimit-headers-11).

use std::io::Write;

use enfilade_core::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::{Quota, QuotaState};
use crate::error::Error;
use crate::error::ErrorKind;

pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The headers of a response, and the name in them.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    name: String,
    /// The name as a string of a structured field, with its quotes.
    quoted: String,
    pub(super) standard: bool,
    pub(super) legacy: bool,
}

impl Fields {
    pub(super) fn new() -> Fields {
        let name = "default".to_owned();
        Fields {
            quoted: format!("\"{name}\""),
            name,
            standard: true,
            legacy: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A string of a structured field is printable ASCII with escaped quotes and backslashes (RFC 9651, 4.1.6).
    pub(super) fn set_name(&mut self, name: &str) -> Result<(), Error> {
        let is_printable = |byte: u8| (0x20..0x7f).contains(&byte);
        if name.is_empty() || !name.bytes().all(is_printable) {
            let message = format!("{name:?} is not a name in printable ASCII");
            return Err(Error::new(ErrorKind::HeaderValue, message));
        }
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
        self.quoted = format!("\"{escaped}\"");
        name.clone_into(&mut self.name);
        Ok(())
    }

    /// `"default";q=100;w=60`: the quota, and the seconds in which it refills (section 3.1).
    pub(super) fn policy(&self, quota: &Quota) -> HeaderValue {
        let (name, capacity, window) = (&self.quoted, quota.capacity(), quota.window_seconds());
        value(format_args!("{name};q={capacity};w={window}"))
    }

    /// `"default";r=50;t=30`: the remaining requests, and the seconds until there is one more (section 4.1).
    fn limit(&self, state: &QuotaState) -> HeaderValue {
        let (name, remaining, wait) = (&self.quoted, state.remaining(), state.wait_seconds());
        value(format_args!("{name};r={remaining};t={wait}"))
    }

    /// Adds the headers to a response, besides those of other limits.
    pub(super) fn put(
        &self,
        mut response: Response,
        policy: HeaderValue,
        quota: &Quota,
        state: &QuotaState,
    ) -> Response {
        let headers = response.headers_mut();
        if self.standard {
            // Both are lists, so a field value is a part of the list (RFC 9651, section 4.2).
            headers.append(POLICY, policy);
            headers.append(LIMIT, self.limit(state));
        }
        if self.legacy && remaining(headers).is_none_or(|other| state.remaining() < other) {
            headers.insert(X_LIMIT, quota.capacity().into());
            headers.insert(X_REMAINING, state.remaining().into());
            headers.insert(X_RESET, state.wait_seconds().into());
        }
        response
    }
}

/// The remaining requests of an inner limit; these headers have room for one limit, the one that ends first.
fn remaining(headers: &HeaderMap) -> Option<u32> {
    headers.get(X_REMAINING)?.to_str().ok()?.parse().ok()
}

/// Formats a value in one allocation.
fn value(text: std::fmt::Arguments<'_>) -> HeaderValue {
    let mut bytes = SmallVec::<[u8; 128]>::new();
    let written = bytes.write_fmt(text);
    written.expect("a vector takes all");
    HeaderValue::from_bytes(&bytes).expect("a name of printable ASCII, and numbers")
}
