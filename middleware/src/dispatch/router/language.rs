//! Whether one regular expression takes all that another takes.

use std::collections::HashSet;

use regex_automata::dfa::{Automaton, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input};

/// How large a table may be while it is made, in bytes; what needs more is not compared.
const TABLE: usize = 1024 * 1024;
/// How many pairs of states are looked at before it is given up.
const PAIRS: usize = 4096;

/// All texts that an anchored expression takes.
#[derive(Debug)]
pub(super) struct Language(dense::DFA<Vec<u32>>);

impl Language {
    /// `None` where the expression has what a table cannot tell, such as Unicode word boundaries, or is too large.
    pub(super) fn of(expression: &str) -> Option<Language> {
        let config = dense::Config::new()
            .start_kind(regex_automata::dfa::StartKind::Anchored)
            .dfa_size_limit(Some(TABLE))
            .determinize_size_limit(Some(TABLE));
        let table = dense::Builder::new()
            .configure(config)
            .thompson(thompson::Config::new().nfa_size_limit(Some(TABLE)))
            .build(expression);
        table.ok().map(Language)
    }

    /// Whether every text of `other` is one of these; `false` also where that takes too long to tell.
    pub(super) fn takes_all_of(&self, other: &Language) -> bool {
        let (Some(here), Some(there)) = (self.start(), other.start()) else {
            return false;
        };
        let mut seen = HashSet::from([(here, there)]);
        let mut waiting = vec![(here, there)];
        while let Some((here, there)) = waiting.pop() {
            if other.ends(there) && !self.ends(here) {
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
            if seen.len() > PAIRS {
                return false;
            }
        }
        true
    }

    fn start(&self) -> Option<StateID> {
        let input = Input::new("").anchored(Anchored::Yes);
        self.0.start_state_forward(&input).ok()
    }

    /// Whether a text that led to this state is taken.
    fn ends(&self, state: StateID) -> bool {
        self.0.is_match_state(self.0.next_eoi_state(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_expression_takes_all_of_another() {
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
            // Nothing is taken of nothing.
            ("a", "[a&&b]", true),
        ];
        for (expression, other, expected) in cases {
            let language = |text: &str| Language::of(&format!("^(?s:{text})$")).unwrap();
            let found = language(expression).takes_all_of(&language(other));
            assert_eq!(found, expected, "{expression} and {other}");
        }
        assert!(Language::of("^a\\b.$").is_none());
    }
}
