//! Makes files of uploads that stay.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;

use crate::shared::spooled::Spooled;

/// Makes a file of the content; fails if `path` exists.
pub(super) async fn persist(content: Spooled, path: PathBuf) -> io::Result<()> {
    blocking::unblock(move || match content {
        Spooled::Memory(content) => write_new(&path, &content),
        Spooled::File(file, _) => match Arc::try_unwrap(file) {
            Ok(file) => move_new(file, &path),
            Err(shared) => copy_new(&shared, &path),
        },
    })
    .await
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let written = std::fs::File::create_new(path)?.write_all(content);
    if written.is_err() {
        // The first error is the one to report.
        drop(std::fs::remove_file(path));
    }
    written
}

fn move_new(file: TempPath, path: &Path) -> io::Result<()> {
    match file.persist_noclobber(path) {
        Ok(()) => Ok(()),
        Err(failed) if failed.error.kind() == io::ErrorKind::CrossesDevices => {
            copy_new(&failed.path, path)
        }
        Err(failed) => Err(failed.error),
    }
}

fn copy_new(from: &Path, path: &Path) -> io::Result<()> {
    let mut content = std::fs::File::open(from)?;
    let copied = io::copy(&mut content, &mut std::fs::File::create_new(path)?);
    if copied.is_err() {
        drop(std::fs::remove_file(path));
    }
    copied.map(drop)
}
