//! Quotas in memory, for a limited number of keys.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::time::Duration;

use enfilade_core::unpoisoned;

use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, UnitWeighter};

use super::store::{QuotaRequest, QuotaResult, QuotaStore};
use super::{Quota, QuotaKey, QuotaState};

/// From this number of keys on, the cache has shards with separate locks.
const IN_PARTS: usize = 1024;
const PARTS: usize = 16;

/// The time at which each key's quota is complete again, in nanoseconds.
pub(super) struct Buckets {
    parts: Box<[Mutex<Shard>]>,
    /// Two hashers, because two keys can have the same 64-bit hash.
    hashers: [RandomState; 2],
    max_keys: usize,
}

/// Keys are hashes that clients cannot predict, so all entries have the same size and contain no secrets.
type Shard = Cache<[u64; 2], u64, UnitWeighter, foldhash::fast::RandomState>;

impl Buckets {
    /// Keeps at most this many keys, and at least one.
    pub(super) fn new(max_keys: usize) -> Buckets {
        let parts = if max_keys < IN_PARTS { 1 } else { PARTS };
        let part = |_| Mutex::new(part((max_keys / parts).max(1)));
        Buckets {
            parts: (0..parts).map(part).collect(),
            hashers: [RandomState::new(), RandomState::new()],
            max_keys,
        }
    }

    pub(super) fn max_keys(&self) -> usize {
        self.max_keys
    }

    pub(super) fn draw(&self, key: &QuotaKey, quota: &Quota, now: Duration) -> QuotaState {
        let hash = [self.hashers[0].hash_one(key), self.hashers[1].hash_one(key)];
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let at = usize::try_from(hash[0] % self.parts.len() as u64).unwrap_or(0);
        // A panic never leaves an entry half changed.
        let mut part = unpoisoned(self.parts[at].lock());
        let draw = |full_at: u64| {
            let (state, debt) = quota.draw(Duration::from_nanos(full_at.saturating_sub(now)));
            let debt = u64::try_from(debt.as_nanos()).unwrap_or(u64::MAX);
            (state, now.saturating_add(debt))
        };
        if let Some(mut full_at) = part.get_mut(&hash) {
            let (state, next) = draw(*full_at);
            *full_at = next;
            return state;
        }
        let (state, next) = draw(0);
        part.insert(hash, next);
        state
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let parts = self.parts.iter();
        parts.map(|part| part.lock().unwrap().len()).sum()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let parts = self.parts.iter();
        parts
            .map(|part| part.lock().unwrap().memory_used().total())
            .sum()
    }
}

fn part(keys: usize) -> Shard {
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(keys)
        .weight_capacity(keys as u64)
        .build()
        .expect("both capacities are given");
    let hasher = foldhash::fast::RandomState::default();
    Cache::with_options(options, UnitWeighter, hasher, DefaultLifecycle::default())
}

impl QuotaStore for Buckets {
    fn take(&self, ask: &QuotaRequest<'_>) -> QuotaResult {
        self.draw(ask.key(), ask.quota(), ask.now()).into()
    }
}
