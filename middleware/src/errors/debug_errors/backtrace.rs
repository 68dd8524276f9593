//! Parses the text of a backtrace, because the standard library offers nothing else.

use std::path::{Path, PathBuf};

/// The maximum number of frames.
const MAX_FRAMES: usize = 500;

/// The last names of the panic machinery; frames up to them are removed from the start of a backtrace.
const MACHINERY: [&str; 3] = ["rust_begin_unwind", "begin_panic_handler", "begin_panic"];

/// Crates whose frames say little about an application, wherever their sources are.
const LIBRARIES: [&str; 7] = [
    "std",
    "core",
    "alloc",
    "enfilade",
    "enfilade_core",
    "enfilade_middleware",
    "enfilade_testing",
];

/// Folders that contain sources of libraries.
const FOREIGN: [&str; 5] = [
    "/rustc/",
    "/registry/src/",
    "/git/checkouts/",
    "/rustlib/src/",
    "/vendor/",
];

/// The folder of this toolkit's sources if it is not a package from a registry, whose folder has another name.
const HOME: &str = env!("CARGO_MANIFEST_DIR");
const HOME_NAME: &str = "middleware";
const ROOMS: [&str; 4] = ["core/src", "middleware/src", "src", "testing/src"];

/// A call that had not returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) symbol: String,
    pub(super) place: Option<SourceLocation>,
    /// Whether it belongs to the application, judged by its source file and name.
    pub(super) is_own: bool,
}

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceLocation {
    /// As in the backtrace; if it begins with a dot, it is relative to the folder in which the program runs.
    pub(super) path: String,
    /// The same path, absolute if the folder is known.
    pub(super) file: PathBuf,
    pub(super) line: u32,
    pub(super) column: Option<u32>,
}

/// Parses the frames of a backtrace, the innermost first.
///
/// The text is `N: symbol`, followed by `at path:line:column` if that is known. An inlined frame has no number. The
/// format is not guaranteed, so an unknown line is treated as a symbol. The program runs in `folder`.
pub(super) fn parse(text: &str, folder: Option<&Path>) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let place = line
            .strip_prefix("at ")
            .and_then(|place| SourceLocation::parse(place, folder));
        let is_full = frames.len() == MAX_FRAMES;
        match (place, frames.last_mut()) {
            (Some(place), Some(frame)) if frame.place.is_none() => frame.place = Some(place),
            _ if is_full => break,
            _ => frames.push(Frame {
                symbol: without_number(line).to_owned(),
                place: None,
                is_own: false,
            }),
        }
    }
    frames.iter_mut().for_each(Frame::mark_own);
    let is_machinery = |frame: &Frame| MACHINERY.iter().any(|end| frame.symbol.ends_with(end));
    let own = frames.iter().position(|frame| frame.is_own);
    let machinery = frames.iter().take(own.unwrap_or(0)).rposition(is_machinery);
    frames.drain(..machinery.map_or(0, |last| last + 1));
    frames
}

fn without_number(line: &str) -> &str {
    match line.split_once(": ") {
        Some((number, symbol)) if number.bytes().all(|byte| byte.is_ascii_digit()) => symbol,
        _ => line,
    }
}

impl Frame {
    fn mark_own(&mut self) {
        let start = self.symbol.trim_start_matches(['<', '&', '(', '[']);
        let end = start.find(|next: char| next != '_' && !next.is_alphanumeric());
        let name = start.split_at_checked(end.unwrap_or(start.len()));
        let has_own_name = !name.is_some_and(|(name, _)| LIBRARIES.contains(&name));
        self.is_own = has_own_name && self.place.as_ref().is_some_and(SourceLocation::is_own);
    }
}

impl SourceLocation {
    fn parse(text: &str, folder: Option<&Path>) -> Option<SourceLocation> {
        let (rest, last) = text.rsplit_once(':')?;
        let last = last.parse().ok()?;
        let with_column = rest
            .rsplit_once(':')
            .and_then(|(path, line)| Some((path, line.parse().ok()?)));
        let (path, line, column) = match with_column {
            Some((path, line)) => (path, line, Some(last)),
            None => (rest, last, None),
        };
        Some(SourceLocation {
            path: path.to_owned(),
            file: match folder {
                Some(folder) => folder.join(path.trim_start_matches("./")),
                None => PathBuf::from(path),
            },
            line,
            column,
        })
    }

    /// In the form that people and editors use.
    pub(super) fn text(&self) -> String {
        let (path, line) = (&self.path, self.line);
        match self.column {
            Some(column) => format!("{path}:{line}:{column}"),
            None => format!("{path}:{line}"),
        }
    }

    /// Whether it is in a Rust source file that does not belong to a library.
    fn is_own(&self) -> bool {
        let path = self.path.replace('\\', "/");
        let home = Some(Path::new(HOME)).filter(|home| home.ends_with(HOME_NAME));
        let is_ours = |house: &Path| {
            ROOMS
                .iter()
                .any(|room| self.file.starts_with(house.join(room)))
        };
        path.ends_with(".rs")
            && !FOREIGN.iter().any(|folder| path.contains(folder))
            && !home.and_then(Path::parent).is_some_and(is_ours)
    }

    /// Whether it may be the place with the compiler's path and line; if the lines differ, the file decides.
    pub(super) fn is_of(&self, path: &str) -> bool {
        self.file.ends_with(path.trim_start_matches("./"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "   0: std::backtrace::Backtrace::force_capture
             at /rustc/abc/library/std/src/backtrace.rs:331:18
   1: enfilade_middleware::debug_errors::hook::note
             at ./middleware/src/errors/debug_errors/hook.rs:90:20
      std::panicking::begin_panic_handler
   2: __rustc::rust_begin_unwind
             at /rustc/abc/library/std/src/panicking.rs:689:5
   3: core::panicking::panic_fmt
             at /rustc/abc/library/core/src/panicking.rs:80:14
   4: shop::price::{{closure}}
             at ./src/price.rs:12:9
      shop::cart
             at /home/a b/shop/src/cart.rs:7
   5: <shop::Till as enfilade_core::Handler>::call
             at C:\\shop\\src\\till.rs:3:1
   6: hyper::proto::h1::dispatch
             at /home/a/.cargo/registry/src/index-1/hyper-1.0.0/src/dispatch.rs:1:2
   7: <alloc::boxed::Box<F> as core::ops::function::FnOnce>::call_once
             at ./src/looks_own.rs:1:2
   8: __libc_start_main
   9: start_thread
             at ./nptl/pthread_create.c:442:8
  10: <unknown>
";

    #[test]
    fn frames_are_read_and_told_apart() {
        let frames = parse(TEXT, None);
        let found: Vec<_> = frames
            .iter()
            .map(|frame| {
                let place = frame.place.as_ref().map(SourceLocation::text);
                (&*frame.symbol, place.unwrap_or_default(), frame.is_own)
            })
            .collect();
        let expected = [
            (
                "core::panicking::panic_fmt",
                "/rustc/abc/library/core/src/panicking.rs:80:14",
                false,
            ),
            ("shop::price::{{closure}}", "./src/price.rs:12:9", true),
            ("shop::cart", "/home/a b/shop/src/cart.rs:7", true),
            (
                "<shop::Till as enfilade_core::Handler>::call",
                "C:\\shop\\src\\till.rs:3:1",
                true,
            ),
            (
                "hyper::proto::h1::dispatch",
                "/home/a/.cargo/registry/src/index-1/hyper-1.0.0/src/dispatch.rs:1:2",
                false,
            ),
            (
                "<alloc::boxed::Box<F> as core::ops::function::FnOnce>::call_once",
                "./src/looks_own.rs:1:2",
                false,
            ),
            ("__libc_start_main", "", false),
            ("start_thread", "./nptl/pthread_create.c:442:8", false),
            ("<unknown>", "", false),
        ];
        let expected = expected.map(|(symbol, place, own)| (symbol, place.to_string(), own));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_understood_is_shown_as_it_is() {
        for (text, expected) in [
            ("", &[][..]),
            ("disabled backtrace", &["disabled backtrace"]),
            (
                "at nowhere\nat a:1:2\nat b:1:2",
                &["at nowhere", "at b:1:2"],
            ),
            ("12x: y", &["12x: y"]),
        ] {
            let frames = parse(text, None);
            let symbols: Vec<_> = frames.iter().map(|frame| &*frame.symbol).collect();
            assert_eq!(symbols, expected, "{text}");
        }
        assert_eq!(parse(&"1: deep\n".repeat(10_000), None).len(), MAX_FRAMES);
    }

    #[test]
    fn a_real_backtrace_is_understood() {
        let text = std::backtrace::Backtrace::force_capture().to_string();
        let folder = std::env::current_dir().unwrap();
        let frames = parse(&text, Some(&folder));
        let this = frames
            .iter()
            .find(|frame| frame.symbol.ends_with("a_real_backtrace_is_understood"));
        let place = this.unwrap().place.as_ref().unwrap();
        assert!(place.is_of("middleware/src/errors/debug_errors/backtrace.rs"));
        assert!(!place.is_of("other.rs"));
    }
}
