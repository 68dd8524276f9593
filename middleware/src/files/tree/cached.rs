//! Keeps what a tree has found.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{Description, OptionValue};
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::FileTree;
use super::TreeReply;
use super::entry::{Entry, FileEntry, ListedEntry};
use super::path::TreePath;
use crate::shared::monotonic::Timer;

/// What is kept for a path besides content, approximately, in bytes.
const OVERHEAD: u64 = 512;
/// The maximum number of files that are kept open: a program may often have 1,024 descriptors.
const OPEN: u64 = 256;
/// Longer paths are not kept, in bytes.
const MAX_PATH: usize = 1024;
/// From this size on a cache has shards with separate locks; an entry is never larger than a shard.
const IN_PARTS: u64 = 16 * 1024 * 1024;
const PARTS: usize = 4;

/// Keeps what a tree has found: the content of small files, open files, directories, and paths at which nothing is.
///
/// A request for what is kept costs no call of the system and no hop to another thread. After a second, by default, the
/// next request for a path looks again, and the ones at the same time get what is kept. Content stays while the tag, the
/// time and the length of its file do.
///
/// The files of a tree in memory need no cache.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::time::Duration;
///
/// use enfilade::Application;
/// use enfilade::middleware::{CachedTree, DiskTree, Files};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let tree = CachedTree::new(DiskTree::open("src")?, 8 * 1024 * 1024).check_after(Duration::from_secs(5));
/// let client = Client::new(Application::new(Files::new(tree)));
/// let (first, again) = (client.get("/lib.rs").send(), client.get("/lib.rs").send());
/// assert_eq!(first.text(), again.text());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CachedTree {
    tree: Arc<dyn FileTree>,
    kept: Arc<Cache<Box<str>, Kept, Weight, RandomState>>,
    bytes: u64,
    file_limit: u64,
    check_after: Duration,
    timer: Timer,
}

/// What a tree had at a path.
#[derive(Clone)]
struct Kept {
    entry: Option<Entry>,
    /// When the tree was last asked, in nanoseconds of the timer.
    checked: Arc<AtomicU64>,
    weight: u64,
}

impl Kept {
    /// Whether this request need not look again; of several at the same time, one has to.
    fn is_fresh(&self, now: Duration, check_after: Duration) -> bool {
        let checked = self.checked.load(Ordering::Relaxed);
        let age = now.saturating_sub(Duration::from_nanos(checked));
        let is_checked_elsewhere = || {
            let swapped = self.checked.compare_exchange(
                checked,
                nanoseconds(now),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            swapped.is_err()
        };
        age < check_after || is_checked_elsewhere()
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Clone)]
struct Weight;

impl Weighter<Box<str>, Kept> for Weight {
    fn weight(&self, path: &Box<str>, kept: &Kept) -> u64 {
        OVERHEAD + path.len() as u64 + kept.weight
    }
}

impl CachedTree {
    /// Keeps what `tree` has found in at most this many bytes.
    ///
    /// An open file counts as a 256th of them, so that never more than 256 files are kept open.
    #[must_use]
    pub fn new(tree: impl FileTree, bytes: u64) -> CachedTree {
        let bytes = bytes.max(PARTS as u64);
        CachedTree {
            tree: Arc::new(tree),
            kept: Arc::new(cache(bytes)),
            bytes,
            file_limit: 256 * 1024,
            check_after: Duration::from_secs(1),
            timer: Timer::default(),
        }
    }

    /// Sets the maximum length of files whose content is kept, in bytes; 256 KiB by default. Longer ones are kept open.
    #[must_use]
    pub fn file_limit(mut self, bytes: u64) -> CachedTree {
        self.file_limit = bytes;
        self
    }

    /// Sets for how long what is kept is used before the tree is asked again; one second by default.
    ///
    /// A changed file is served as it was for that long. `Duration::ZERO` asks each time, which keeps only contents, and
    /// `Duration::MAX` never, for trees that do not change.
    #[must_use]
    pub fn check_after(mut self, time: Duration) -> CachedTree {
        self.check_after = time;
        self
    }

    /// Sets the clock, which returns the time since any moment; the system's by default.
    #[must_use]
    pub fn clock(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> CachedTree {
        self.timer = Timer::new(elapsed);
        self
    }

    /// Looks into the tree, and keeps what is there.
    async fn load(
        self,
        path: Box<str>,
        known: Option<Entry>,
        found: TreeReply<Option<Entry>>,
    ) -> std::io::Result<Option<Entry>> {
        let checked = Arc::new(AtomicU64::new(nanoseconds(self.timer.now())));
        let entry = match (found.wait().await?, known) {
            (Some(Entry::File(file)), Some(Entry::File(known))) if file.is_same(&known) => {
                Some(Entry::File(known))
            }
            (Some(Entry::File(file)), _) => Some(Entry::File(self.read(file).await)),
            (entry, _) => entry,
        };
        let weight = match &entry {
            Some(Entry::File(file)) if file.is_in_memory() => file.len(),
            Some(Entry::File(_)) => self.bytes / OPEN,
            _ => 0,
        };
        let kept = Kept {
            entry: entry.clone(),
            checked,
            weight,
        };
        if path.len() <= MAX_PATH {
            self.kept.insert(path, kept);
        }
        Ok(entry)
    }

    /// The file with its content in memory, if it is small and can be read as a whole.
    async fn read(&self, file: FileEntry) -> FileEntry {
        let limit = usize::try_from(self.file_limit).unwrap_or(usize::MAX);
        if file.len() > self.file_limit || file.is_in_memory() || file.has_encodings() {
            return file;
        }
        match file.body().collect(limit).await {
            // A copy: what was read may be a part of a larger buffer.
            Ok(content) => file.with_content(Bytes::copy_from_slice(&content)),
            // It became shorter: the response has to show it.
            Err(_) => file,
        }
    }
}

/// A cache of this many bytes, at least one for each shard.
fn cache(bytes: u64) -> Cache<Box<str>, Kept, Weight, RandomState> {
    let items = usize::try_from(bytes / 16_384).unwrap_or(usize::MAX);
    let options = OptionsBuilder::new()
        .shards(if bytes < IN_PARTS { 1 } else { PARTS })
        .estimated_items_capacity(items.clamp(16, 65_536))
        // The cache rounds the size of a shard up.
        .weight_capacity(bytes - bytes % PARTS as u64)
        .build()
        .expect("both capacities are given");
    let lifecycle = DefaultLifecycle::default();
    Cache::with_options(options, Weight, RandomState::default(), lifecycle)
}

impl FileTree for CachedTree {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        let kept = self.kept.get(path.as_str());
        let known = match kept {
            Some(kept) if kept.is_fresh(self.timer.now(), self.check_after) => {
                return TreeReply::new(Ok(kept.entry));
            }
            Some(kept) => kept.entry,
            None => None,
        };
        let found = self.tree.look_up(path);
        TreeReply::from_future(self.clone().load(path.as_str().into(), known, found))
    }

    fn list(&self, path: &TreePath<'_>, limit: usize) -> TreeReply<Option<Vec<ListedEntry>>> {
        self.tree.list(path, limit)
    }

    fn describe(&self) -> Description {
        Description::new("CachedTree")
            .option("bytes", OptionValue::size(self.bytes))
            .option("file_limit", OptionValue::size(self.file_limit))
            .option("check_after", self.check_after)
            .child("", self.tree.describe())
    }
}

impl fmt::Debug for CachedTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedTree")
            .field("bytes", &self.bytes)
            .field("file_limit", &self.file_limit)
            .field("check_after", &self.check_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    use enfilade_core::conditional::EntityTag;
    use pollster::block_on;

    use super::*;

    /// One file, whose version a test sets; it counts how often it is asked.
    #[derive(Default)]
    struct Versions {
        version: AtomicUsize,
        asked: AtomicUsize,
        fails: Mutex<bool>,
    }

    impl FileTree for Versions {
        fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if *self.fails.lock().unwrap() {
                return TreeReply::new(Err(io::Error::other("disk")));
            }
            let version = self.version.load(Ordering::Relaxed);
            if version == 0 || path.is_root() {
                return TreeReply::new(Ok(None));
            }
            let content = Bytes::from(vec![b'0' + version as u8; 10]);
            let file = FileEntry::new(Arc::new(content), 10);
            let tag = EntityTag::weak(version.to_string()).unwrap();
            TreeReply::new(Ok(Some(Entry::File(file.tag(tag)))))
        }

        fn describe(&self) -> Description {
            Description::new("Versions")
        }
    }

    fn cached(bytes: u64) -> (Arc<Versions>, Arc<AtomicU64>, CachedTree) {
        let (versions, now) = (Arc::new(Versions::default()), Arc::new(AtomicU64::new(0)));
        let clock = now.clone();
        let tree = CachedTree::new(versions.clone(), bytes);
        let tree = tree.clock(move || Duration::from_millis(clock.load(Ordering::Relaxed)));
        (versions, now, tree)
    }

    fn look(tree: &CachedTree, path: &str) -> Option<(String, bool)> {
        let path = TreePath::new(path).unwrap();
        let found = block_on(tree.look_up(&path).wait()).unwrap();
        found.map(|entry| match entry {
            Entry::File(file) => {
                let content = block_on(file.body().collect(100)).unwrap();
                (
                    String::from_utf8(content.to_vec()).unwrap(),
                    file.is_in_memory(),
                )
            }
            Entry::Directory => panic!("a directory"),
        })
    }

    #[test]
    fn what_is_kept_is_used_until_it_is_checked_again() {
        let (versions, now, tree) = cached(1 << 20);
        let asked = || versions.asked.load(Ordering::Relaxed);
        assert_eq!(look(&tree, "/a"), None);
        versions.version.store(1, Ordering::Relaxed);
        assert_eq!((look(&tree, "/a"), asked()), (None, 1));
        now.store(1_000, Ordering::Relaxed);
        let one = Some(("1111111111".to_owned(), true));
        assert_eq!((look(&tree, "/a"), asked()), (one.clone(), 2));
        assert_eq!((look(&tree, "/a"), asked()), (one.clone(), 2));
        now.store(2_000, Ordering::Relaxed);
        assert_eq!((look(&tree, "/a"), asked()), (one.clone(), 3));
        versions.version.store(2, Ordering::Relaxed);
        now.store(2_999, Ordering::Relaxed);
        assert_eq!((look(&tree, "/a"), asked()), (one, 3));
        now.store(3_000, Ordering::Relaxed);
        let two = Some(("2222222222".to_owned(), true));
        assert_eq!((look(&tree, "/a"), asked()), (two.clone(), 4));
        now.store(4_000, Ordering::Relaxed);
        *versions.fails.lock().unwrap() = true;
        let path = TreePath::new("/a").unwrap();
        assert!(block_on(tree.look_up(&path).wait()).is_err());
        // While one request asks again, and it has failed, others get what is kept.
        assert_eq!(look(&tree, "/a"), two);
    }

    #[test]
    fn a_long_file_is_kept_open_and_a_small_cache_keeps_little() {
        let (versions, _, tree) = cached(64 * 1024);
        versions.version.store(1, Ordering::Relaxed);
        let tree = tree.file_limit(9);
        assert_eq!(look(&tree, "/a"), Some(("1111111111".to_owned(), false)));
        for number in 0..10_000 {
            look(&tree, &format!("/{number}"));
        }
        assert!(tree.kept.weight() <= 64 * 1024);
        assert!(tree.kept.len() <= 256);
        let long = format!("/{}", "n".repeat(2_000));
        look(&tree, &long);
        assert!(tree.kept.get(long.trim_start_matches('/')).is_none());
    }
}
