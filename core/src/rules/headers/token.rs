//! Tokens (RFC 9110, section 5.6.2).

/// Whether this is a token, as methods, header names and parameter names are (RFC 9110, section 5.6.2).
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::headers::is_token;
///
/// assert!(is_token("max-age"));
/// assert!(!is_token("max age"));
/// assert!(!is_token(""));
/// ```
#[must_use]
pub fn is_token(text: impl AsRef<[u8]>) -> bool {
    let text = text.as_ref();
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// Whether a token may contain this byte: a letter, a digit, or one of 15 marks.
///
/// ```
/// # use enfilade_core as enfilade;
/// assert!(enfilade::headers::is_token_byte(b'~'));
/// assert!(!enfilade::headers::is_token_byte(b'/'));
/// ```
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
