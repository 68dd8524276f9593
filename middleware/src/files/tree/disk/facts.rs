//! What the system says about a file, and the tag that is made of it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Mutex;

use enfilade_core::conditional::EntityTag;
use enfilade_core::unpoisoned;
use time::OffsetDateTime;

use crate::files::tree::content_tag::{BLOCK, ContentTag};

/// The largest file whose content is hashed for its tag, in bytes.
const HASHED: u64 = 64 * 1024 * 1024;
/// The number of hashes that are kept.
const KEPT: usize = 4096;

/// A time of the system: seconds since 1970, and nanoseconds.
pub(super) type Moment = (i64, u32);

/// The facts of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileFacts {
    pub(super) length: u64,
    pub(super) modified: Moment,
    /// When the file or its facts changed; nothing sets it back.
    pub(super) changed: Moment,
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileFacts {
    /// Whether the modification time says nothing: builds of containers set all of them to 0 or 1.
    fn is_constant(&self) -> bool {
        matches!(self.modified.0, 0 | 1)
    }

    /// When the file was modified, if the system knows.
    pub(super) fn modified(&self) -> Option<OffsetDateTime> {
        let (seconds, nanoseconds) = self.modified;
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        let time = time.replace_nanosecond(nanoseconds).ok()?;
        (!self.is_constant()).then_some(time)
    }

    fn weak_tag(&self) -> Option<EntityTag> {
        let (seconds, nanoseconds) = self.modified;
        let (length, inode) = (self.length, self.inode);
        let text = format!("{seconds:x}.{nanoseconds:x}-{length:x}-{inode:x}");
        EntityTag::weak(text).ok()
    }
}

/// Makes tags; it remembers the hashes.
#[derive(Debug, Default)]
pub(super) struct Tags(Mutex<HashMap<FileFacts, EntityTag>>);

impl Tags {
    /// The tag of a file; it blocks if the content is hashed.
    pub(super) fn tag(&self, file: &File, facts: &FileFacts) -> Option<EntityTag> {
        if !facts.is_constant() {
            return facts.weak_tag();
        }
        if let Some(known) = unpoisoned(self.0.lock()).get(facts) {
            return Some(known.clone());
        }
        let tag = content_tag(file, facts.length).ok()??;
        let mut known = unpoisoned(self.0.lock());
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(*facts, tag.clone());
        Some(tag)
    }
}

/// The tag of the content; `None` if the file is too long.
fn content_tag(mut file: &File, length: u64) -> io::Result<Option<EntityTag>> {
    if length > HASHED {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(0))?;
    let mut rest = file.take(HASHED + 1);
    let (mut tag, mut block) = (ContentTag::default(), Vec::with_capacity(BLOCK));
    loop {
        block.clear();
        // All of a block: one read may return less.
        match rest.by_ref().take(BLOCK as u64).read_to_end(&mut block)? {
            0 => return Ok(Some(tag.finish())),
            _ => tag.add(&block),
        }
    }
}
