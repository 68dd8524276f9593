//! Sessions in the memory of this process.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Description, unpoisoned};
use foldhash::fast::FixedState;

use super::store::{SessionKey, SessionStore, StoreReply, StoredSession, Updated};
use crate::shared::monotonic::Timer;

/// How many parts the store has, each with its own lock.
const SHARDS: usize = 16;
/// How many sessions are compared to find one that makes room.
const SAMPLES: usize = 8;

/// Sessions in the memory of this process, up to a number.
///
/// They end with the process, and other processes do not see them. If the store is full, a new session takes the place of
/// one whose time is over, or else of one that was not used for long: the best of a few that are compared. So a flood of
/// new sessions ends the sessions that are not used.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{MemorySessions, Session, Sessions};
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| -> Result<String, HttpError> {
///     let visits = Session::load_now(&request)?.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)?;
///     Ok(visits.to_string())
/// });
/// let client = Client::new(app.wrap(Sessions::new(MemorySessions::new(100_000))));
///
/// let first = client.get("/").send();
/// let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap();
/// assert_eq!(client.get("/").header("cookie", cookie).send().text(), "2");
/// ```
#[derive(Clone)]
pub struct MemorySessions(Arc<Inner>);

struct Inner {
    shards: Vec<Mutex<Shard>>,
    /// The maximum number of sessions in a shard.
    capacity: usize,
    versions: AtomicU64,
    timer: Timer,
}

#[derive(Default)]
struct Shard {
    sessions: Vec<Entry>,
    places: HashMap<SessionKey, u32, FixedState>,
}

struct Entry {
    key: SessionKey,
    version: u64,
    /// The end of its time, on the store's clock, in milliseconds.
    end: u64,
    content: Bytes,
}

impl MemorySessions {
    /// Keeps at most `sessions` sessions. One takes some 200 bytes beside its content.
    #[must_use]
    pub fn new(sessions: usize) -> MemorySessions {
        MemorySessions::with_timer(sessions, Timer::default())
    }

    fn with_timer(sessions: usize, timer: Timer) -> MemorySessions {
        let shards = if sessions < SHARDS * SAMPLES {
            1
        } else {
            SHARDS
        };
        MemorySessions(Arc::new(Inner {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            capacity: sessions.div_ceil(shards).clamp(1, u32::MAX as usize),
            versions: AtomicU64::new(1),
            timer,
        }))
    }

    /// The number of sessions, including those whose time is over and whose place was not needed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        let lengths = self.0.shards.iter();
        lengths
            .map(|shard| unpoisoned(shard.lock()).sessions.len())
            .sum()
    }

    /// Whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the clock, which is a time since some moment; that of the system by default.
    #[must_use]
    pub fn clock(self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> MemorySessions {
        let sessions = self.0.capacity.saturating_mul(self.0.shards.len());
        MemorySessions::with_timer(sessions, Timer::new(elapsed))
    }

    /// Calls a function with the shard of a key and the time.
    fn with<T>(&self, key: &SessionKey, function: impl FnOnce(&mut Shard, u64) -> T) -> T {
        let now = milliseconds(self.0.timer.now());
        // The key is a hash, so any of its bytes will do.
        let at = usize::from(key.as_bytes()[31]) % self.0.shards.len();
        let shard = self.0.shards.get(at).expect("a remainder");
        let shard = &mut *unpoisoned(shard.lock());
        function(shard, now)
    }

    fn next_version(&self) -> u64 {
        self.0.versions.fetch_add(1, Ordering::Relaxed)
    }
}

impl Shard {
    /// The session of a key, unless its time is over.
    fn find(&mut self, key: &SessionKey, now: u64) -> Option<&mut Entry> {
        let place = *self.places.get(key)?;
        let entry = self.sessions.get_mut(place as usize)?;
        (entry.end > now).then_some(entry)
    }

    fn insert(&mut self, entry: Entry, capacity: usize, now: u64) {
        self.remove(&entry.key);
        if self.sessions.len() >= capacity {
            let evicted = self.oldest(&entry.key, now);
            self.remove(&evicted);
        }
        let place = u32::try_from(self.sessions.len()).expect("not more than the capacity");
        self.places.insert(entry.key, place);
        self.sessions.push(entry);
    }

    fn remove(&mut self, key: &SessionKey) -> Option<Entry> {
        let place = self.places.remove(key)?;
        let removed = self.sessions.swap_remove(place as usize);
        if let Some(moved) = self.sessions.get(place as usize) {
            self.places.insert(moved.key, place);
        }
        Some(removed)
    }

    /// Of a few sessions, the one whose time ends first. The key of the new session is random enough to choose them.
    fn oldest(&self, new: &SessionKey, now: u64) -> SessionKey {
        let (start, _) = new.as_bytes().split_first_chunk().expect("32 bytes");
        let start = usize::from_be_bytes(*start);
        let samples = (0..SAMPLES).filter_map(|step| {
            let at = start.wrapping_add(step.wrapping_mul(0x9e37_79b9)) % self.sessions.len();
            self.sessions.get(at)
        });
        let oldest = samples.min_by_key(|entry| entry.end.saturating_sub(now));
        oldest.map_or(*new, |entry| entry.key)
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl SessionStore for MemorySessions {
    fn load(&self, key: &SessionKey) -> StoreReply<Option<StoredSession>> {
        let found = self.with(key, |shard, now| {
            let entry = shard.find(key, now)?;
            let left = Duration::from_millis(entry.end - now);
            Some(StoredSession::new(
                entry.content.clone(),
                entry.version,
                left,
            ))
        });
        StoreReply::new(Ok(found))
    }

    fn create(&self, key: &SessionKey, content: Bytes, time: Duration) -> StoreReply<bool> {
        let version = self.next_version();
        let is_new = self.with(key, |shard, now| {
            if shard.find(key, now).is_some() {
                return false;
            }
            let entry = Entry {
                key: *key,
                version,
                end: now.saturating_add(milliseconds(time)),
                content,
            };
            shard.insert(entry, self.0.capacity, now);
            true
        });
        StoreReply::new(Ok(is_new))
    }

    fn update(
        &self,
        key: &SessionKey,
        version: u64,
        content: Bytes,
        time: Duration,
    ) -> StoreReply<Updated> {
        let next = self.next_version();
        let updated = self.with(key, |shard, now| match shard.find(key, now) {
            None => Updated::Missing,
            Some(entry) if entry.version != version => Updated::Conflict,
            Some(entry) => {
                entry.version = next;
                entry.end = now.saturating_add(milliseconds(time));
                entry.content = content;
                Updated::Saved
            }
        });
        StoreReply::new(Ok(updated))
    }

    fn touch(&self, key: &SessionKey, time: Duration) -> StoreReply<bool> {
        let is_there = self.with(key, |shard, now| {
            let entry = shard.find(key, now);
            entry.is_some_and(|entry| {
                entry.end = now.saturating_add(milliseconds(time));
                true
            })
        });
        StoreReply::new(Ok(is_there))
    }

    fn remove(&self, key: &SessionKey) -> StoreReply<bool> {
        let is_there = self.with(key, |shard, now| {
            shard.remove(key).is_some_and(|entry| entry.end > now)
        });
        StoreReply::new(Ok(is_there))
    }

    fn describe(&self) -> Description {
        let sessions = self.0.capacity.saturating_mul(self.0.shards.len());
        Description::new("MemorySessions").option("limit", sessions)
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe().to_line())
    }
}
