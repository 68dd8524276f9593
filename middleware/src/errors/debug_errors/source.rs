//! A few lines of a source file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::shown;

/// The number of lines shown before and after the line in question.
const AROUND: u32 = 5;
/// The maximum size of a file, in bytes; source files written by people are smaller.
const MAX_FILE: u64 = 4 << 20;
/// The maximum length of a line, in bytes.
const MAX_LINE: usize = 240;

/// Lines of a source, with their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) lines: Vec<(u32, String)>,
    /// The number of the line in question.
    pub(super) line: u32,
}

/// Returns the lines around `line` of a Rust source file; `None` if it cannot be read or is too short.
pub(super) fn excerpt(path: &Path, line: u32) -> Option<Excerpt> {
    let is_source = path.extension().is_some_and(|extension| extension == "rs");
    // Opening a file that is not a regular one may block forever.
    if !is_source || !path.metadata().is_ok_and(|file| file.is_file()) {
        return None;
    }
    lines_around(File::open(path).ok()?, line)
}

fn lines_around(source: impl Read, line: u32) -> Option<Excerpt> {
    let first = line.saturating_sub(AROUND).max(1);
    let numbered = BufReader::new(source.take(MAX_FILE)).split(b'\n').zip(1..);
    let wanted = numbered
        .skip_while(|(_, number)| *number < first)
        .take_while(|(_, number)| *number <= line.saturating_add(AROUND));
    let shown = wanted.map_while(|(text, number)| {
        let text = text.ok()?;
        let text = text.strip_suffix(b"\r").unwrap_or(&text);
        Some((number, shown::bytes(text, MAX_LINE)))
    });
    let lines: Vec<_> = shown.collect();
    let has_line = lines.iter().any(|(number, _)| *number == line);
    has_line.then_some(Excerpt { lines, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_around_one_are_read() {
        let text: String = (1..=20)
            .map(|number| format!("line {number}\r\n"))
            .collect();
        for (line, expected) in [
            (1, Some((1, 6))),
            (7, Some((2, 12))),
            (20, Some((15, 20))),
            (21, None),
            (0, None),
            (u32::MAX, None),
        ] {
            let found = lines_around(text.as_bytes(), line);
            let ends = found
                .as_ref()
                .and_then(|excerpt| Some((excerpt.lines.first()?.0, excerpt.lines.last()?.0)));
            assert_eq!(ends, expected, "{line}");
            for (number, text) in found.into_iter().flat_map(|excerpt| excerpt.lines) {
                assert_eq!(text, format!("line {number}"));
            }
        }
        let long = lines_around(&[b'x'; 1000][..], 1).unwrap();
        assert!(long.lines[0].1.ends_with("xx [cut, 1000 bytes in all]"));
    }

    #[test]
    fn only_plain_files_of_rust_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(excerpt(&folder.join("src/lib.rs"), 1).is_some());
        for path in ["Cargo.toml", "src", "src/missing.rs", "/dev/zero"] {
            assert_eq!(excerpt(&folder.join(path), 1), None, "{path}");
        }
    }
}
