//! What is in the cookie of a session: an ID, or the whole session.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

use super::open::{Kept, Record};
use super::store::SessionKey;
use super::{Keeper, Sessions};

/// The length of an ID, in bytes.
const ID: usize = 16;
/// The maximum length of the name and the value of a cookie, in bytes.
const COOKIE: usize = 4_096;
/// What encryption adds to a record, in characters: a prefix, and a nonce, a time and a tag in base64. A signature adds less.
const SEAL: usize = 72;

/// A new ID, and its key.
///
/// # Panics
///
/// Panics if the system has no random bytes.
pub(super) fn new_id() -> (String, SessionKey) {
    let mut id = [0; ID];
    getrandom::fill(&mut id).expect("the system has random bytes");
    (BASE64.encode(id), SessionKey::of_id(&id))
}

/// The key of the ID in a cookie; `None` if it is not an ID.
pub(super) fn key_of(value: &str) -> Option<SessionKey> {
    let id: [u8; ID] = BASE64.decode(value).ok()?.try_into().ok()?;
    Some(SessionKey::of_id(&id))
}

/// How many bytes of values a cookie can hold: base64 makes 4 characters of 3 bytes.
pub(super) fn capacity(name: &str) -> usize {
    COOKIE.saturating_sub(name.len() + SEAL) / 4 * 3 - Record::HEAD
}

impl Sessions {
    /// The session in a sealed cookie.
    pub(super) fn unseal(&self, value: &str) -> Option<(Record, Kept)> {
        let name = self.cookie.name();
        let (content, age) = match &self.keeper {
            Keeper::Encrypted(keys) => keys.open_encrypted(name, value)?,
            Keeper::Signed(keys) => keys.open_signed(name, value)?,
            Keeper::Store(_) => return None,
        };
        let kept = Kept {
            stored: None,
            time_left: self
                .idle
                .checked_sub(age)
                .filter(|left| *left > Duration::ZERO)?,
        };
        Some((Record::parse(&content.into())?, kept))
    }

    /// The value of a cookie with the whole session; `None` if it is in a store.
    pub(super) fn seal(&self, record: &Record) -> Option<String> {
        let (name, content) = (self.cookie.name(), record.to_bytes());
        match &self.keeper {
            Keeper::Encrypted(keys) => Some(keys.seal_encrypted(name, &content)),
            Keeper::Signed(keys) => Some(keys.seal_signed(name, &content)),
            Keeper::Store(_) => None,
        }
    }
}
