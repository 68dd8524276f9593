//! The patterns of a router as a tree of segments, and the search for the patterns that match a path.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use enfilade_core::path;
use foldhash::fast::RandomState;

use super::route::{Route, Target};
use super::segment::{Constrained, Segment};

/// All routes of a router.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) routes: Vec<Route>,
    /// The nodes of the tree, the root first.
    pub(super) nodes: Vec<Node>,
    static_paths: StaticPaths,
}

/// A node of the tree: the patterns that end there, and the segments that follow.
#[derive(Clone, Default)]
pub(super) struct Node {
    pub(super) texts: HashMap<Box<str>, usize, RandomState>,
    pub(super) constrained: Vec<(Arc<Constrained>, usize)>,
    pub(super) any: Option<usize>,
    pub(super) ends: Ends,
    /// Whether a pattern ends here that may match a longer path.
    ends_prefix: bool,
    /// Whether segments follow.
    is_inner: bool,
}

/// The routes whose patterns end at a node.
#[derive(Clone, Copy, Default)]
pub(super) struct Ends {
    /// Matches the whole path.
    pub(super) whole: Option<usize>,
    /// Matches a prefix, and captures the rest.
    pub(super) rest: Option<usize>,
    /// Matches a prefix, with an application mounted.
    pub(super) mount: Option<usize>,
}

/// The result of [`Table::first`].
pub(super) enum Lookup<'a> {
    /// The first route, and the length of what its pattern matches of the path, which is in canonical form.
    Found(&'a Route, usize),
    /// No pattern matches.
    Nothing,
    /// Only [`Table::each`] can tell.
    Unsure,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            routes: Vec::new(),
            nodes: vec![Node::default()],
            static_paths: StaticPaths::default(),
        }
    }
}

impl Table {
    /// Adds a route, or returns why it cannot be added.
    pub(super) fn insert(&mut self, route: Route) -> Option<String> {
        let number = self.routes.len();
        let segments = route.pattern.segments.iter();
        let at = segments.fold(0, |at, segment| self.step(at, segment));
        let node = &mut self.nodes[at];
        let end = node.ends.of(&route);
        if let Some(first) = *end {
            return self.join(first, route);
        }
        *end = Some(number);
        node.ends_prefix = node.ends.rest.is_some() || node.ends.mount.is_some();
        if let Some(path) = route.static_path() {
            self.static_paths.insert(path, number);
        }
        self.routes.push(route);
        None
    }

    /// Adds a route whose pattern has the shape of another: methods tell them apart.
    fn join(&mut self, first: usize, route: Route) -> Option<String> {
        let mut group = self.group(first);
        let known = |at: &usize| &self.routes[*at];
        let problem = group.iter().find_map(|at| known(at).conflict(&route));
        if problem.is_some() {
            return problem;
        }
        let has_names = |known: &Route| known.pattern.names().eq(route.pattern.names());
        match group.iter().find(|at| has_names(&self.routes[**at])) {
            Some(&same) => self.routes[same].target.add(route.target),
            None => {
                let number = self.routes.len();
                group.push(number);
                self.routes[first].others.push(number);
                self.routes.push(route);
            }
        }
        for &at in &group {
            let others = group.iter().filter(|other| **other != at);
            let elsewhere = others.flat_map(|other| self.routes[*other].target.listed());
            let elsewhere = elsewhere.collect();
            self.routes[at].target.leave(elsewhere);
        }
        None
    }

    /// The numbers of a route and of those whose patterns have the same shape.
    fn group(&self, first: usize) -> Vec<usize> {
        let others = self.routes[first].others.iter().copied();
        std::iter::once(first).chain(others).collect()
    }

    /// All routes of an end: their patterns have one shape, and other names and methods.
    pub(super) fn routes_at(&self, end: Option<usize>) -> impl Iterator<Item = &Route> {
        let first = end.and_then(|end| self.routes.get(end));
        first.into_iter().flat_map(|first| {
            let others = first.others.iter().filter_map(|&at| self.routes.get(at));
            std::iter::once(first).chain(others)
        })
    }

    /// The node that follows `at` by this segment; adds it if it is missing.
    fn step(&mut self, at: usize, segment: &Segment) -> usize {
        let next = self.nodes.len();
        let node = &mut self.nodes[at];
        node.is_inner = true;
        let found = match segment {
            Segment::Text(text) => *node.texts.entry(text.clone()).or_insert(next),
            Segment::Any(_) | Segment::Rest(_) => *node.any.get_or_insert(next),
            Segment::Constrained(constrained) => {
                let mut known = node.constrained.iter();
                let known = known.find(|(known, _)| known.key == constrained.key);
                known.map(|(_, at)| *at).unwrap_or_else(|| {
                    node.constrained.push((constrained.clone(), next));
                    next
                })
            }
        };
        if found == next {
            self.nodes.push(Node::default());
        }
        found
    }

    /// The first route in the order of [`each`](Table::each), for a path as the client wrote it.
    ///
    /// Follows the most specific segment at each node, without going back.
    #[inline]
    pub(super) fn first(&self, path: &str) -> Lookup<'_> {
        if let Some(route) = self.static_paths.find(path) {
            return Lookup::Found(&self.routes[route], path.len());
        }
        let mut node = &self.nodes[0];
        let (mut rest, mut is_only_way, mut prefix) = (path, true, None);
        while node.is_inner {
            if node.ends_prefix {
                prefix = Some((node, rest));
            }
            let Some(inside) = rest.strip_prefix('/') else {
                break;
            };
            let end = path::unreserved_prefix(inside.as_bytes());
            let Some((segment, after)) = inside.split_at_checked(end) else {
                break;
            };
            if !matches!(after.as_bytes().first(), None | Some(b'/')) {
                // Not in canonical form.
                return Lookup::Unsure;
            }
            rest = after;
            let Some((next, is_only)) = node.next(segment) else {
                return self.longest_prefix(prefix, path, is_only_way);
            };
            is_only_way &= is_only;
            node = &self.nodes[next];
        }
        if node.ends_prefix {
            prefix = Some((node, rest));
        }
        match node.ends.whole.filter(|_| rest.is_empty()) {
            Some(whole) => Lookup::Found(&self.routes[whole], path.len()),
            None => self.longest_prefix(prefix, path, is_only_way),
        }
    }

    /// The route of the last node on the way at which a prefix ends, if there is no other way.
    #[inline]
    fn longest_prefix(
        &self,
        prefix: Option<(&Node, &str)>,
        path: &str,
        is_only_way: bool,
    ) -> Lookup<'_> {
        match prefix {
            _ if !is_only_way => Lookup::Unsure,
            None => Lookup::Nothing,
            Some((node, rest)) => match node.ends.rest_of(rest).or(node.ends.mount) {
                Some(route) => Lookup::Found(&self.routes[route], path.len() - rest.len()),
                None => Lookup::Unsure,
            },
        }
    }

    /// Visits the routes whose patterns match a path in canonical form, the most specific first, until `visit` breaks.
    ///
    /// Patterns of the whole path come first, then those that capture the rest and mounts, the longest first. Text comes
    /// before constraints, constraints before plain captures, segment by segment.
    pub(super) fn each<'a>(
        &'a self,
        path: &str,
        visit: &mut dyn FnMut(&'a Route) -> ControlFlow<()>,
    ) {
        let mut walk = Walk {
            table: self,
            visit,
            prefixes: Vec::new(),
        };
        if walk.whole(0, path).is_break() {
            return;
        }
        // The longest prefix leaves the shortest rest.
        let mut prefixes = walk.prefixes;
        prefixes.sort_by_key(|(_, rest)| rest.len());
        for (ends, rest) in prefixes {
            let ends = [ends.rest_of(rest), ends.mount].into_iter();
            let mut routes = ends.flat_map(|end| self.routes_at(end));
            if routes.try_for_each(&mut *visit).is_break() {
                return;
            }
        }
    }
}

/// A walk along every way through the tree that a path allows.
struct Walk<'a, 'p, 'v> {
    table: &'a Table,
    visit: &'v mut dyn FnMut(&'a Route) -> ControlFlow<()>,
    /// The prefixes of the path with which patterns end, each with the rest of the path.
    prefixes: Vec<(Ends, &'p str)>,
}

impl<'p> Walk<'_, 'p, '_> {
    /// Visits the routes of the whole path, and collects the prefixes on the way.
    fn whole(&mut self, at: usize, path: &'p str) -> ControlFlow<()> {
        let node = &self.table.nodes[at];
        if node.ends_prefix {
            self.prefixes.push((node.ends, path));
        }
        let Some(inside) = path.strip_prefix('/') else {
            let end = node.ends.whole.filter(|_| path.is_empty());
            return self.table.routes_at(end).try_for_each(&mut *self.visit);
        };
        let end = inside.find('/').unwrap_or(inside.len());
        let (segment, rest) = inside.split_at_checked(end).unwrap_or((inside, ""));
        let mut all = node.all(segment);
        all.try_for_each(|next| self.whole(next, rest))
    }
}

impl Node {
    /// The first node that a plain segment leads to, and whether no other can follow.
    #[inline]
    fn next(&self, segment: &str) -> Option<(usize, bool)> {
        if !self.texts.is_empty()
            && let Some(text) = self.texts.get(segment)
        {
            return Some((*text, self.constrained.is_empty() && self.any.is_none()));
        }
        let mut constrained = self.constrained.iter();
        if let Some((_, next)) = constrained.find(|(known, _)| known.matches(segment)) {
            return Some((*next, constrained.len() == 0 && self.any.is_none()));
        }
        let any = self.any.filter(|_| !segment.is_empty())?;
        Some((any, true))
    }

    /// All nodes that a segment in canonical form leads to, the most specific first.
    fn all(&self, segment: &str) -> impl Iterator<Item = usize> {
        let text = self.texts.get(segment).copied();
        let constrained = self.constrained.iter();
        let constrained = constrained.filter(move |(known, _)| known.matches_encoded(segment));
        let any = self.any.filter(|_| !segment.is_empty());
        let constrained = constrained.map(|(_, next)| *next);
        text.into_iter().chain(constrained).chain(any)
    }
}

impl Ends {
    /// The end for such a route.
    fn of(&mut self, route: &Route) -> &mut Option<usize> {
        match &route.target {
            Target::Mount(_) => &mut self.mount,
            Target::Methods(_) if route.pattern.rest.is_some() => &mut self.rest,
            Target::Methods(_) => &mut self.whole,
        }
    }

    /// The route that captures the rest: a slash, and at least one character.
    fn rest_of(&self, rest: &str) -> Option<usize> {
        self.rest.filter(|_| rest.len() > 1)
    }
}

/// Routes without captures, by their whole path: a hash of the path instead of a walk.
#[derive(Clone)]
struct StaticPaths {
    routes: HashMap<Box<str>, usize, RandomState>,
    /// The marks of these paths. Most other paths have another mark, and are not hashed.
    marks: [bool; 256],
}

impl Default for StaticPaths {
    fn default() -> StaticPaths {
        StaticPaths {
            routes: HashMap::default(),
            marks: [false; 256],
        }
    }
}

impl StaticPaths {
    fn insert(&mut self, path: String, route: usize) {
        self.marks[mark(&path)] = true;
        self.routes.insert(path.into(), route);
    }

    #[inline]
    fn find(&self, path: &str) -> Option<usize> {
        if !self.marks[mark(path)] {
            return None;
        }
        self.routes.get(path).copied()
    }
}

/// A number below 256 that tells paths apart by their length and last byte.
#[inline]
fn mark(path: &str) -> usize {
    let last = path.as_bytes().last().map_or(0, |&last| usize::from(last));
    (path.len() * 37 + last) % 256
}
