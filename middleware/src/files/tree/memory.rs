//! A tree of files in memory.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use enfilade_core::Description;
use time::OffsetDateTime;

use super::FileTree;
use super::TreeReply;
use super::content_tag::ContentTag;
use super::entry::{Entry, FileEntry, ListedEntry};
use super::index::Index;
use super::path::TreePath;
use crate::error::{Error, ErrorKind};

/// Content up to this length is hashed at once, in bytes: it takes less time than a hop to another thread and back.
const HASHED_AT_ONCE: usize = 64 * 1024;

/// Files that are in memory, such as those that a program embeds.
///
/// A directory is there if a file is in it. The tag of a file is a hash of its content, weak or with the feature
/// `strong-etags` strong; it is made when the file is first requested. A clone shares the files.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Application;
/// use enfilade::middleware::{Files, MemoryTree};
/// use enfilade_testing::Client;
///
/// // As `include_dir`, `rust-embed` or a build script make it.
/// static SITE: &[(&str, &[u8])] = &[
///     ("index.html", b"<h1>Home</h1>"),
///     ("css/site.css", b"h1 { color: teal }"),
/// ];
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let client = Client::new(Application::new(Files::new(MemoryTree::embedded(SITE)?)));
/// assert_eq!(client.get("/").send().text(), "<h1>Home</h1>");
/// assert_eq!(client.get("/css/site.css").send().header("content-type"), Some("text/css; charset=utf-8"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryTree {
    files: Arc<Index<Arc<MemoryFile>>>,
    modified: Option<OffsetDateTime>,
}

struct MemoryFile {
    content: Bytes,
    entry: OnceLock<FileEntry>,
}

impl MemoryTree {
    /// A tree without files.
    #[must_use]
    pub fn new() -> MemoryTree {
        MemoryTree::default()
    }

    /// The files that a program embeds: their paths, without a slash at the front, and their contents.
    ///
    /// # Errors
    ///
    /// If a path is not the path of a file, such as one with `..` or a backslash.
    pub fn embedded(files: &'static [(&'static str, &'static [u8])]) -> Result<MemoryTree, Error> {
        let mut tree = MemoryTree::new();
        for (path, content) in files {
            tree = tree.file(path, *content)?;
        }
        Ok(tree)
    }

    /// Adds a file, or replaces it; `path` is text, without a slash at the front.
    ///
    /// # Errors
    ///
    /// As for [`embedded`](MemoryTree::embedded).
    pub fn file(mut self, path: &str, content: impl Into<Bytes>) -> Result<MemoryTree, Error> {
        let path = TreePath::from_text(path).filter(|path| !path.is_root()).ok_or_else(|| {
            let text = format!(
                "{path:?} is not the path of a file: write names with single slashes between them, without `.` and `..`"
            );
            Error::new(ErrorKind::Directory, text)
        })?;
        let file = MemoryFile {
            content: content.into(),
            entry: OnceLock::new(),
        };
        // The tree is shared only after it was built, so nothing is copied while it is built.
        let files = Arc::make_mut(&mut self.files);
        files.insert(&path, Arc::new(file));
        Ok(self)
    }

    /// Sets when the files were last modified, such as the time of the build; unknown by default.
    ///
    /// Without it there is no `Last-Modified`; clients compare tags.
    #[must_use]
    pub fn modified(mut self, time: OffsetDateTime) -> MemoryTree {
        self.modified = Some(time);
        self
    }
}

impl MemoryFile {
    fn entry(&self, modified: Option<OffsetDateTime>) -> FileEntry {
        let make = || {
            let entry =
                FileEntry::from_bytes(self.content.clone()).tag(ContentTag::of(&self.content));
            match modified {
                Some(time) => entry.modified(time),
                None => entry,
            }
        };
        self.entry.get_or_init(make).clone()
    }
}

impl FileTree for MemoryTree {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        let Some(file) = self.files.get(path) else {
            let is_directory = self.files.is_directory(path);
            return TreeReply::new(Ok(is_directory.then_some(Entry::Directory)));
        };
        let modified = self.modified;
        if file.entry.get().is_some() || file.content.len() <= HASHED_AT_ONCE {
            return TreeReply::new(Ok(Some(Entry::File(file.entry(modified)))));
        }
        let file = file.clone();
        let entry = blocking::unblock(move || file.entry(modified));
        TreeReply::from_future(async move { Ok(Some(Entry::File(entry.await))) })
    }

    fn list(&self, path: &TreePath<'_>, limit: usize) -> TreeReply<Option<Vec<ListedEntry>>> {
        let listed = |name: &str, file: &Arc<MemoryFile>| {
            let entry = ListedEntry::file(name).length(file.content.len() as u64);
            match self.modified {
                Some(time) => entry.modified(time),
                None => entry,
            }
        };
        TreeReply::new(Ok(self.files.list(path, limit, listed)))
    }

    fn describe(&self) -> Description {
        Description::new("MemoryTree").option("files", self.files.len())
    }
}

impl fmt::Debug for MemoryTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTree")
            .field("files", &self.files.len())
            .field("modified", &self.modified)
            .finish()
    }
}
