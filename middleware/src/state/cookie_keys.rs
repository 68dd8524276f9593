//! Cookies that clients can keep and not change.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use enfilade_core::{Cookie, Cookies};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::error::{Error, ErrorKind};

/// What each value begins with, so that one is never taken for the other.
const SIGNED: &str = "s1.";
const ENCRYPTED: &str = "e1.";
/// The length of the time of issue, in bytes.
const TIME: usize = 8;
/// The length of a nonce of XChaCha20-Poly1305, in bytes.
const NONCE: usize = 24;
/// The length of a tag of Poly1305, in bytes.
const TAG: usize = 16;
/// The minimum length of a secret, in bytes.
const SHORTEST: usize = 32;

/// Signs and encrypts cookies: clients keep them, and cannot change them, or not even read them.
///
/// A signed value is readable by the client (HMAC-SHA-256); an encrypted one is not (XChaCha20-Poly1305). Each is bound to the
/// name of its cookie, and has the time when it was made. A value that was changed, made for another cookie, with another key,
/// or that is too old, is no value.
///
/// Secrets can be rotated: new cookies are made with the first secret, and read with any of them.
///
/// A client can send an old value again. What must be used once, or be revoked, belongs on the server.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::time::Duration;
///
/// use enfilade::Request;
/// use enfilade::middleware::CookieKeys;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// // 32 random bytes or more, from a file or a secret store: `openssl rand 32 > secret`.
/// let keys = CookieKeys::new(b"0123456789abcdef0123456789abcdef")?;
/// let cookie = keys.encrypted("__Host-user", "ada");
///
/// let mut request = Request::get("/");
/// let header = cookie.header_value().expect("a valid name");
/// request.headers_mut().insert("cookie", header);
/// let day = Duration::from_secs(86_400);
/// assert_eq!(keys.decrypt(request.cookies(), "__Host-user", day).as_deref(), Some("ada"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CookieKeys {
    keys: Vec<Keys>,
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// The two keys that are made of a secret.
#[derive(Clone)]
struct Keys {
    signing: Hmac<Sha256>,
    encryption: XChaCha20Poly1305,
}

impl CookieKeys {
    /// Makes keys of a secret of at least 32 random bytes.
    ///
    /// # Errors
    ///
    /// If the secret is shorter.
    pub fn new(secret: &[u8]) -> Result<CookieKeys, Error> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the clock that is there unless another one is set"
        )]
        let now = Arc::new(SystemTime::now);
        Ok(CookieKeys {
            keys: vec![Keys::of(secret)?],
            now,
        })
    }

    /// Also reads cookies that were made with an earlier secret.
    ///
    /// # Errors
    ///
    /// If the secret is shorter than 32 bytes.
    pub fn and_earlier(mut self, secret: &[u8]) -> Result<CookieKeys, Error> {
        self.keys.push(Keys::of(secret)?);
        Ok(self)
    }

    /// Sets the clock; that of the system by default.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> CookieKeys {
        self.now = Arc::new(now);
        self
    }

    /// Makes a cookie that the client can read and not change.
    pub fn signed(&self, name: &str, value: &str) -> Cookie {
        Cookie::new(name, self.seal_signed(name, value.as_bytes()))
    }

    /// Makes a cookie that the client can neither read nor change.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    pub fn encrypted(&self, name: &str, value: &str) -> Cookie {
        Cookie::new(name, self.seal_encrypted(name, value.as_bytes()))
    }

    /// Returns the value of a signed cookie that is at most `max_age` old; `None` if no cookie is valid.
    #[must_use]
    pub fn verify(&self, cookies: Cookies<'_>, name: &str, max_age: Duration) -> Option<String> {
        text(self.open_signed(name, cookies.get(name)?)?, max_age)
    }

    /// Returns the value of an encrypted cookie that is at most `max_age` old; `None` if no cookie is valid.
    #[must_use]
    pub fn decrypt(&self, cookies: Cookies<'_>, name: &str, max_age: Duration) -> Option<String> {
        text(self.open_encrypted(name, cookies.get(name)?)?, max_age)
    }

    /// The value of a signed cookie with this content.
    pub(crate) fn seal_signed(&self, name: &str, content: &[u8]) -> String {
        let mut value = String::from(SIGNED);
        BASE64.encode_string([&self.time()[..], content].concat(), &mut value);
        let payload = value.get(SIGNED.len()..).unwrap_or_default();
        let mac = self.first().mac(name, payload).finalize().into_bytes();
        value.push('.');
        BASE64.encode_string(mac, &mut value);
        value
    }

    /// The value of an encrypted cookie with this content.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    pub(crate) fn seal_encrypted(&self, name: &str, content: &[u8]) -> String {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).expect("the system has random bytes");
        let mut sealed = Vec::with_capacity(NONCE + TIME + content.len() + TAG);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&self.time());
        sealed.extend_from_slice(content);
        let plain = sealed.get_mut(NONCE..).unwrap_or_default();
        let cipher = &self.first().encryption;
        let tag = cipher
            .encrypt_inout_detached(&nonce.into(), &context(ENCRYPTED, name), plain.into())
            .expect("short enough for the cipher");
        sealed.extend_from_slice(&tag);
        let mut value = String::from(ENCRYPTED);
        BASE64.encode_string(sealed, &mut value);
        value
    }

    /// The content of a signed cookie, and its age.
    pub(crate) fn open_signed(&self, name: &str, value: &str) -> Option<(Vec<u8>, Duration)> {
        let (payload, mac) = value.strip_prefix(SIGNED)?.split_once('.')?;
        let mac = BASE64.decode(mac).ok()?;
        let is_valid = |keys: &Keys| keys.mac(name, payload).verify_slice(&mac).is_ok();
        self.keys.iter().any(is_valid).then_some(())?;
        self.content(BASE64.decode(payload).ok()?)
    }

    /// The content of an encrypted cookie, and its age.
    pub(crate) fn open_encrypted(&self, name: &str, value: &str) -> Option<(Vec<u8>, Duration)> {
        let mut sealed = BASE64.decode(value.strip_prefix(ENCRYPTED)?).ok()?;
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE>()?;
        let (plain, tag) = rest.split_last_chunk_mut::<TAG>()?;
        let (nonce, tag, context) = ((*nonce).into(), (*tag).into(), context(ENCRYPTED, name));
        let is_open = self.keys.iter().any(|keys| {
            let opened = keys.encryption.decrypt_inout_detached(
                &nonce,
                &context,
                (&mut *plain).into(),
                &tag,
            );
            opened.is_ok()
        });
        let end = NONCE + plain.len();
        is_open.then_some(())?;
        sealed.truncate(end);
        sealed.drain(..NONCE);
        self.content(sealed)
    }

    fn first(&self) -> &Keys {
        self.keys.first().expect("there is one from the start")
    }

    /// The seconds since 1970.
    fn seconds(&self) -> u64 {
        let since = (self.now)().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    fn time(&self) -> [u8; TIME] {
        self.seconds().to_be_bytes()
    }

    /// The content, and its age. One from the future is as old as one from now: clocks of servers differ.
    fn content(&self, mut plain: Vec<u8>) -> Option<(Vec<u8>, Duration)> {
        let time = u64::from_be_bytes(*plain.first_chunk::<TIME>()?);
        plain.drain(..TIME);
        let age = self.seconds().saturating_sub(time);
        Some((plain, Duration::from_secs(age)))
    }
}

/// The content as text, if it is not too old.
fn text((content, age): (Vec<u8>, Duration), max_age: Duration) -> Option<String> {
    let text = String::from_utf8(content).ok()?;
    (age.as_secs() <= max_age.as_secs()).then_some(text)
}

impl fmt::Debug for CookieKeys {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieKeys")
            .field("secrets", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl Keys {
    fn of(secret: &[u8]) -> Result<Keys, Error> {
        if secret.len() < SHORTEST {
            let text = format!(
                "a secret for cookies has at least {SHORTEST} random bytes, not {}",
                secret.len()
            );
            return Err(Error::new(ErrorKind::Secret, text));
        }
        let derived = |purpose: &str| {
            let mut mac = hmac(secret);
            mac.update(purpose.as_bytes());
            mac.finalize().into_bytes()
        };
        Ok(Keys {
            signing: hmac(&derived("enfilade cookies: sign")),
            encryption: XChaCha20Poly1305::new(&derived("enfilade cookies: encrypt")),
        })
    }

    fn mac(&self, name: &str, payload: &str) -> Hmac<Sha256> {
        let mut mac = self.signing.clone();
        mac.update(&context(SIGNED, name));
        mac.update(payload.as_bytes());
        mac
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// The kind of a value and the name of its cookie, which are authenticated with it. The length comes first, so that no two are
/// the same text.
fn context(kind: &str, name: &str) -> Vec<u8> {
    [
        kind.as_bytes(),
        &(name.len() as u64).to_be_bytes(),
        name.as_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use enfilade_core::Request;

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const OTHER: &[u8] = b"fedcba9876543210fedcba9876543210";
    const HOUR: Duration = Duration::from_secs(3_600);

    fn request(line: &str) -> Request {
        let mut request = Request::get("/");
        request
            .headers_mut()
            .insert("cookie", line.parse().unwrap());
        request
    }

    fn pair(cookie: &Cookie) -> String {
        let line = cookie.header_value().unwrap();
        line.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    /// Returns the values of both kinds, as read with these keys.
    fn both(keys: &CookieKeys, name: &str, line: &str) -> [Option<String>; 2] {
        let request = request(line);
        [
            keys.verify(request.cookies(), name, HOUR),
            keys.decrypt(request.cookies(), name, HOUR),
        ]
    }

    #[test]
    fn a_value_comes_back_and_only_as_what_it_was_made() {
        let keys = CookieKeys::new(SECRET).unwrap();
        for value in ["", "ada", "☃; \r\n\0 and = more"] {
            let signed = pair(&keys.signed("a", value));
            assert_eq!(both(&keys, "a", &signed), [Some(value.to_owned()), None]);
            let encrypted = pair(&keys.encrypted("a", value));
            assert_eq!(both(&keys, "a", &encrypted), [None, Some(value.to_owned())]);
            assert!(value.is_empty() || !encrypted.contains(value));
        }
        // Two of the same are not the same.
        assert_ne!(
            pair(&keys.encrypted("a", "x")),
            pair(&keys.encrypted("a", "x"))
        );
    }

    #[test]
    fn a_value_that_was_changed_is_none() {
        let keys = CookieKeys::new(SECRET).unwrap();
        for line in [
            pair(&keys.signed("a", "ada")),
            pair(&keys.encrypted("a", "ada")),
        ] {
            // Every character of it.
            for at in 2..line.len() {
                let mut changed = line.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                // The last character has bits that are not used, and which base64 rejects.
                assert_eq!(both(&keys, "a", &changed), [None, None], "{line} {changed}");
            }
            for cut in 2..line.len() {
                assert_eq!(both(&keys, "a", line.get(..cut).unwrap()), [None, None]);
            }
        }
    }

    #[test]
    fn a_value_belongs_to_its_name_and_its_keys() {
        let keys = CookieKeys::new(SECRET).unwrap();
        let others = CookieKeys::new(OTHER).unwrap();
        let rotated = CookieKeys::new(OTHER).unwrap().and_earlier(SECRET).unwrap();
        for (at, cookie) in [keys.signed("a", "ada"), keys.encrypted("a", "ada")]
            .iter()
            .enumerate()
        {
            let line = pair(cookie);
            // The same value under another name.
            let moved = format!("ab{}", line.strip_prefix('a').unwrap());
            assert_eq!(both(&keys, "ab", &moved), [None, None]);
            assert_eq!(both(&others, "a", &line), [None, None]);
            assert_eq!(both(&rotated, "a", &line)[at].as_deref(), Some("ada"));
        }
        let new = pair(&rotated.signed("a", "ada"));
        assert_eq!(both(&others, "a", &new)[0].as_deref(), Some("ada"));
        assert_eq!(both(&keys, "a", &new), [None, None]);
    }

    #[test]
    fn a_value_is_valid_for_a_time() {
        let now = Arc::new(AtomicU64::new(1_000_000));
        let clock = now.clone();
        let keys = CookieKeys::new(SECRET).unwrap();
        let keys =
            keys.clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed)));
        let lines = [
            pair(&keys.signed("a", "ada")),
            pair(&keys.encrypted("a", "ada")),
        ];
        for (time, is_valid) in [(999_000, true), (1_003_600, true), (1_003_601, false)] {
            now.store(time, Ordering::Relaxed);
            for (at, line) in lines.iter().enumerate() {
                assert_eq!(both(&keys, "a", line)[at].is_some(), is_valid, "{time}");
            }
        }
    }

    #[test]
    fn a_short_secret_is_an_error_and_none_is_shown() {
        let error = CookieKeys::new(&[0; 31]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Secret);
        assert_eq!(
            error.to_string(),
            "a secret for cookies has at least 32 random bytes, not 31"
        );
        let keys = CookieKeys::new(SECRET).unwrap();
        assert!(keys.clone().and_earlier(b"short").is_err());
        assert_eq!(format!("{keys:?}"), "CookieKeys { secrets: 1, .. }");
    }
}
