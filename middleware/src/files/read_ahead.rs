//! Reads a long file ahead of what is sent.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use enfilade_core::{BoxError, ReadAt, SourceRead, unpoisoned};

use super::reading::read;

/// A read of this size is one of many in order, in bytes: the largest that a body asks for.
const LARGE: usize = 256 * 1024;

/// A file for one body, of which the next part is read while one is sent.
///
/// It holds one part, of 256 KiB. A read that is not the next one starts anew.
pub(super) struct ReadAhead {
    file: Arc<File>,
    path: Option<Arc<Path>>,
    length: u64,
    next: Mutex<Option<Next>>,
}

struct Next {
    offset: u64,
    limit: usize,
    bytes: blocking::Task<Result<Bytes, BoxError>>,
}

impl ReadAhead {
    pub(super) fn new(file: Arc<File>, path: Option<Arc<Path>>, length: u64) -> ReadAhead {
        ReadAhead {
            file,
            path,
            length,
            next: Mutex::default(),
        }
    }

    fn start(&self, offset: u64, limit: usize) -> Next {
        let file = self.file.clone();
        Next {
            offset,
            limit,
            bytes: blocking::unblock(move || read(&file, offset, limit)),
        }
    }
}

impl ReadAt for ReadAhead {
    fn read_at(&self, offset: u64, limit: usize) -> SourceRead {
        let mut next = unpoisoned(self.next.lock());
        let started = next
            .take()
            .filter(|next| next.offset == offset && next.limit == limit);
        let now = started.unwrap_or_else(|| self.start(offset, limit));
        let after = offset.saturating_add(limit as u64);
        let left = usize::try_from(self.length.saturating_sub(after)).unwrap_or(usize::MAX);
        if limit == LARGE && left > 0 {
            *next = Some(self.start(after, left.min(LARGE)));
        }
        SourceRead::from_future(now.bytes)
    }

    fn as_file(&self) -> Option<(&Path, u64)> {
        Some((self.path.as_deref()?, self.length))
    }
}

impl fmt::Debug for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAhead")
            .field("file", &self.file)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use enfilade_core::{Body, Segment};
    use pollster::block_on;

    use super::*;

    #[test]
    fn what_is_read_ahead_is_what_is_there() {
        let path = std::env::temp_dir().join(format!("enfilade-read-ahead-{}", std::process::id()));
        let content: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = Arc::new(File::open(&path).unwrap());
        let ahead = || ReadAhead::new(file.clone(), None, 1_000_003);
        for range in [
            0..1_000_003,
            5..1_000_000,
            300_000..300_010,
            262_144..524_288,
        ] {
            let source: Arc<dyn ReadAt> = Arc::new(ahead());
            let body = Body::from_segments([Segment::new(source, range.clone())]);
            let all = block_on(body.collect(2_000_000)).unwrap();
            assert!(
                all == content[range.start as usize..range.end as usize],
                "{range:?}"
            );
        }
        // A read of another place does not get the part that was read ahead.
        let source: Arc<dyn ReadAt> = Arc::new(ahead());
        for at in [0_usize, 600_000, 0, 262_144] {
            let segment = Segment::new(source.clone(), at as u64..at as u64 + 300_000);
            let all = block_on(Body::from_segments([segment]).collect(300_000)).unwrap();
            assert!(all == content[at..at + 300_000], "{at}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
