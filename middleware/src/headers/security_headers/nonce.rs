//! The nonce of a content security policy.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The nonce in the content security policy of the response to this request, in Base64.
///
/// [`SecurityHeaders`](crate::SecurityHeaders) stores it in the extensions of the request. It has no characters with a
/// meaning in HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CspNonce(String);

impl CspNonce {
    /// Returns the nonce, as written in the `nonce` attribute.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn from_bits(bits: [u8; 16]) -> CspNonce {
        CspNonce(STANDARD.encode(bits))
    }

    /// Makes a new nonce, if the system has random bits.
    pub(super) fn random() -> Option<CspNonce> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).ok()?;
        Some(CspNonce::from_bits(bits))
    }
}

impl fmt::Display for CspNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
