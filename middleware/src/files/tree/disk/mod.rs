//! A directory of the system as a tree.

mod facts;
#[cfg(not(unix))]
mod plain;
#[cfg(unix)]
mod root;
#[cfg(unix)]
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use enfilade_core::{Description, OptionValue};

use self::facts::{FileFacts, Tags};
#[cfg(not(unix))]
use self::plain::Root;
#[cfg(unix)]
use self::root::Root;
use super::FileTree;
use super::TreeReply;
use super::entry::{Entry, FileEntry, ListedEntry};
use super::path::TreePath;
use crate::error::{Error, ErrorKind};
use crate::files::file_source::FileSource;

/// A directory of the system.
///
/// The directory is opened once; what is moved to its place later is not served. Every look-up opens the file, on a thread
/// that may block, so the size and the content are those of one file. Wrap the tree in a
/// [`CachedTree`](crate::CachedTree) to look up less often; [`Files::directory`](crate::Files::directory) does.
///
/// The tag of a file is weak and made of its modification time, size and inode. If the time says nothing (the first two
/// seconds of 1970, which builds of containers set), the tag is a hash of the content, up to 64 MiB; larger files then have
/// no tag, and none of them has a `Last-Modified`. Such a tag is weak, or with the feature `strong-etags` strong.
///
/// Names that are not UTF-8 are not served. Do not write into a served file: replace it with `rename`.
///
/// # Security
///
/// On Linux the kernel keeps a look-up inside of the directory (`openat2` with `RESOLVE_BENEATH`), whatever is renamed at
/// the same time. Where it cannot (before Linux 5.6, in some sandboxes, on other Unix systems), each component is opened
/// by itself without following links. On other systems the resolved path is compared with the directory, and a link that
/// is changed between the two is followed; also, names that Windows gives another meaning are not served there.
///
/// A hard link or a mount inside of the directory is part of it. Pipes, sockets and devices are never opened.
/// Content can be made to have the same weak tag as other content: if others rely on tags to notice what a user changed, use
/// the feature `strong-etags`.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Application;
/// use enfilade::middleware::{DiskTree, Files, Links};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let tree = DiskTree::open("src")?.links(Links::Refuse);
/// let client = Client::new(Application::new(Files::new(tree)));
/// assert_eq!(client.get("/lib.rs").send().status(), 200);
/// assert_eq!(client.get("/../Cargo.toml").send().status(), 404);
/// assert!(DiskTree::open("no/such/place").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DiskTree {
    path: PathBuf,
    root: Arc<Root>,
    links: Links,
    tags: Arc<Tags>,
}

/// Which symbolic links a [`DiskTree`] follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Links {
    /// None: a path with a link is not found.
    Refuse,
    /// Relative links whose target is inside of the directory; others are not found.
    #[default]
    Inside,
    /// All, wherever they lead.
    InsecureFollow,
}

impl DiskTree {
    /// Opens a directory. Nothing in it is read before a request.
    ///
    /// # Errors
    ///
    /// If it does not exist, is not a directory, or may not be opened; the text has the path.
    pub fn open(path: impl AsRef<Path>) -> Result<DiskTree, Error> {
        let path = path.as_ref();
        let root = Root::open(path).map_err(|error| {
            let text = format!("cannot serve the directory {}: {error}", path.display());
            Error::new(ErrorKind::Directory, text)
        })?;
        Ok(DiskTree {
            path: path.to_owned(),
            root: Arc::new(root),
            links: Links::default(),
            tags: Arc::default(),
        })
    }

    /// Sets which links are followed; those inside of the directory by default.
    #[must_use]
    pub fn links(mut self, links: Links) -> DiskTree {
        self.links = links;
        self
    }

    fn is_servable(path: &TreePath<'_>) -> bool {
        !cfg!(windows) || path.is_safe_on_windows()
    }

    /// Looks up an entry, and blocks.
    fn look_up_now(&self, path: &TreePath<'_>) -> io::Result<Option<Entry>> {
        Ok(match self.root.look_up(path, self.links)? {
            None => None,
            Some(Found::Directory) => Some(Entry::Directory),
            Some(Found::File(file, facts)) => {
                let tag = self.tags.tag(&file, &facts);
                let source = FileSource::with_length(file, facts.length);
                let mut entry = FileEntry::from_file(source);
                if let Some(tag) = tag {
                    entry = entry.tag(tag);
                }
                Some(Entry::File(match facts.modified() {
                    Some(time) => entry.modified(time),
                    None => entry,
                }))
            }
        })
    }
}

/// What is at a path: a regular file, opened for reading, or a directory.
enum Found {
    Directory,
    File(std::fs::File, FileFacts),
}

impl FileTree for DiskTree {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        if !DiskTree::is_servable(path) {
            return TreeReply::new(Ok(None));
        }
        let (tree, path) = (self.clone(), path.clone().into_owned());
        TreeReply::from_future(blocking::unblock(move || tree.look_up_now(&path)))
    }

    fn list(&self, path: &TreePath<'_>, limit: usize) -> TreeReply<Option<Vec<ListedEntry>>> {
        if !DiskTree::is_servable(path) {
            return TreeReply::new(Ok(None));
        }
        let (tree, path) = (self.clone(), path.clone().into_owned());
        let list = move || tree.root.list(&path, tree.links, limit);
        TreeReply::from_future(blocking::unblock(list))
    }

    fn describe(&self) -> Description {
        let links = match self.links {
            Links::Refuse => "refused",
            Links::Inside => "inside",
            Links::InsecureFollow => "followed",
        };
        Description::new("DiskTree")
            .option("path", OptionValue::shown(self.path.display()))
            .option("links", links)
            .option("containment", self.root.containment())
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
