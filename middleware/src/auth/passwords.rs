//! Names and passwords in memory.

use std::collections::HashMap;
use std::fmt;

use enfilade_core::{Eventual, HttpError};
use subtle::ConstantTimeEq;

use super::basic::PasswordCheck;
use super::identity::Identity;
use crate::shared::keyed_hash::KeyedHash;

/// A few names and passwords in memory, for [`Basic`](crate::Basic).
///
/// For tests, and for passwords that come from the environment or from a secret store. Only keyed hashes are kept, and
/// they are compared in constant time, for unknown names too. Passwords of users belong into a file or a database, as slow
/// hashes: see `Htpasswd`.
#[derive(Clone, Default)]
#[must_use = "passwords do nothing until Basic asks for them"]
pub struct Passwords {
    hash: KeyedHash,
    users: HashMap<String, ([u8; 32], Identity)>,
}

impl Passwords {
    /// No names, so no one can log in.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    pub fn new() -> Passwords {
        Passwords::default()
    }

    /// Adds a name and its password, in place of an earlier one.
    pub fn user(self, name: &str, password: &str) -> Passwords {
        self.identity(Identity::new(name), password)
    }

    /// Adds an identity, such as one with groups, and the password of its name.
    pub fn identity(mut self, identity: Identity, password: &str) -> Passwords {
        let hash = self.hash.of(password.as_bytes());
        self.users
            .insert(identity.name().to_owned(), (hash, identity));
        self
    }
}

impl PasswordCheck for Passwords {
    fn check(&self, user: &str, password: &str) -> Eventual<Result<Option<Identity>, HttpError>> {
        let sent = self.hash.of(password.as_bytes());
        let known = self.users.get(user);
        let expected = known.map_or([0; 32], |(hash, _)| *hash);
        let is_right = bool::from(sent.ct_eq(&expected));
        let identity = known
            .filter(|_| is_right)
            .map(|(_, identity)| identity.clone());
        Eventual::new(Ok(identity))
    }
}

/// Shows no hashes.
impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}
