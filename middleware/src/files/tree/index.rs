//! Files by their paths; directories are what the paths say.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::entry::ListedEntry;
use super::path::TreePath;

/// Files in a map that is sorted by path, so that a directory is a range of it.
#[derive(Clone, Debug)]
pub(super) struct Index<T>(BTreeMap<Box<str>, T>);

impl<T> Default for Index<T> {
    fn default() -> Index<T> {
        Index(BTreeMap::new())
    }
}

impl<T> Index<T> {
    /// Adds a file, or replaces it.
    pub(super) fn insert(&mut self, path: &TreePath<'_>, file: T) {
        self.0.insert(path.as_str().into(), file);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, path: &TreePath<'_>) -> Option<&T> {
        self.0.get(path.as_str())
    }

    /// Whether there are files below this path; the root is always a directory.
    pub(super) fn is_directory(&self, path: &TreePath<'_>) -> bool {
        path.is_root() || self.below(&prefix(path)).next().is_some()
    }

    /// The files whose paths begin with this text, from it on.
    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a T)> {
        let range = self
            .0
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        range
            .map(|(path, file)| (&**path, file))
            .take_while(move |(path, _)| path.starts_with(prefix))
    }

    /// The entries of a directory, at most `limit`; `describe` makes the entry of a file from its name.
    pub(super) fn list(
        &self,
        path: &TreePath<'_>,
        limit: usize,
        describe: impl Fn(&str, &T) -> ListedEntry,
    ) -> Option<Vec<ListedEntry>> {
        if !self.is_directory(path) {
            return None;
        }
        let prefix = prefix(path);
        let (mut entries, mut from) = (Vec::new(), prefix.clone());
        while entries.len() < limit {
            let next = self
                .0
                .range::<str, _>((Bound::Included(&*from), Bound::Unbounded))
                .next();
            let Some((rest, found)) =
                next.and_then(|(path, file)| Some((path.strip_prefix(&*prefix)?, file)))
            else {
                break;
            };
            match rest.split_once('/') {
                None => {
                    entries.push(describe(rest, found));
                    from = format!("{prefix}{rest}\0");
                }
                Some((name, _)) => {
                    entries.push(ListedEntry::directory(name));
                    // The character after the slash: all that is in the directory is skipped.
                    from = format!("{prefix}{name}0");
                }
            }
        }
        Some(entries)
    }
}

/// What the paths in a directory begin with.
fn prefix(path: &TreePath<'_>) -> String {
    match path.as_str() {
        "" => String::new(),
        path => format!("{path}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(paths: &[&str]) -> Index<()> {
        let mut index = Index::default();
        for path in paths {
            index.insert(&TreePath::from_text(path).unwrap(), ());
        }
        index
    }

    fn names(index: &Index<()>, path: &str, limit: usize) -> Option<Vec<String>> {
        let path = TreePath::from_text(path).unwrap();
        let listed = index.list(&path, limit, |name, ()| ListedEntry::file(name))?;
        let shown = |entry: &ListedEntry| {
            format!(
                "{}{}",
                entry.name(),
                if entry.is_directory() { "/" } else { "" }
            )
        };
        Some(listed.iter().map(shown).collect())
    }

    #[test]
    fn directories_are_what_the_paths_say() {
        let index = index(&[
            "a.txt",
            "b/c.txt",
            "b/d/e.txt",
            "b/d/f.txt",
            "b-x",
            "b0",
            "z/y",
        ]);
        let list = |path, limit| names(&index, path, limit);
        assert_eq!(list("", 10).unwrap(), ["a.txt", "b-x", "b/", "b0", "z/"]);
        assert_eq!(list("b", 10).unwrap(), ["c.txt", "d/"]);
        assert_eq!(list("b/d", 1).unwrap(), ["e.txt"]);
        assert_eq!(list("b/c.txt", 10), None);
        assert_eq!(list("nope", 10), None);
        let is_directory = |path| index.is_directory(&TreePath::from_text(path).unwrap());
        assert_eq!(
            ["", "b", "b/d", "a.txt", "b-", "z"].map(is_directory),
            [true, true, true, false, false, true]
        );
    }
}
