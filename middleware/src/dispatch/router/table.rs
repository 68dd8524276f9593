//! Which patterns a path has, the most specific first.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use rapidhash::fast::RandomState;

use super::node::{Answers, Leaf};
use super::pattern::{Pattern, prefix_length};
use super::segment::{Segment, Shaped};

/// All patterns of a router.
///
/// Paths without captures are found by their text, most others by `matchit`, which tells text from captures. It knows
/// neither constraints nor `{name}` beside `{*name}`, and finds one pattern only; where that is not enough, a tree of
/// segments is walked.
#[derive(Clone, Default)]
pub(super) struct Table {
    pub(super) leaves: Vec<Leaf>,
    pub(super) tree: Vec<Node>,
    has_constraints: bool,
    /// The leaves of whole paths without captures.
    texts: Texts,
    /// Shapes of the other whole paths, each with its place in the tree.
    whole: Shapes,
    /// Shapes that only begin a path, by their number of segments.
    begins: Vec<Shapes>,
}

/// A place in the tree: what stands there, and what follows.
#[derive(Clone, Default)]
pub(super) struct Node {
    pub(super) texts: HashMap<Box<str>, usize, RandomState>,
    pub(super) shaped: Vec<(Arc<Shaped>, usize)>,
    pub(super) any: Option<usize>,
    pub(super) ends: Ends,
}

/// The leaves of the patterns that end here.
#[derive(Clone, Copy, Default)]
pub(super) struct Ends {
    pub(super) whole: Option<usize>,
    pub(super) rest: Option<usize>,
    pub(super) mount: Option<usize>,
}

/// Which of the three kinds of end a leaf is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Rest,
    Mount,
}

/// What a quick look says.
pub(super) enum First<T> {
    /// This comes first.
    One(T),
    /// No pattern has this path.
    None,
    /// Only [`Table::each`] can tell.
    Unsure,
}

impl End {
    fn of(pattern: &Pattern, answers: &Answers) -> End {
        match answers {
            Answers::Mount(_) => End::Mount,
            Answers::Methods(_) if pattern.rest.is_some() => End::Rest,
            Answers::Methods(_) => End::Whole,
        }
    }
}

impl Table {
    /// Adds a leaf, or says why it cannot be there.
    pub(super) fn insert(&mut self, leaf: Leaf) -> Option<String> {
        let number = self.leaves.len();
        let place = self.place(&leaf.pattern, End::of(&leaf.pattern, &leaf.answers));
        let Some(first) = *place else {
            *place = Some(number);
            self.leaves.push(leaf);
            return None;
        };
        self.join(first, leaf)
    }

    /// Adds a leaf where one of the same shape is: methods tell them apart.
    fn join(&mut self, first: usize, leaf: Leaf) -> Option<String> {
        let mut group = self.group(first);
        let known = |at: &usize| &self.leaves[*at];
        let problem = group.iter().find_map(|at| known(at).conflict(&leaf));
        if problem.is_some() {
            return problem;
        }
        let has_names = |known: &Leaf| known.pattern.names().eq(leaf.pattern.names());
        match group.iter().find(|at| has_names(&self.leaves[**at])) {
            Some(&same) => self.leaves[same].answers.add(leaf.answers),
            None => {
                let number = self.leaves.len();
                group.push(number);
                self.leaves[first].others.push(number);
                self.leaves.push(leaf);
            }
        }
        for &at in &group {
            let others = group.iter().filter(|other| **other != at);
            let elsewhere = others.flat_map(|other| self.leaves[*other].answers.listed());
            let elsewhere = elsewhere.collect();
            self.leaves[at].answers.leave(elsewhere);
        }
        None
    }

    /// The numbers of a leaf and of those of its shape.
    fn group(&self, first: usize) -> Vec<usize> {
        let others = self.leaves[first].others.iter().copied();
        std::iter::once(first).chain(others).collect()
    }

    /// All leaves of an end: patterns of one shape that have other names and other methods.
    pub(super) fn leaves_at(&self, end: Option<usize>) -> impl Iterator<Item = &Leaf> {
        self.leaf(end).into_iter().flat_map(|first| {
            let others = first.others.iter().copied();
            std::iter::once(first).chain(others.filter_map(|other| self.leaf(Some(other))))
        })
    }

    /// The place for a leaf with this pattern: the number of the one that is there, or nothing.
    fn place(&mut self, pattern: &Pattern, end: End) -> &mut Option<usize> {
        self.has_constraints |= pattern.is_constrained();
        if self.tree.is_empty() {
            self.tree.push(Node::default());
        }
        let at = pattern
            .segments
            .iter()
            .fold(0, |at, segment| self.step(at, segment));
        let depth = pattern.segments.len();
        if end != End::Whole && self.begins.len() <= depth {
            self.begins.resize_with(depth + 1, Shapes::default);
        }
        let shape = pattern.shape();
        match end {
            End::Whole if pattern.is_static() => {
                let number = self.leaves.len();
                self.texts.insert(shape, number);
            }
            End::Whole => self.whole.insert(shape, at),
            End::Rest | End::Mount => self.begins[depth].insert(shape, at),
        }
        let ends = &mut self.tree[at].ends;
        match end {
            End::Whole => &mut ends.whole,
            End::Rest => &mut ends.rest,
            End::Mount => &mut ends.mount,
        }
    }

    /// The place that follows `at` by this segment, made where there is none.
    fn step(&mut self, at: usize, segment: &Segment) -> usize {
        let next = self.tree.len();
        let node = &mut self.tree[at];
        let found = match segment {
            Segment::Text(text) => *node.texts.entry(text.clone()).or_insert(next),
            Segment::Any(_) | Segment::Rest(_) => *node.any.get_or_insert(next),
            Segment::Shaped(shaped) => {
                let known = node
                    .shaped
                    .iter()
                    .find(|(known, _)| known.key == shaped.key);
                known.map(|(_, at)| *at).unwrap_or_else(|| {
                    node.shaped.push((shaped.clone(), next));
                    next
                })
            }
        };
        if found == next {
            self.tree.push(Node::default());
        }
        found
    }

    /// A quick look for a pattern of a whole path; what is captured may turn out not to be in canonical form.
    #[inline]
    pub(super) fn whole(&self, path: &str) -> First<&Leaf> {
        // Text comes before everything else.
        if let Some(leaf) = self.texts.find(path) {
            return self.leaf(Some(leaf)).map_or(First::Unsure, First::One);
        }
        match self.whole.find(path) {
            None if self.has_constraints => First::Unsure,
            None => First::None,
            Some(at) => {
                let leaf = at.and_then(|at| self.leaf(self.tree[at].ends.whole));
                leaf.filter(|_| !self.has_constraints)
                    .map_or(First::Unsure, First::One)
            }
        }
    }

    /// The same for what only begins a path in canonical form that no pattern has as a whole, and how much of it that is.
    pub(super) fn begins(&self, path: &str) -> First<(&Leaf, usize)> {
        let begins = self.begins.iter().enumerate().rev();
        for (depth, shapes) in begins.filter(|(_, shapes)| !shapes.places.is_empty()) {
            let length = prefix_length(path, depth);
            let Some((beginning, rest)) = length.and_then(|length| path.split_at_checked(length))
            else {
                continue;
            };
            match shapes.find(if depth == 0 { "/" } else { beginning }) {
                None => {}
                Some(None) => return First::Unsure,
                Some(Some(at)) => {
                    if let Some(leaf) = self.beginning(at, rest).next() {
                        return First::One((leaf, beginning.len()));
                    }
                }
            }
        }
        First::None
    }

    /// Shows all leaves whose patterns a path in canonical form has, the most specific first, until `visit` breaks.
    ///
    /// Patterns of the whole path come first, then those that take the rest and mounts, the longest first. Text comes
    /// before constraints, constraints before plain captures, segment by segment.
    pub(super) fn each<'a>(
        &'a self,
        path: &str,
        visit: &mut dyn FnMut(&'a Leaf) -> ControlFlow<()>,
    ) {
        if self.tree.is_empty() {
            return;
        }
        let whole = self.walk(0, path, None, &mut |at, rest| {
            let end = self.tree[at].ends.whole.filter(|_| rest.is_empty());
            self.leaves_at(end).try_for_each(&mut *visit)
        });
        let mut found = whole;
        for depth in (0..self.begins.len()).rev() {
            if found.is_break() {
                return;
            }
            found = self.walk(0, path, Some(depth), &mut |at, rest| {
                self.beginning(at, rest).try_for_each(&mut *visit)
            });
        }
    }

    /// Walks every way through the tree that the path allows, `depth` segments or all of them.
    fn walk(
        &self,
        at: usize,
        path: &str,
        depth: Option<usize>,
        visit: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let inside = path.strip_prefix('/').filter(|_| depth != Some(0));
        let Some(inside) = inside else {
            let is_there = depth.is_none_or(|depth| depth == 0);
            return if is_there {
                visit(at, path)
            } else {
                ControlFlow::Continue(())
            };
        };
        let end = inside.find('/').unwrap_or(inside.len());
        let (segment, rest) = inside.split_at_checked(end).unwrap_or((inside, ""));
        let node = &self.tree[at];
        let text = node.texts.get(segment).copied();
        let shaped = node
            .shaped
            .iter()
            .filter(|(shaped, _)| shaped.takes_coded(segment))
            .map(|(_, at)| *at);
        let any = node.any.filter(|_| !segment.is_empty());
        for next in text.into_iter().chain(shaped).chain(any) {
            self.walk(next, rest, depth.map(|depth| depth - 1), visit)?;
        }
        ControlFlow::Continue(())
    }

    /// What stands at a place that begins a path, before `rest`.
    fn beginning(&self, at: usize, rest: &str) -> impl Iterator<Item = &Leaf> {
        let ends = self.tree[at].ends;
        // What takes the rest takes at least one character of it.
        let takes_rest = ends.rest.filter(|_| rest.len() > 1);
        self.leaves_at(takes_rest).chain(self.leaves_at(ends.mount))
    }

    pub(super) fn leaf(&self, number: Option<usize>) -> Option<&Leaf> {
        self.leaves.get(number?)
    }
}

/// Paths that are text, by their hash.
#[derive(Clone)]
struct Texts {
    leaves: HashMap<Box<str>, usize, RandomState>,
    /// The marks that some text has; most paths that are no text have another, and are not hashed.
    marks: [bool; 256],
}

impl Default for Texts {
    fn default() -> Texts {
        Texts {
            leaves: HashMap::default(),
            marks: [false; 256],
        }
    }
}

impl Texts {
    fn insert(&mut self, text: String, leaf: usize) {
        self.marks[mark(&text)] = true;
        self.leaves.entry(text.into()).or_insert(leaf);
    }

    #[inline]
    fn find(&self, path: &str) -> Option<usize> {
        if !self.marks[mark(path)] {
            return None;
        }
        self.leaves.get(path).copied()
    }
}

/// A number below 256 that tells paths by their length and last byte.
#[inline]
fn mark(path: &str) -> usize {
    let last = path.as_bytes().last().map_or(0, |&last| usize::from(last));
    (path.len() * 37 + last) % 256
}

/// Shapes of patterns in `matchit`'s index; several places with the same shape are none.
#[derive(Clone)]
struct Shapes {
    index: matchit::Router<usize>,
    places: Vec<Option<usize>>,
    by_shape: HashMap<String, usize>,
    /// Whether the index took every shape; the tree has to be asked otherwise.
    is_whole: bool,
}

impl Default for Shapes {
    fn default() -> Shapes {
        Shapes {
            index: matchit::Router::new(),
            places: Vec::new(),
            by_shape: HashMap::new(),
            is_whole: true,
        }
    }
}

impl Shapes {
    fn insert(&mut self, shape: String, place: usize) {
        if let Some(&known) = self.by_shape.get(&shape) {
            let known = &mut self.places[known];
            *known = known.filter(|known| *known == place);
            return;
        }
        let number = self.places.len();
        self.by_shape.insert(shape.clone(), number);
        self.places.push(Some(place));
        self.is_whole &= self.index.insert(shape, number).is_ok();
    }

    /// The place of the shape that a path has; `None` inside where several have it.
    fn find(&self, path: &str) -> Option<Option<usize>> {
        if !self.is_whole {
            return Some(None);
        }
        let found = self.index.at(path).ok()?;
        self.places.get(*found.value).copied()
    }
}
