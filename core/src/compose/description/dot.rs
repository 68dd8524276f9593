//! The tree in the DOT language of Graphviz.

use std::fmt::Write;

use super::Description;

pub(super) fn write(tree: &Description) -> String {
    let mut dot = String::from("digraph {\n  node [shape=box, fontname=\"sans-serif\"];\n");
    dot.push_str("  edge [fontname=\"sans-serif\"];\n");
    // No recursion: a tree may be as deep as memory allows. Components are numbered as they are found.
    let mut pending = vec![(0, tree)];
    let mut count = 1;
    while let Some((number, component)) = pending.pop() {
        let mut label = component.name.clone();
        for (name, value) in &component.options {
            label.push_str(&format!("\n{name}: {value}"));
        }
        let _ = writeln!(dot, "  n{number} [label={}];", quoted(&label));
        let first = count;
        for (label, _) in &component.children {
            let _ = match label.is_empty() {
                true => writeln!(dot, "  n{number} -> n{count};"),
                false => writeln!(dot, "  n{number} -> n{count} [label={}];", quoted(label)),
            };
            count += 1;
        }
        for (at, (_, child)) in component.children.iter().enumerate().rev() {
            pending.push((first + at, child));
        }
    }
    dot.push_str("}\n");
    dot
}

/// A string in double quotes, in which `\\n` begins a new line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            character if character.is_control() => quoted.push('\u{fffd}'),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_options_and_branches_are_shown() {
        let tree = Description::new("R\"\\\u{7}")
            .child("GET /a", Description::new("A").option("x", 1))
            .child("", Description::new("B").child("", Description::new("C")));
        let expected = [
            "digraph {",
            "  node [shape=box, fontname=\"sans-serif\"];",
            "  edge [fontname=\"sans-serif\"];",
            "  n0 [label=\"R\\\"\\\\\u{fffd}\"];",
            "  n0 -> n1 [label=\"GET /a\"];",
            "  n0 -> n2;",
            "  n1 [label=\"A\\nx: 1\"];",
            "  n2 [label=\"B\"];",
            "  n2 -> n3;",
            "  n3 [label=\"C\"];",
            "}\n",
        ];
        assert_eq!(tree.to_dot(), expected.join("\n"));
    }
}
