//! The constraints that have a name.

/// A constraint that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedConstraint {
    Int,
    Uuid,
    Slug,
}

impl NamedConstraint {
    pub(super) fn new(name: &str) -> Option<NamedConstraint> {
        Some(match name {
            "int" => NamedConstraint::Int,
            "uuid" => NamedConstraint::Uuid,
            "slug" => NamedConstraint::Slug,
            _ => return None,
        })
    }

    /// The regular expression that matches the same.
    #[cfg_attr(
        not(feature = "regex"),
        expect(dead_code, reason = "only a regular expression needs it")
    )]
    pub(super) fn expression(self) -> &'static str {
        match self {
            NamedConstraint::Int => "-?[0-9]+",
            NamedConstraint::Uuid => "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
            NamedConstraint::Slug => "[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*",
        }
    }

    pub(super) fn is_match(self, text: &str) -> bool {
        let all =
            |text: &str, is: fn(&u8) -> bool| !text.is_empty() && text.as_bytes().iter().all(is);
        match self {
            NamedConstraint::Int => all(text.strip_prefix('-').unwrap_or(text), u8::is_ascii_digit),
            NamedConstraint::Uuid => {
                let parts = text
                    .split('-')
                    .map(|part| all(part, u8::is_ascii_hexdigit).then_some(part.len()));
                parts.eq([8, 4, 4, 4, 12].map(Some))
            }
            NamedConstraint::Slug => text
                .split('-')
                .all(|part| all(part, u8::is_ascii_alphanumeric)),
        }
    }
}
