//! Whether one regular expression matches all that another matches.

use std::collections::HashSet;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input};

/// The limit for an automaton, in bytes; a larger one is not compared.
const SIZE_LIMIT: usize = 1024 * 1024;
/// The limit for pairs of states that are compared.
const PAIR_LIMIT: usize = 4096;

/// A deterministic automaton for an anchored expression.
#[derive(Debug)]
pub(super) struct Dfa(dense::DFA<Vec<u32>>);

impl Dfa {
    /// Returns `None` if the automaton is too large, or the expression has what no automaton decides, such as Unicode word
    /// boundaries.
    pub(super) fn new(expression: &str) -> Option<Dfa> {
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(SIZE_LIMIT))
            .determinize_size_limit(Some(SIZE_LIMIT));
        let built = dense::Builder::new()
            .configure(config)
            .thompson(thompson::Config::new().nfa_size_limit(Some(SIZE_LIMIT)))
            .build(expression);
        built.ok().map(Dfa)
    }

    /// Whether this automaton matches every text that `other` matches; `false` if that takes too many steps.
    pub(super) fn is_superset_of(&self, other: &Dfa) -> bool {
        let (Some(here), Some(there)) = (self.start(), other.start()) else {
            return false;
        };
        let mut seen = HashSet::from([(here, there)]);
        let mut waiting = vec![(here, there)];
        while let Some((here, there)) = waiting.pop() {
            if other.is_match(there) && !self.is_match(here) {
                return false;
            }
            for byte in 0..=u8::MAX {
                let next = (
                    self.0.next_state(here, byte),
                    other.0.next_state(there, byte),
                );
                if !other.0.is_dead_state(next.1) && seen.insert(next) {
                    waiting.push(next);
                }
            }
            if seen.len() > PAIR_LIMIT {
                return false;
            }
        }
        true
    }

    fn start(&self) -> Option<StateID> {
        let input = Input::new("").anchored(Anchored::Yes);
        self.0.start_state_forward(&input).ok()
    }

    /// Whether a text that leads to this state matches.
    fn is_match(&self, state: StateID) -> bool {
        self.0.is_match_state(self.0.next_eoi_state(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_expression_matches_all_of_another() {
        let cases = [
            ("a+", "a", true),
            ("a", "a+", false),
            (".+", "[a-z]{2,5}", true),
            (".*", ".+", true),
            (".+", ".*", false),
            ("[a-z0-9-]+", "[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*", false),
            ("[a-zA-Z0-9-]+", "[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*", true),
            ("-?[0-9]+", "[0-9]+", true),
            ("(?<c1>.+?)\\.(?<c2>.+?)", "[a-z]+\\.tar\\.gz", true),
            ("[^x]*", "[a-w]*", true),
            ("[^x]*", "[a-z]*", false),
            ("é|e", "é", true),
            ("(?i)abc", "aBc", true),
            // An expression that matches nothing.
            ("a", "[a&&b]", true),
        ];
        for (expression, other, expected) in cases {
            let dfa = |text: &str| Dfa::new(&format!("^(?s:{text})$")).unwrap();
            let found = dfa(expression).is_superset_of(&dfa(other));
            assert_eq!(found, expected, "{expression} and {other}");
        }
        assert!(Dfa::new("^a\\b.$").is_none());
    }
}
