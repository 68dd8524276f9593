//! Content that looks like real content, the same in every run.

use std::fmt::Write;

/// Pseudo-random numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn word(&mut self) -> String {
        let parts = [
            "an", "ber", "cor", "dun", "el", "fen", "gar", "hol", "in", "jo", "kal", "lor", "men",
            "nor", "os", "per",
        ];
        (0..2 + self.below(2))
            .map(|_| parts[self.below(16) as usize])
            .collect()
    }
}

/// A list of orders, as an API would return it.
pub fn json(length: usize) -> String {
    let mut numbers = Numbers(1);
    let mut text = String::from("[");
    while text.len() < length {
        let (first, last) = (numbers.word(), numbers.word());
        let _ = write!(
            text,
            "{{\"id\":{},\"name\":\"{first} {last}\",\"email\":\"{first}.{last}@example.org\",\"price\":{}.{:02},\"created\":\"2026-{:02}-{:02}T{:02}:{:02}:00Z\",\"tags\":[\"{}\",\"{}\"],\"active\":{}}},",
            numbers.below(1_000_000),
            numbers.below(500),
            numbers.below(100),
            1 + numbers.below(12),
            1 + numbers.below(28),
            numbers.below(24),
            numbers.below(60),
            numbers.word(),
            numbers.word(),
            numbers.below(2) == 0,
        );
    }
    text.truncate(length - 1);
    text + "]"
}

/// A script: functions that call each other, as a bundler would write them.
pub fn script(length: usize) -> String {
    let mut numbers = Numbers(2);
    let mut text = String::from("\"use strict\";");
    while text.len() < length {
        let (name, other, field, value) = (
            numbers.word(),
            numbers.word(),
            numbers.word(),
            numbers.word(),
        );
        let _ = match numbers.below(4) {
            0 => write!(
                text,
                "function {name}(e,t){{return e.{field}?t({other}(e.{field},{})):void 0!==e.{value}&&t(e.{value})}}",
                numbers.below(4096)
            ),
            1 => write!(
                text,
                "var {name}=function(){{var e=this.{field}||[];return e.map(function(t){{return t.{value}+{}}}).filter(Boolean)}};",
                numbers.below(4096)
            ),
            2 => write!(
                text,
                "{other}.prototype.{name}=async e=>{{const t=await fetch(`/{field}/${{e.{value}}}`);if(!t.ok)throw new Error(\"{field} {value}\");return t.json()}};"
            ),
            _ => write!(
                text,
                "Object.defineProperty(exports,\"{name}\",{{enumerable:!0,get:function(){{return {other}.{field}}}}});"
            ),
        };
    }
    text.truncate(length);
    text
}
