//! Makes files of uploads that stay.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::shared::spooled::Spooled;

/// Makes a file of the content; fails if `path` exists.
pub(super) async fn persist(content: Spooled, path: PathBuf) -> io::Result<()> {
    blocking::unblock(move || match content {
        Spooled::Memory(content) => create(&path, |file| file.write_all(&content)),
        // Another name for the same file: its first name is removed with the form.
        Spooled::File(file, _) => match std::fs::hard_link(&*file, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => copy(&file, &path),
            linked => linked,
        },
    })
    .await
}

/// For another file system, or one without links.
fn copy(from: &Path, path: &Path) -> io::Result<()> {
    let mut content = std::fs::File::open(from)?;
    create(path, |file| io::copy(&mut content, file).map(drop))
}

fn create(path: &Path, write: impl FnOnce(&mut std::fs::File) -> io::Result<()>) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    // As a temporary file is.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = write(&mut options.open(path)?);
    if written.is_err() {
        // The first error is the one to report.
        drop(std::fs::remove_file(path));
    }
    written
}
