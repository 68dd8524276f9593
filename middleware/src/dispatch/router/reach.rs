//! Finds routes that no request reaches, as another takes every path that they have.
//!
//! A segment is compared with one of the same place that comes before it: text comes first, then constraints in the order
//! in which they were added, then plain captures. What only several routes take together is not found.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::language::Language;
use super::node::{Answers, Leaf, Methods};
use super::segment::{ANYTHING, Shaped};
use super::table::{Node, Table};

/// How many segments are compared; who has more than a thousand constraints in one place is told less.
const COMPARED: usize = 10_000;

/// What is told of routes that nobody reaches: a line for each.
pub(super) fn unreachable(table: &Table) -> Vec<String> {
    let mut search = Search {
        table,
        languages: Languages::default(),
        left: COMPARED,
        found: Vec::new(),
    };
    for node in &table.tree {
        search.siblings(node);
    }
    // The same two may meet in several places of the tree.
    let mut told = HashSet::new();
    search.found.retain(|line| told.insert(line.clone()));
    search.found
}

struct Search<'a> {
    table: &'a Table,
    languages: Languages,
    left: usize,
    found: Vec<String>,
}

/// What a child of a place takes.
#[derive(Clone, Copy)]
enum Child<'a> {
    Text(&'a str),
    Shaped(&'a Arc<Shaped>),
    Any,
}

impl<'a> Search<'a> {
    /// Compares each constraint of a place with what comes after it.
    fn siblings(&mut self, node: &'a Node) {
        for (number, (first, place)) in node.shaped.iter().enumerate() {
            let others = node.shaped.iter().skip(number + 1);
            let others = others.map(|(other, at)| (Child::Shaped(other), *at));
            for (other, at) in others.chain(node.any.map(|at| (Child::Any, at))) {
                if self.takes(Child::Shaped(first), other) {
                    self.compare(*place, at);
                }
            }
        }
    }

    /// Notes what at `hidden` and below has its paths taken at `before` and below.
    fn compare(&mut self, before: usize, hidden: usize) {
        let table = self.table;
        let (first, second) = (&table.tree[before], &table.tree[hidden]);
        let ends = [
            (first.ends.whole, second.ends.whole),
            (first.ends.rest, second.ends.rest),
            (first.ends.mount, second.ends.mount),
        ];
        for (first, second) in ends {
            for second in table.leaves_at(second) {
                let hiding = table.leaves_at(first);
                self.found
                    .extend(hiding.flat_map(|first| hides(first, second)));
            }
        }
        for (child, below) in children(second) {
            for (other, at) in children(first) {
                if self.takes(other, child) {
                    self.compare(at, below);
                }
            }
        }
    }

    /// Whether every segment that is `other` is `child` too.
    fn takes(&mut self, child: Child<'_>, other: Child<'_>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        match (child, other) {
            (Child::Text(text), Child::Text(other)) => text == other,
            (Child::Text(_), _) => false,
            (Child::Shaped(shaped), Child::Text(text)) => shaped.takes_coded(text),
            (Child::Any, Child::Text(text)) => !text.is_empty(),
            (Child::Any, Child::Any) => true,
            (child, other) => self.languages.takes_all_of(child, other),
        }
    }
}

fn children(node: &Node) -> impl Iterator<Item = (Child<'_>, usize)> {
    let texts = node.texts.iter().map(|(text, at)| (Child::Text(text), *at));
    let shaped = node
        .shaped
        .iter()
        .map(|(shaped, at)| (Child::Shaped(shaped), *at));
    texts
        .chain(shaped)
        .chain(node.any.map(|at| (Child::Any, at)))
}

/// Tables of expressions, each made once.
#[derive(Default)]
struct Languages {
    any: OnceCell<Option<Language>>,
    shaped: HashMap<String, Option<Language>>,
}

impl Languages {
    fn takes_all_of(&mut self, child: Child<'_>, other: Child<'_>) -> bool {
        for child in [child, other] {
            if let Child::Shaped(shaped) = child {
                let make = || Language::of(&shaped.expression);
                self.shaped.entry(shaped.key.clone()).or_insert_with(make);
            }
        }
        let language = |child: Child<'_>| match child {
            Child::Shaped(shaped) => self.shaped.get(&shaped.key)?.as_ref(),
            Child::Any => self.any.get_or_init(|| Language::of(ANYTHING)).as_ref(),
            Child::Text(_) => None,
        };
        match (language(child), language(other)) {
            (Some(child), Some(other)) => child.takes_all_of(other),
            _ => false,
        }
    }
}

/// What is told where a leaf answers all that another one answers.
fn hides(first: &Leaf, second: &Leaf) -> Vec<String> {
    let (before, text) = (&first.pattern.text, &second.pattern.text);
    let tell = |what: String| {
        format!("{what} is never reached: {before:?}, which comes before it, takes all its paths")
    };
    match (&first.answers, &second.answers) {
        (Answers::Methods(first), Answers::Methods(second)) => hidden_methods(first, second)
            .map(|method| tell(format!("{method}{text:?}")))
            .collect(),
        _ => vec![tell(format!("{text:?}"))],
    }
}

/// Those of the second that the first answers too, each with a space behind it.
fn hidden_methods<'a>(
    first: &'a Methods,
    second: &'a Methods,
) -> impl Iterator<Item = String> + 'a {
    let has = |method| first.any.is_some() || first.listed.iter().any(|(known, _)| known == method);
    let listed = second.listed.iter().map(|(method, _)| method);
    let listed = listed
        .filter(move |method| has(*method))
        .map(|method| format!("{method} "));
    let any = (first.any.is_some() && second.any.is_some()).then(String::new);
    listed.chain(any)
}
