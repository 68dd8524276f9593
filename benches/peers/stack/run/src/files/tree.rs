//! The files that are served.

use std::io::Write as _;
use std::path::PathBuf;

use crate::Result;

/// The length of the long file, in bytes.
pub const LONG: u64 = 1 << 30;
/// The number of folders, and of files in each of them.
const MANY: usize = 100;

/// A folder of files, which is removed when this is dropped.
pub struct Tree {
    /// Its path.
    pub folder: PathBuf,
}

impl Tree {
    /// Writes 1 KiB as `1k`, 100 KiB as `100k`, 1 GiB as `1g`, and 10,000 files of 1 KiB as `many/0/0` to `many/99/99`.
    pub fn new() -> Result<Tree> {
        let folder = std::env::temp_dir().join(format!("enfilade-files-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let tree = Tree { folder };
        let content = content(1 << 20);
        for (name, length) in [("1k", 1 << 10), ("100k", 100 << 10)] {
            std::fs::write(tree.folder.join(name), &content[..length])?;
        }
        let mut long = std::fs::File::create(tree.folder.join("1g"))?;
        for _ in 0..LONG >> 20 {
            long.write_all(&content)?;
        }
        // Nothing is written while the servers are measured.
        long.sync_all()?;
        for folder in 0..MANY {
            let folder = tree.folder.join(format!("many/{folder}"));
            std::fs::create_dir_all(&folder)?;
            for file in 0..MANY {
                std::fs::write(folder.join(file.to_string()), &content[..1 << 10])?;
            }
        }
        Ok(tree)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Bytes without a pattern, the same in every run.
fn content(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}
