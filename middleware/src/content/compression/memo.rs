//! A cache of compressed bodies, so that repeated content is compressed once.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use super::pool::EncoderPool;
use crate::content::coding::Coding;

/// The approximate size of an entry besides its content, in bytes.
const OVERHEAD: u64 = 256;
/// The number of contents that are remembered after one use.
const SEEN: usize = 1024;
/// The typical size of an entry's content; used only to size a table.
const TYPICAL: u64 = 16 * 1024;
/// From this size on a memo has shards with separate locks; an entry is never larger than a shard.
const IN_PARTS: u64 = 16 * 1024 * 1024;
const PARTS: usize = 4;

/// How often a [`Compression`](crate::Compression) found content in its memo, and the size of the memo.
///
/// Without a memo all values are zero.
#[derive(Clone)]
pub struct MemoUsage(pub(super) Option<Arc<Memo>>);

impl MemoUsage {
    /// Returns how often the content was found.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.count(|memo| memo.hits.load(Ordering::Relaxed))
    }

    /// Returns how often the content was not found and had to be compressed.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.count(|memo| memo.misses.load(Ordering::Relaxed))
    }

    /// Returns the current size of the memo in bytes: plain and compressed content, and the keys.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.count(|memo| memo.cache.weight())
    }

    fn count(&self, of: impl FnOnce(&Memo) -> u64) -> u64 {
        self.0.as_deref().map_or(0, of)
    }
}

impl fmt::Debug for MemoUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoUsage")
            .field("hits", &self.hits())
            .field("misses", &self.misses())
            .field("bytes", &self.bytes())
            .finish()
    }
}

/// A bounded cache from content to compressed content.
pub(super) struct Memo {
    cache: Cache<Key, Bytes, Weight, RandomState>,
    hasher: RandomState,
    /// Hashes of contents that were seen once, each at the index that it determines.
    seen: Box<[AtomicU64]>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Whether content that is not in the memo is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    First,
    Second,
}

impl Memo {
    /// Makes a memo that never holds more than this many bytes.
    pub(super) fn new(bytes: u64) -> Memo {
        let items = usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(if bytes < IN_PARTS { 1 } else { PARTS })
            .estimated_items_capacity(items.clamp(16, 65_536))
            // The cache rounds the size of a shard up.
            .weight_capacity(bytes - bytes % PARTS as u64)
            .build()
            .expect("both capacities are given");
        let lifecycle = DefaultLifecycle::default();
        Memo {
            cache: Cache::with_options(options, Weight, RandomState::default(), lifecycle),
            hasher: RandomState::default(),
            seen: (0..SEEN).map(|_| AtomicU64::new(0)).collect(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Returns the compressed content, or a slot in which to keep it.
    pub(super) fn find(
        self: &Arc<Memo>,
        pool: &EncoderPool,
        content: &Bytes,
    ) -> Result<Bytes, MemoMiss> {
        let lookup = LookupKey {
            hash: self.hasher.hash_one(&content[..]),
            coding: pool.coding(),
            content,
        };
        if let Some(compressed) = self.cache.get(&lookup) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(compressed);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(lookup.hash % SEEN as u64).unwrap_or(0);
        let before = self.seen[place].swap(lookup.hash, Ordering::Relaxed);
        Err(MemoMiss {
            hash: lookup.hash,
            coding: lookup.coding,
            sight: if before == lookup.hash {
                Sighting::Second
            } else {
                Sighting::First
            },
            memo: self.clone(),
        })
    }
}

/// Content that was not found.
pub(super) struct MemoMiss {
    hash: u64,
    coding: Coding,
    sight: Sighting,
    memo: Arc<Memo>,
}

impl MemoMiss {
    /// Keeps the compressed content if the content was seen before: most content is never sent again.
    pub(super) fn keep(self, content: &Bytes, compressed: &Bytes) {
        if self.sight == Sighting::First {
            return;
        }
        // Copied, because a part of a larger buffer would keep all of it in memory.
        let key = Key {
            hash: self.hash,
            coding: self.coding,
            content: Bytes::copy_from_slice(content),
        };
        self.memo
            .cache
            .insert(key, Bytes::copy_from_slice(compressed));
    }
}

struct Key {
    hash: u64,
    coding: Coding,
    content: Bytes,
}

struct LookupKey<'a> {
    hash: u64,
    coding: Coding,
    content: &'a [u8],
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for LookupKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        (self.hash, self.coding) == (other.hash, other.coding) && self.content == other.content
    }
}

impl Eq for Key {}

impl Equivalent<Key> for LookupKey<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        (self.hash, self.coding) == (key.hash, key.coding) && self.content == key.content
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Bytes> for Weight {
    fn weight(&self, key: &Key, compressed: &Bytes) -> u64 {
        key.content.len() as u64 + compressed.len() as u64 + OVERHEAD
    }
}
