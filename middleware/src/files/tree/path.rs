//! The path of an entry in a tree: decoded once, and judged segment by segment.

use std::borrow::Cow;
use std::fmt;

use enfilade_core::path::decode_utf8;

/// The path of an entry in a [`FileTree`](crate::FileTree): segments with slashes between them; empty for the root.
///
/// It is made from [`Request::path`](enfilade_core::Request::path), which is decoded once here. A path whose decoded
/// segments could mean another place than they seem to has no `TreePath`: one with an empty segment, `.` or `..`, or with
/// a slash, a backslash or NUL in a segment (`%2F`, `%5C`, `%00`), and one that is not UTF-8. So no tree has to look for
/// them.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::TreePath;
///
/// assert_eq!(TreePath::new("/caf%C3%A9/a%20b.txt").unwrap().as_str(), "café/a b.txt");
/// assert_eq!(TreePath::new("/docs/").unwrap().as_str(), "docs");
/// for path in ["/a//b", "/..", "/a%2Fb", "/a%5Cb", "/a%00", "/%FF", "docs"] {
///     assert_eq!(TreePath::new(path), None);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreePath<'a>(Cow<'a, str>);

impl<'a> TreePath<'a> {
    /// The root of a tree.
    pub const ROOT: TreePath<'static> = TreePath(Cow::Borrowed(""));

    /// Reads a canonical path, which begins with a slash and may end with one; an empty path is the root.
    ///
    /// `None` if a segment is not the name of an entry.
    #[must_use]
    pub fn new(path: &'a str) -> Option<TreePath<'a>> {
        let path = match path {
            "" | "/" => return Some(TreePath::ROOT),
            path => path.strip_prefix('/')?,
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        if !path.contains('%') {
            return path
                .split('/')
                .all(is_name)
                .then_some(TreePath(path.into()));
        }
        let mut text = String::with_capacity(path.len());
        for segment in path.split('/') {
            let name = decode_utf8(segment).filter(|name| is_name(name))?;
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(&name);
        }
        Some(TreePath(text.into()))
    }

    /// Reads text, decoded and without a slash at its front: the name of an entry in an archive or in a list.
    pub(crate) fn from_text(text: &'a str) -> Option<TreePath<'a>> {
        (text.is_empty() || text.split('/').all(is_name)).then_some(TreePath(text.into()))
    }

    /// Returns the segments with slashes between them; no slash at either end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the segments, decoded; none for the root.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// Returns the last segment; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The part of the name after its last dot; empty without one.
    pub(crate) fn extension(&self) -> &str {
        // Byte by byte: names are too short for a search in blocks.
        let end = self.0.bytes().rposition(|byte| matches!(byte, b'.' | b'/'));
        let extension = end.and_then(|end| self.0.get(end..)?.strip_prefix('.'));
        extension.unwrap_or_default()
    }

    /// Returns whether each segment is the name of an ordinary file on Windows too.
    ///
    /// There `con.txt` is the console, `a:b` a stream of the file `a`, `a.` and `a ` the file `a`, and `LONGNA~1` may be a
    /// short name of another file.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::TreePath;
    ///
    /// assert!(TreePath::new("/contact.html").unwrap().is_safe_on_windows());
    /// assert!(!TreePath::new("/con.html").unwrap().is_safe_on_windows());
    /// ```
    #[must_use]
    pub fn is_safe_on_windows(&self) -> bool {
        self.segments().all(is_windows_name)
    }

    /// The path of an entry in this directory, whose name is one segment.
    pub(crate) fn join(&self, name: &str) -> TreePath<'static> {
        TreePath(Cow::Owned(match &*self.0 {
            "" => name.to_owned(),
            directory => format!("{directory}/{name}"),
        }))
    }

    /// The path with this text at its end: a sibling.
    pub(crate) fn with_suffix(&self, suffix: &str) -> TreePath<'static> {
        TreePath(Cow::Owned(format!("{}{suffix}", self.0)))
    }

    /// The path without this text at the end of its name, if a name is left.
    pub(crate) fn without_suffix(&self, suffix: &str) -> Option<TreePath<'_>> {
        let rest = self.0.strip_suffix(suffix)?;
        (!rest.is_empty() && !rest.ends_with('/')).then_some(TreePath(rest.into()))
    }

    pub(crate) fn into_owned(self) -> TreePath<'static> {
        TreePath(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Display for TreePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a decoded segment is a name, and the same name everywhere.
fn is_name(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && !segment.contains(['/', '\\', '\0'])
}

/// Whether a name is an ordinary file's on Windows: no device with any extension, stream, short name, or dropped end.
fn is_windows_name(name: &str) -> bool {
    let dropped = |character: char| character == '.' || character.is_whitespace();
    if name.ends_with(dropped) || name.contains(['<', '>', ':', '"', '|', '?', '*']) {
        return false;
    }
    if name.contains(char::is_control) || is_short_name(name) {
        return false;
    }
    let stem = name.split('.').next().unwrap_or(name);
    !is_device(stem.trim_end_matches(dropped))
}

/// `LONGNA~1` and `LONGNA~1.TXT`: the system makes such names for long ones.
fn is_short_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    let number = stem.rsplit_once('~').map(|(_, number)| number);
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && stem.len() <= 8
    })
}

/// Microsoft's list of reserved names; the superscript digits count as digits.
fn is_device(stem: &str) -> bool {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    if DEVICES
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
    {
        return true;
    }
    let numbered = ["COM", "LPT"].into_iter().any(|port| {
        let front = stem.get(..3);
        front.is_some_and(|front| front.eq_ignore_ascii_case(port))
    });
    let mut rest = stem.chars().skip(3);
    let is_number = |character| matches!(character, '0'..='9' | '¹' | '²' | '³');
    numbered && rest.next().is_some_and(is_number) && rest.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_each_segment_is_judged() {
        for (path, expected) in [
            ("", Some("")),
            ("/", Some("")),
            ("/a", Some("a")),
            ("/a/", Some("a")),
            ("/a%252fb.txt", Some("a%2fb.txt")),
            ("/..leading", Some("..leading")),
            ("/cgi..test/...", Some("cgi..test/...")),
            ("/%E4%BD%A0", Some("\u{4f60}")),
            ("//", None),
            ("//a", None),
            ("/a//", None),
            ("/a//b", None),
            ("/.", None),
            ("/a/../b", None),
            ("/%2E%2E", None),
            ("/a%2F..%2Fb", None),
            ("/a\\b", None),
            ("/a%5C..", None),
            ("/a%00.txt", None),
            ("/%ff", None),
            ("a", None),
            ("*", None),
        ] {
            let found = TreePath::new(path);
            assert_eq!(found.as_ref().map(TreePath::as_str), expected, "{path}");
        }
    }

    #[test]
    fn names_of_windows_devices_streams_and_short_names_are_found() {
        for name in [
            "CON",
            "con",
            "CONIN$",
            "conout$.txt",
            "COM1",
            "lpt9",
            "LPT\u{b2}",
            "com0.x",
            "CON.txt",
            "AUX.tar.gz",
            "NUL.",
            "CON  ",
            "CON\t",
            "CON .txt",
            "a.",
            "a ",
            "a:b",
            "a::$DATA",
            "LONGNA~1",
            "longn~12.txt",
            "a?",
            "a|b",
        ] {
            assert!(!is_windows_name(name), "{name:?}");
        }
        for name in [
            "C0N",
            "NULL",
            "COM10",
            "COMa",
            "COM",
            "contact.html",
            "a~b",
            "backup~1234567890",
            ".hidden",
            "a.b.c",
            "\u{e9}",
        ] {
            assert!(is_windows_name(name), "{name:?}");
        }
    }

    #[test]
    fn siblings_and_children_are_paths() {
        let path = TreePath::new("/a/b.js").unwrap();
        assert_eq!(path.with_suffix(".gz").as_str(), "a/b.js.gz");
        assert_eq!(path.join("c").as_str(), "a/b.js/c");
        assert_eq!(TreePath::ROOT.join("c").as_str(), "c");
        assert_eq!(path.without_suffix(".js").unwrap().as_str(), "a/b");
        assert_eq!(TreePath::new("/a/.gz").unwrap().without_suffix(".gz"), None);
        assert_eq!((path.name(), TreePath::ROOT.name()), ("b.js", ""));
        assert_eq!(path.segments().collect::<Vec<_>>(), ["a", "b.js"]);
        assert_eq!(TreePath::ROOT.segments().count(), 0);
    }
}
