//! Trees of files: where the files of a site are.

pub(crate) mod cached;
mod content_tag;
pub(crate) mod disk;
pub(crate) mod entry;
mod index;
pub(crate) mod memory;
pub(crate) mod overlay;
pub(crate) mod path;
#[cfg(feature = "zip")]
pub(crate) mod zip;

use std::io;
use std::sync::Arc;

use enfilade_core::{Description, Eventual};

use self::entry::{Entry, ListedEntry};
use self::path::TreePath;

/// The result of a [`FileTree`]: at once if the tree has it in memory, or later.
pub type TreeReply<T> = Eventual<io::Result<T>>;

/// A tree of files and directories, which [`Files`](crate::Files) serves.
///
/// [`DiskTree`](crate::DiskTree) is a directory of the system, [`MemoryTree`](crate::MemoryTree) holds files that are in
/// the program, `ZipTree` an archive, and [`Overlay`](crate::Overlay) several trees. Implement it for a database, an
/// object store, or files that are made on demand.
///
/// # Errors
///
/// What is not there is `None`. Of the errors, [`PermissionDenied`](std::io::ErrorKind::PermissionDenied) becomes a 403;
/// too few descriptors or too little memory become a 503, and all others a 500, with the error as the cause for the log.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Entry, FileEntry, FileTree, Files, TreePath, TreeReply};
/// use enfilade::{Application, Description};
/// use enfilade_testing::Client;
///
/// /// The squares of all numbers, as files.
/// struct Squares;
///
/// impl FileTree for Squares {
///     fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
///         let number = path.as_str().strip_suffix(".txt").and_then(|name| name.parse().ok());
///         let square = number.and_then(|number: u64| number.checked_mul(number));
///         TreeReply::new(Ok(square.map(|square| Entry::File(FileEntry::from_bytes(square.to_string())))))
///     }
///
///     fn describe(&self) -> Description {
///         Description::new("Squares")
///     }
/// }
///
/// let client = Client::new(Application::new(Files::new(Squares)));
/// assert_eq!(client.get("/12.txt").send().text(), "144");
/// assert_eq!(client.get("/twelve.txt").send().status(), 404);
/// ```
pub trait FileTree: Send + Sync + 'static {
    /// Looks for the entry at a path; `None` if nothing is there that may be served.
    ///
    /// It runs on the event loop, so it must not block: a tree that takes time returns
    /// [`TreeReply::from_future`].
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>>;

    /// Lists the entries of a directory, in any order, at most `limit` of them; `None` if there is no such directory, or
    /// if the tree lists none, as by default.
    fn list(&self, path: &TreePath<'_>, limit: usize) -> TreeReply<Option<Vec<ListedEntry>>> {
        let _ = (path, limit);
        TreeReply::new(Ok(None))
    }

    /// Describes the tree, for the printed stack.
    fn describe(&self) -> Description;
}

impl<T: FileTree + ?Sized> FileTree for Arc<T> {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        (**self).look_up(path)
    }

    fn list(&self, path: &TreePath<'_>, limit: usize) -> TreeReply<Option<Vec<ListedEntry>>> {
        (**self).list(path, limit)
    }

    fn describe(&self) -> Description {
        (**self).describe()
    }
}

impl<T: FileTree + ?Sized> FileTree for Box<T> {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        (**self).look_up(path)
    }

    fn list(&self, path: &TreePath<'_>, limit: usize) -> TreeReply<Option<Vec<ListedEntry>>> {
        (**self).list(path, limit)
    }

    fn describe(&self) -> Description {
        (**self).describe()
    }
}
