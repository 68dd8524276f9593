//! Finds routes that no request reaches, because another route matches all their paths.
//!
//! Each segment is compared with those of the same node that come before it: text comes first, then constraints in the
//! order in which they were added, then plain captures. A route that only several others hide together is not found.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::Method;

use super::dfa::Dfa;
use super::route::{Methods, Route, Target};
use super::segment::{Constrained, Constraint};
use super::table::{Node, Table};

/// The limit for comparisons of segments: enough for a hundred constraints at one place.
const COMPARISON_LIMIT: usize = 10_000;

/// The expression for what `{name}` matches.
const ANYTHING: &str = "^(?s:.+)$";

/// A route that no request reaches, because another one matches all its paths and comes first.
///
/// [`Router::check`](super::Router::check) finds them; [`Display`](fmt::Display) makes a sentence of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenRoute {
    method: Option<Method>,
    pattern: String,
    hidden_by: String,
}

impl HiddenRoute {
    /// The method; `None` for a mount, and for all methods that the route does not list.
    #[must_use]
    pub fn method(&self) -> Option<&Method> {
        self.method.as_ref()
    }

    /// The pattern of the route, or the prefix of the mount; with the prefix of the router if that is nested.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The pattern of the route that comes first.
    #[must_use]
    pub fn hidden_by(&self) -> &str {
        &self.hidden_by
    }

    /// Orders by pattern; a method comes before all that are not listed.
    fn key(&self) -> (&str, bool, &str, &str) {
        let method = self.method.as_ref().map(Method::as_str);
        let is_any = method.is_none();
        (
            &self.pattern,
            is_any,
            method.unwrap_or_default(),
            &self.hidden_by,
        )
    }

    pub(super) fn below(self, prefix: &str) -> HiddenRoute {
        let prefix = prefix.trim_end_matches('/');
        HiddenRoute {
            method: self.method,
            pattern: format!("{prefix}{}", self.pattern),
            hidden_by: format!("{prefix}{}", self.hidden_by),
        }
    }
}

impl fmt::Display for HiddenRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pattern, hidden_by) = (&self.pattern, &self.hidden_by);
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        write!(
            f,
            "{pattern:?} is never reached: {hidden_by:?} comes first and matches all its paths"
        )
    }
}

/// A sentence for each hidden route.
pub(super) fn warnings(table: &Table) -> impl Iterator<Item = String> {
    hidden_routes(table)
        .into_iter()
        .map(|hidden| hidden.to_string())
}

/// The hidden routes of this router, without those of nested ones.
pub(super) fn hidden_routes(table: &Table) -> Vec<HiddenRoute> {
    let mut search = Search {
        table,
        automata: Automata::default(),
        comparisons_left: COMPARISON_LIMIT,
        found: Vec::new(),
    };
    for node in &table.nodes {
        search.siblings(node);
    }
    // The same two routes may meet at several nodes, whose order is that of a hash.
    search
        .found
        .sort_by(|one, other| one.key().cmp(&other.key()));
    search.found.dedup();
    search.found
}

struct Search<'a> {
    table: &'a Table,
    automata: Automata,
    comparisons_left: usize,
    found: Vec<HiddenRoute>,
}

/// A segment that follows a node.
#[derive(Clone, Copy)]
enum Child<'a> {
    Text(&'a str),
    Constrained(&'a Arc<Constrained>),
    Any,
}

impl<'a> Search<'a> {
    /// Compares each constraint of a node with the segments that come after it.
    fn siblings(&mut self, node: &'a Node) {
        for (number, (first, place)) in node.constrained.iter().enumerate() {
            let others = node.constrained.iter().skip(number + 1);
            let others = others.map(|(other, at)| (Child::Constrained(other), *at));
            for (other, at) in others.chain(node.any.map(|at| (Child::Any, at))) {
                if self.matches_all_of(Child::Constrained(first), other) {
                    self.compare(*place, at);
                }
            }
        }
    }

    /// Adds the routes from node `hidden` on whose paths routes from node `before` on match.
    fn compare(&mut self, before: usize, hidden: usize) {
        let table = self.table;
        let (first, second) = (&table.nodes[before], &table.nodes[hidden]);
        let ends = [
            (first.ends.whole, second.ends.whole),
            (first.ends.rest, second.ends.rest),
            (first.ends.mount, second.ends.mount),
        ];
        for (first, second) in ends {
            for second in table.routes_at(second) {
                let hiding = table.routes_at(first);
                self.found
                    .extend(hiding.flat_map(|first| hides(first, second)));
            }
        }
        for (child, below) in children(second) {
            for (other, at) in children(first) {
                if self.matches_all_of(other, child) {
                    self.compare(at, below);
                }
            }
        }
    }

    /// Whether `child` matches every segment that `other` matches.
    fn matches_all_of(&mut self, child: Child<'_>, other: Child<'_>) -> bool {
        if self.comparisons_left == 0 {
            return false;
        }
        self.comparisons_left -= 1;
        match (child, other) {
            (Child::Text(text), Child::Text(other)) => text == other,
            (Child::Text(_), _) => false,
            (Child::Constrained(constrained), Child::Text(text)) => {
                constrained.matches_encoded(text)
            }
            (Child::Any, Child::Text(text)) => !text.is_empty(),
            (Child::Any, Child::Any) => true,
            (child, other) => self.automata.is_superset(child, other),
        }
    }
}

fn children(node: &Node) -> impl Iterator<Item = (Child<'_>, usize)> {
    let texts = node.texts.iter().map(|(text, at)| (Child::Text(text), *at));
    let constrained = node.constrained.iter();
    let constrained = constrained.map(|(known, at)| (Child::Constrained(known), *at));
    texts
        .chain(constrained)
        .chain(node.any.map(|at| (Child::Any, at)))
}

/// The automata of expressions, each built once.
#[derive(Default)]
struct Automata {
    any: OnceCell<Option<Dfa>>,
    constrained: HashMap<String, Option<Dfa>>,
}

impl Automata {
    fn is_superset(&mut self, child: Child<'_>, other: Child<'_>) -> bool {
        for child in [child, other] {
            if let Child::Constrained(constrained) = child {
                let key = constrained.key.clone();
                let build = || Dfa::new(&expression(&constrained.constraint));
                self.constrained.entry(key).or_insert_with(build);
            }
        }
        let dfa = |child: Child<'_>| match child {
            Child::Constrained(constrained) => self.constrained.get(&constrained.key)?.as_ref(),
            Child::Any => self.any.get_or_init(|| Dfa::new(ANYTHING)).as_ref(),
            Child::Text(_) => None,
        };
        match (dfa(child), dfa(other)) {
            (Some(child), Some(other)) => child.is_superset_of(other),
            _ => false,
        }
    }
}

fn expression(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Named(named) => format!("^(?s:{})$", named.expression()),
        Constraint::Regex(regex) => regex.as_ref().to_owned(),
    }
}

/// What the first route hides of the second, if its pattern matches all paths of the second.
fn hides(first: &Route, second: &Route) -> Vec<HiddenRoute> {
    let hidden = |method: Option<&Method>| HiddenRoute {
        method: method.cloned(),
        pattern: second.pattern.text.to_string(),
        hidden_by: first.pattern.text.to_string(),
    };
    match (&first.target, &second.target) {
        (Target::Methods(first), Target::Methods(second)) => {
            hidden_methods(first, second).map(hidden).collect()
        }
        _ => vec![hidden(None)],
    }
}

/// The methods of the second that the first has too; `None` for those that are not listed.
fn hidden_methods<'a>(
    first: &'a Methods,
    second: &'a Methods,
) -> impl Iterator<Item = Option<&'a Method>> {
    let has = |method| first.any.is_some() || first.listed.iter().any(|(known, _)| known == method);
    let listed = second.listed.iter().map(|(method, _)| method);
    let listed = listed.filter(move |method| has(*method)).map(Some);
    listed.chain((first.any.is_some() && second.any.is_some()).then_some(None))
}
