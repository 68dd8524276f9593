//! The directory of a tree on systems without descriptors of directories.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::facts::{FileFacts, Moment};
use super::{Found, Links};
use crate::files::tree::entry::ListedEntry;
use crate::files::tree::path::TreePath;

/// The resolved path of the directory.
#[derive(Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Root> {
        let path = path.canonicalize()?;
        if !path.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                "it is not a directory",
            ));
        }
        Ok(Root(path))
    }

    pub(super) fn containment(&self) -> &'static str {
        "comparison of resolved paths"
    }

    pub(super) fn look_up(&self, path: &TreePath<'_>, links: Links) -> io::Result<Option<Found>> {
        let Some(place) = self.resolve(path, links)? else {
            return Ok(None);
        };
        let facts = fs::metadata(&place)?;
        if facts.is_dir() {
            return Ok(Some(Found::Directory));
        }
        if !facts.is_file() {
            return Ok(None);
        }
        let file = File::open(&place)?;
        let facts = file.metadata()?;
        Ok(facts.is_file().then(|| Found::File(file, of(&facts))))
    }

    pub(super) fn list(
        &self,
        path: &TreePath<'_>,
        links: Links,
        limit: usize,
    ) -> io::Result<Option<Vec<ListedEntry>>> {
        let Some(place) = self.resolve(path, links)?.filter(|place| place.is_dir()) else {
            return Ok(None);
        };
        let mut entries = Vec::new();
        for entry in fs::read_dir(place)?.take(limit) {
            let entry = entry?;
            let (Ok(name), facts) = (entry.file_name().into_string(), entry.metadata()?) else {
                continue;
            };
            if facts.is_dir() {
                entries.push(ListedEntry::directory(name));
            } else if facts.is_file() {
                entries.push(ListedEntry::file(name).length(facts.len()));
            }
        }
        Ok(Some(entries))
    }

    /// The path without links; `None` if it is not there, or outside of the directory.
    fn resolve(&self, path: &TreePath<'_>, links: Links) -> io::Result<Option<PathBuf>> {
        let mut place = self.0.clone();
        for segment in path.segments() {
            place.push(segment);
            if links == Links::Refuse && place.is_symlink() {
                return Ok(None);
            }
        }
        match place.canonicalize() {
            Ok(found) if links == Links::InsecureFollow || found.starts_with(&self.0) => {
                Ok(Some(found))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            Err(_) => Ok(None),
        }
    }
}

fn of(facts: &Metadata) -> FileFacts {
    FileFacts {
        length: facts.len(),
        modified: moment(facts.modified()),
        changed: moment(facts.modified()),
        device: 0,
        inode: 0,
    }
}

fn moment(time: io::Result<SystemTime>) -> Moment {
    let since = time.map(|time| time.duration_since(UNIX_EPOCH));
    match since {
        Ok(Ok(since)) => (
            i64::try_from(since.as_secs()).unwrap_or_default(),
            since.subsec_nanos(),
        ),
        _ => (0, 0),
    }
}
