//! Which pattern a path has.

use std::collections::HashMap;

use enfilade_core::Application;

use super::node::{Mount, Node};
use super::pattern::{Pattern, prefix_length};
use super::route;
use crate::Error;

/// The patterns of a router: those of whole paths, and by their number of segments those that only begin a path.
///
/// One index for all would have to tell `/{name}` from `/{*rest}` at the same place, which `matchit` cannot.
#[derive(Clone, Default)]
pub(super) struct Index {
    whole: Table<Node>,
    begins: Vec<Table<Beginning>>,
}

/// What stands at a pattern that only begins a path.
#[derive(Clone, Default)]
struct Beginning {
    rest: Node,
    mount: Option<Mount>,
}

/// What a path was found to have.
pub(super) enum Found<'a> {
    Node(&'a Node),
    Mount(&'a Mount),
}

impl Index {
    /// The node of a route, made where there is none.
    pub(super) fn node(&mut self, pattern: &Pattern) -> Result<&mut Node, Error> {
        match pattern.takes_rest {
            true => Ok(&mut self.beginning(pattern)?.rest),
            false => self.whole.entry(pattern),
        }
    }

    /// Where a mount goes; `None` inside where nothing is mounted there yet.
    pub(super) fn mount(&mut self, pattern: &Pattern) -> Result<&mut Option<Mount>, Error> {
        Ok(&mut self.beginning(pattern)?.mount)
    }

    fn beginning(&mut self, pattern: &Pattern) -> Result<&mut Beginning, Error> {
        if self.begins.len() <= pattern.segments {
            self.begins
                .resize_with(pattern.segments + 1, Table::default);
        }
        self.begins[pattern.segments].entry(pattern)
    }

    /// Finds what a path in canonical form has: a whole route, else the longest beginning.
    pub(super) fn find(&self, path: &str) -> Option<Found<'_>> {
        let whole = self.whole.find(path).map(Found::Node);
        whole.or_else(|| {
            (0..self.begins.len())
                .rev()
                .find_map(|segments| self.find_beginning(path, segments))
        })
    }

    fn find_beginning(&self, path: &str, segments: usize) -> Option<Found<'_>> {
        let (beginning, rest) = path.split_at_checked(prefix_length(path, segments))?;
        let found = self
            .begins
            .get(segments)?
            .find(if segments == 0 { "/" } else { beginning })?;
        if rest.len() > 1 && !found.rest.is_empty() {
            return Some(Found::Node(&found.rest));
        }
        found.mount.as_ref().map(Found::Mount)
    }

    /// Shows every application to `replace`.
    pub(super) fn for_each_app(&mut self, replace: &mut dyn FnMut(&mut Application)) {
        for node in &mut self.whole.entries {
            node.for_each_app(replace);
        }
        for beginning in self.begins.iter_mut().flat_map(|table| &mut table.entries) {
            beginning.rest.for_each_app(replace);
            beginning
                .mount
                .iter_mut()
                .for_each(|mount| replace(mount.app_mut()));
        }
    }

    /// All nodes and mounts, for the description.
    pub(super) fn iter(&self) -> impl Iterator<Item = Found<'_>> {
        let begins = || self.begins.iter().flat_map(|table| &table.entries);
        let nodes = self
            .whole
            .entries
            .iter()
            .chain(begins().map(|beginning| &beginning.rest));
        nodes.map(Found::Node).chain(
            begins()
                .filter_map(|beginning| beginning.mount.as_ref())
                .map(Found::Mount),
        )
    }
}

/// Patterns, and what stands at each of them.
#[derive(Clone)]
struct Table<T> {
    paths: matchit::Router<usize>,
    by_pattern: HashMap<String, usize>,
    entries: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table {
            paths: matchit::Router::new(),
            by_pattern: HashMap::new(),
            entries: Vec::new(),
        }
    }
}

impl<T: Default> Table<T> {
    fn entry(&mut self, pattern: &Pattern) -> Result<&mut T, Error> {
        if let Some(&at) = self.by_pattern.get(&pattern.index) {
            return Ok(&mut self.entries[at]);
        }
        let at = self.entries.len();
        self.paths
            .insert(&pattern.index, at)
            .map_err(|error| conflict(&error, &pattern.text))?;
        self.by_pattern.insert(pattern.index.clone(), at);
        self.entries.push(T::default());
        Ok(&mut self.entries[at])
    }

    fn find(&self, path: &str) -> Option<&T> {
        let found = self.paths.at(path).ok()?;
        self.entries.get(*found.value)
    }
}

fn conflict(error: &matchit::InsertError, text: &str) -> Error {
    match error {
        matchit::InsertError::Conflict { with } => route(format!(
            "{text:?} cannot be told from {with:?}, which is there already"
        )),
        other => route(format!("{text:?} is not a route: {other}")),
    }
}
