//! How a client can say who it is (RFC 9110, section 11.6.1).

use std::sync::Arc;

use enfilade_core::{Application, HttpError, Reply, Request};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::error::{Error, ErrorKind};

/// The challenge of an authentication component, which it provides to those inside.
#[derive(Debug)]
pub(super) struct Challenge(HeaderValue);

impl Challenge {
    /// A challenge with a realm, and other parameters as they are.
    pub(super) fn new(scheme: &str, realm: &str, more: &str) -> Result<Arc<Challenge>, Error> {
        let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let is_text = realm.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let text = format!("{scheme} realm=\"{quoted}\"{more}");
        match HeaderValue::try_from(text) {
            Ok(value) if is_text => Ok(Arc::new(Challenge(value))),
            _ => Err(Error::new(
                ErrorKind::HeaderValue,
                format!("the realm {realm:?} is not printable ASCII"),
            )),
        }
    }

    /// The value of `WWW-Authenticate`, with other parameters.
    pub(super) fn value(&self, more: &str) -> HeaderValue {
        let text = [self.0.as_bytes(), more.as_bytes()].concat();
        HeaderValue::try_from(text).unwrap_or_else(|_| self.0.clone())
    }

    /// A 401 with this challenge, and with other parameters.
    pub(super) fn refusal(&self, more: &str) -> HttpError {
        HttpError::new(StatusCode::UNAUTHORIZED).header(WWW_AUTHENTICATE, self.value(more))
    }

    /// Calls an application for a client that did not say who it is.
    pub(super) fn pass(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        request.provide(self.clone());
        inner.call(request)
    }

    /// Whether a request has no credentials of this scheme, or none at all: those of another scheme are for another component.
    pub(super) fn is_for_others(request: &Request, scheme: &str) -> bool {
        let mut lines = request.headers().get_all(AUTHORIZATION).iter();
        match (lines.next(), lines.next()) {
            (None, _) => true,
            (Some(line), None) => {
                let line = line.as_bytes();
                let end = line
                    .iter()
                    .position(|byte| *byte == b' ')
                    .unwrap_or(line.len());
                let sent = line.get(..end).unwrap_or_default();
                !sent.is_empty() && !sent.eq_ignore_ascii_case(scheme.as_bytes())
            }
            // Two lines are refused.
            (Some(_), Some(_)) => false,
        }
    }

    /// A 401 of the innermost component around a request that can say who its client is; a 403 without one.
    pub(super) fn of_request(request: &Request) -> HttpError {
        match request.provided::<Challenge>() {
            Some(challenge) => challenge.refusal(""),
            None => HttpError::new(StatusCode::FORBIDDEN),
        }
    }
}

/// Marks credentials, so that no log shows them.
pub(super) fn hide_credentials(request: &mut Request) {
    if let Some(value) = request.headers_mut().get_mut(AUTHORIZATION) {
        value.set_sensitive(true);
    }
}

/// Whether credentials would cross a network in the clear: the request came without TLS, and not from this machine.
pub(super) fn is_exposed(request: &Request) -> bool {
    let peer = request.connection().peer();
    let is_remote = peer.is_some_and(|peer| !peer.ip().to_canonical().is_loopback());
    is_remote && request.scheme() == enfilade_core::Scheme::Http
}

/// A 403 for credentials in the clear. It has no challenge, so that no browser asks for a password.
pub(super) fn exposed() -> HttpError {
    HttpError::new(StatusCode::FORBIDDEN)
        .message("Credentials are accepted over TLS only.")
        .caused_by("the request came over HTTP; if a proxy ends TLS, put ProxyFix around")
}
