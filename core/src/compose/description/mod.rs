//! The tree of components, as text.

mod dot;
mod json;
mod value;

use std::any::type_name;
use std::fmt;

pub use self::value::OptionValue;

/// A component's description of itself and of its children.
///
/// [`Display`](fmt::Display) prints the tree, outermost first, one component a line:
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::Description;
///
/// let tree = Description::new("AccessLog")
///     .option("format", "combined")
///     .child("", Description::new("Router").child("GET /", Description::new("home")));
/// assert_eq!(tree.to_string(), "AccessLog (format: combined)\n└─ Router\n   └─ GET /: home\n");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    name: String,
    options: Vec<(String, OptionValue)>,
    children: Vec<(String, Description)>,
    warnings: Vec<String>,
}

impl Description {
    /// Describes a component by name, without options or children.
    pub fn new(name: impl Into<String>) -> Self {
        Description {
            name: name.into(),
            options: Vec::new(),
            children: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Describes a component by the short name of its type: `Router`, `hello`, `closure in main`.
    #[must_use]
    pub fn of<T: ?Sized>() -> Self {
        Description::new(short_name(type_name::<T>()))
    }

    /// Adds an option, with its value in the type of the program; never a secret.
    ///
    /// A description is printed, shown on error pages, and written to files. For an option that may be secret (a key,
    /// the value of a header), add only that it is set, or its name.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use std::time::Duration;
    ///
    /// use enfilade::{Description, OptionValue};
    ///
    /// let pool = Description::new("Pool").option("wait", Duration::from_millis(1_500)).option("threads", 8);
    /// let (name, wait) = pool.options().next().unwrap();
    /// assert_eq!((name, wait), ("wait", &OptionValue::Duration(Duration::from_millis(1_500))));
    /// assert_eq!(pool.to_string(), "Pool (wait: 1.5s, threads: 8)\n");
    /// ```
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<OptionValue>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }

    /// Adds a child, with a label that says when it is reached; the label is empty if none is needed.
    #[must_use]
    pub fn child(mut self, label: impl Into<String>, child: Description) -> Self {
        self.children.push((label.into(), child));
        self
    }

    /// Adds a sentence about a mistake in the component's set-up, for checks such as `doctor`.
    ///
    /// The printed tree, the JSON and the picture do not show it.
    #[must_use]
    pub fn warning(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }

    /// The component's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options, in the order in which they were added.
    pub fn options(&self) -> impl Iterator<Item = (&str, &OptionValue)> {
        self.options
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// The children, each with its label.
    pub fn children(&self) -> impl Iterator<Item = (&str, &Description)> {
        self.children
            .iter()
            .map(|(label, child)| (label.as_str(), child))
    }

    /// The warnings, in the order in which they were added.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.warnings.iter().map(String::as_str)
    }

    /// The description in one line, with those inside in brackets: for an option of a component that uses it.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Description;
    ///
    /// let store = Description::new("MemorySessions").option("limit", 100);
    /// assert_eq!(store.to_line(), "MemorySessions (limit: 100)");
    /// ```
    #[must_use]
    pub fn to_line(&self) -> String {
        let options = self
            .options()
            .map(|(name, value)| format!("{name}: {value}"));
        let inside = self.children().map(|(_, inside)| inside.to_line());
        let parts: Vec<String> = options.chain(inside).collect();
        match parts.is_empty() {
            true => self.name().to_owned(),
            false => format!("{} ({})", self.name(), parts.join(", ")),
        }
    }

    /// The tree as JSON, for other tools.
    ///
    /// A component has `name`, `options` and `children`; each child has a `label` and a `component`. Numbers, flags and
    /// lists are those of JSON. An option that is off is `null`. All other values are text as people read it: `"30s"`,
    /// `"16 KiB"`.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Description;
    ///
    /// let tree = Description::new("Router").child("GET /", Description::new("home").option("hits", 3));
    /// assert_eq!(
    ///     tree.to_json(),
    ///     concat!(
    ///         r#"{"name":"Router","options":{},"children":[{"label":"GET /","component":"#,
    ///         r#"{"name":"home","options":{"hits":3},"children":[]}}]}"#,
    ///     ),
    /// );
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// The tree in the language of Graphviz: `dot -Tsvg` draws it.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Description;
    ///
    /// let tree = Description::new("Router").child("GET /", Description::new("home"));
    /// assert_eq!(
    ///     tree.to_dot(),
    ///     concat!(
    ///         "digraph {\n  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\"];\n",
    ///         "  n0 [label=\"Router\"];\n  n0 -> n1 [label=\"GET /\"];\n  n1 [label=\"home\"];\n}\n",
    ///     ),
    /// );
    /// ```
    #[must_use]
    pub fn to_dot(&self) -> String {
        dot::write(self)
    }

    fn write_line(&self, f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
        if !label.is_empty() {
            write!(f, "{label}: ")?;
        }
        f.write_str(&self.name)?;
        for (at, (name, value)) in self.options.iter().enumerate() {
            write!(f, "{}{name}: {value}", if at == 0 { " (" } else { ", " })?;
        }
        f.write_str(if self.options.is_empty() { "\n" } else { ")\n" })
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An explicit stack instead of recursion: a tree may be as deep as memory allows.
        let mut pending = vec![("", self, String::new(), String::new())];
        while let Some((label, description, lead, indent)) = pending.pop() {
            f.write_str(&lead)?;
            description.write_line(f, label)?;
            let last = description.children.len().saturating_sub(1);
            for (at, (label, child)) in description.children.iter().enumerate().rev() {
                let (branch, below) = if at == last {
                    ("└─ ", "   ")
                } else {
                    ("├─ ", "│  ")
                };
                pending.push((
                    label,
                    child,
                    format!("{indent}{branch}"),
                    format!("{indent}{below}"),
                ));
            }
        }
        Ok(())
    }
}

/// `a::b::Router<c::D>` becomes `Router`, `a::main::{{closure}}` becomes `closure in main`.
fn short_name(full: &str) -> String {
    let plain = full.split('<').next().unwrap_or(full);
    let mut parts = plain.rsplit("::").filter(|part| !part.is_empty());
    match (parts.next(), parts.find(|part| !part.starts_with("{{"))) {
        (Some(last), Some(parent)) if last.starts_with("{{") => format!("closure in {parent}"),
        (Some(last), _) => last.to_owned(),
        (None, _) => full.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short() {
        for (full, short) in [
            ("enfilade::Router", "Router"),
            ("enfilade::Router<alloc::string::String>", "Router"),
            ("pipeline::main::{{closure}}", "closure in main"),
            (
                "pipeline::main::{{closure}}::{{closure}}",
                "closure in main",
            ),
            ("hello", "hello"),
        ] {
            assert_eq!(short_name(full), short, "{full}");
        }
    }

    #[test]
    fn prints_branches() {
        let tree = Description::new("Router")
            .child(
                "/a",
                Description::new("A").child("", Description::new("Inner")),
            )
            .child("/b", Description::new("B").option("x", 1).option("y", 2));
        assert_eq!(
            tree.to_string(),
            "Router\n├─ /a: A\n│  └─ Inner\n└─ /b: B (x: 1, y: 2)\n"
        );
    }

    #[test]
    fn prints_a_deep_tree_without_recursion() {
        let deep = (0..2_000).fold(Description::new("end"), |inner, _| {
            Description::new("w").child("", inner)
        });
        assert_eq!(deep.to_string().lines().count(), 2_001);
    }
}
