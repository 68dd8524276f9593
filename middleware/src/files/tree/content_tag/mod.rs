//! The tags of files whose content decides: a hash of it.
//!
//! With the feature `strong-etags` it is SHA-256 and the tag is strong. Otherwise it is a fast hash, for which content with a
//! given tag can be made, so the tag is weak.

#[cfg(feature = "strong-etags")]
mod strong;
// The tests have all features.
#[cfg(any(test, not(feature = "strong-etags")))]
mod weak;

use enfilade_core::conditional::EntityTag;

#[cfg(feature = "strong-etags")]
use self::strong::Hash;
#[cfg(not(feature = "strong-etags"))]
use self::weak::Hash;

/// The content is hashed in blocks of this many bytes.
pub(super) const BLOCK: usize = 64 * 1024;

/// A tag that is being made.
#[derive(Default)]
pub(super) struct ContentTag(Hash);

impl ContentTag {
    /// Adds a block: all but the last one have [`BLOCK`] bytes.
    pub(super) fn add(&mut self, block: &[u8]) {
        self.0.add(block);
    }

    pub(super) fn finish(self) -> EntityTag {
        self.0.finish()
    }

    /// The tag of content in memory.
    pub(super) fn of(content: &[u8]) -> EntityTag {
        let mut tag = ContentTag::default();
        content.chunks(BLOCK).for_each(|block| tag.add(block));
        tag.finish()
    }
}
