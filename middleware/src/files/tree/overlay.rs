//! Several trees as one.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use enfilade_core::Description;

use super::FileTree;
use super::TreeReply;
use super::entry::{Entry, ListedEntry};
use super::path::TreePath;

/// Several trees as one: the first that has an entry at a path serves it.
///
/// For a theme over the defaults, or uploads beside the files of a program. A listing has the entries of all trees. A
/// precompressed sibling is used only if it is in the tree of its file. An error of a tree ends the look-up.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Application;
/// use enfilade::middleware::{Files, MemoryTree, Overlay};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let theme = MemoryTree::new().file("site.css", "h1 { color: teal }")?;
/// let defaults = MemoryTree::new().file("site.css", "h1 { color: black }")?.file("site.js", "x()")?;
/// let client = Client::new(Application::new(Files::new(Overlay::new().tree(theme).tree(defaults))));
/// assert_eq!(client.get("/site.css").send().text(), "h1 { color: teal }");
/// assert_eq!(client.get("/site.js").send().text(), "x()");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Overlay {
    trees: Vec<Arc<dyn FileTree>>,
}

impl Overlay {
    /// No trees yet: nothing is found.
    #[must_use]
    pub fn new() -> Overlay {
        Overlay::default()
    }

    /// Adds a tree below those that were added before.
    #[must_use]
    pub fn tree(mut self, tree: impl FileTree) -> Overlay {
        self.trees.push(Arc::new(tree));
        self
    }
}

/// Marks a file with its tree, so that files of different trees are not taken for siblings.
fn from_tree(at: usize, found: io::Result<Option<Entry>>) -> io::Result<Option<Entry>> {
    Ok(found?.map(|entry| match entry {
        Entry::File(file) => Entry::File(file.in_tree(at)),
        Entry::Directory => Entry::Directory,
    }))
}

/// Looks into the trees from the one at `from` on, each after the one before.
async fn look_up_from(
    trees: Vec<Arc<dyn FileTree>>,
    from: usize,
    path: TreePath<'static>,
) -> io::Result<Option<Entry>> {
    for (at, tree) in trees.iter().enumerate().skip(from) {
        match from_tree(at, tree.look_up(&path).wait().await) {
            Ok(None) => {}
            found => return found,
        }
    }
    Ok(None)
}

async fn list_all(
    trees: Vec<Arc<dyn FileTree>>,
    path: TreePath<'static>,
    limit: usize,
) -> io::Result<Option<Vec<ListedEntry>>> {
    let (mut all, mut names, mut is_there) = (Vec::new(), HashSet::new(), false);
    for tree in &trees {
        if let Some(entries) = tree.list(&path, limit).wait().await? {
            is_there = true;
            let new = entries.into_iter();
            all.extend(new.filter(|entry| names.insert(entry.name().to_owned())));
        }
    }
    all.truncate(limit);
    Ok(is_there.then_some(all))
}

impl FileTree for Overlay {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        for (at, tree) in self.trees.iter().enumerate() {
            match tree.look_up(path).try_into_ready() {
                Ok(Ok(None)) => {}
                Ok(found) => return TreeReply::new(from_tree(at, found)),
                Err(pending) => {
                    let (trees, path) = (self.trees.clone(), path.clone().into_owned());
                    return TreeReply::from_future(async move {
                        match from_tree(at, pending.wait().await) {
                            Ok(None) => look_up_from(trees, at + 1, path).await,
                            found => found,
                        }
                    });
                }
            }
        }
        TreeReply::new(Ok(None))
    }

    fn list(&self, path: &TreePath<'_>, limit: usize) -> TreeReply<Option<Vec<ListedEntry>>> {
        let (trees, path) = (self.trees.clone(), path.clone().into_owned());
        TreeReply::from_future(list_all(trees, path, limit))
    }

    fn describe(&self) -> Description {
        let trees = self.trees.iter();
        trees.fold(Description::new("Overlay"), |description, tree| {
            description.child("", tree.describe())
        })
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("trees", &self.trees.len())
            .finish()
    }
}
