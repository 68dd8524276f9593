//! Hashes that are worth nothing outside of this process.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA-256 with a random key: equal texts have equal hashes here, and no table of them can be made.
#[derive(Clone)]
pub(crate) struct KeyedHash(Hmac<Sha256>);

impl Default for KeyedHash {
    /// A hash with a new key.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    fn default() -> KeyedHash {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system has random bytes");
        let hash = <Hmac<Sha256> as KeyInit>::new_from_slice(&key);
        KeyedHash(hash.expect("HMAC takes keys of any length"))
    }
}

impl KeyedHash {
    pub(crate) fn of(&self, text: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(text);
        mac.finalize().into_bytes().into()
    }
}
