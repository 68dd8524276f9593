//! Where sessions are kept.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{BoxError, Description, Eventual};
use sha2::{Digest, Sha256};

/// Keeps sessions: in memory, in a database, on another machine.
///
/// Each operation is one round trip, and atomic. It runs on the event loop, so it must not block: a store that takes time
/// returns [`Eventual::from_future`]. The content of a session is opaque; a store keeps it as it is, with a version that
/// changes with each update, and for a time.
///
/// An error is a failure of the store, such as a lost connection; see [`Sessions`](crate::Sessions) for what follows.
/// [`check_session_store`](crate::check_session_store), with the feature `laws`, tests an implementation.
pub trait SessionStore: Send + Sync + 'static {
    /// Returns a session that was created, not removed, and whose time is not over.
    fn load(&self, key: &SessionKey) -> StoreReply<Option<StoredSession>>;

    /// Keeps a new session for this time. Returns false, and changes nothing, if the key exists.
    fn create(&self, key: &SessionKey, content: Bytes, time: Duration) -> StoreReply<bool>;

    /// Replaces the content, if the session still has this version, and starts its time anew.
    ///
    /// A session that was removed stays removed.
    fn update(
        &self,
        key: &SessionKey,
        version: u64,
        content: Bytes,
        time: Duration,
    ) -> StoreReply<Updated>;

    /// Starts the time of a session anew; its version stays. Returns false if there is no such session.
    fn touch(&self, key: &SessionKey, time: Duration) -> StoreReply<bool>;

    /// Removes a session. Returns false if there is no such session.
    fn remove(&self, key: &SessionKey) -> StoreReply<bool>;

    /// Describes the store, for the printed stack.
    fn describe(&self) -> Description;
}

/// The result of a [`SessionStore`]: at once if it is in memory, or later.
pub type StoreReply<T> = Eventual<Result<T, BoxError>>;

/// The key of a session in its store: the SHA-256 of its ID.
///
/// The ID itself is only in the client's cookie. Who can read the store cannot use the sessions in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The key of the session with this ID.
    #[must_use]
    pub fn of_id(id: &[u8]) -> SessionKey {
        SessionKey(Sha256::digest(id).into())
    }

    /// The key as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Hexadecimal, for stores whose keys are text.
impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first bytes: enough to find a session, not to use it.
impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "SessionKey({}..)", text.get(..8).unwrap_or_default())
    }
}

/// A session as its store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSession {
    /// The content, as it was given to the store.
    pub content: Bytes,
    /// Another number after each update.
    pub version: u64,
    /// The time that is left.
    pub time_left: Duration,
}

impl StoredSession {
    /// A session with this content and version, and the time that is left.
    #[must_use]
    pub fn new(content: Bytes, version: u64, time_left: Duration) -> StoredSession {
        StoredSession {
            content,
            version,
            time_left,
        }
    }
}

/// The result of [`SessionStore::update`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a store has no other result")]
pub enum Updated {
    /// The session has the new content.
    Saved,
    /// Another request updated it: it has another version.
    Conflict,
    /// There is no such session.
    Missing,
}

impl<T: SessionStore + ?Sized> SessionStore for Arc<T> {
    fn load(&self, key: &SessionKey) -> StoreReply<Option<StoredSession>> {
        (**self).load(key)
    }

    fn create(&self, key: &SessionKey, content: Bytes, time: Duration) -> StoreReply<bool> {
        (**self).create(key, content, time)
    }

    fn update(
        &self,
        key: &SessionKey,
        version: u64,
        content: Bytes,
        time: Duration,
    ) -> StoreReply<Updated> {
        (**self).update(key, version, content, time)
    }

    fn touch(&self, key: &SessionKey, time: Duration) -> StoreReply<bool> {
        (**self).touch(key, time)
    }

    fn remove(&self, key: &SessionKey) -> StoreReply<bool> {
        (**self).remove(key)
    }

    fn describe(&self) -> Description {
        (**self).describe()
    }
}
