//! A file name that is safe to use.

use enfilade_core::is_unprintable;

/// The maximum length of a file name, in bytes, on all common file systems.
const LONGEST: usize = 255;
/// Names that are devices on Windows, whatever their extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Makes a file name that is safe on every system; `None` if nothing of it remains.
///
/// The last part of a path, without control characters, without what Windows forbids, without dots and spaces at its ends, and
/// without `-` at its start.
pub(super) fn safe(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    // Marks that change the direction of text make `exe.jpg` of `gpj.exe`, and invisible ones a second `a.jpg`.
    let is_invisible = |character| matches!(character, '\u{200b}' | '\u{2060}' | '\u{feff}');
    let is_allowed = |&character: &char| {
        !is_unprintable(character) && !is_invisible(character) && !"<>:\"|?*".contains(character)
    };
    let name: String = name.chars().filter(is_allowed).collect();
    let is_trimmed = |character: char| character == '.' || character.is_whitespace();
    // A program would take a name with `-` at its start for an option.
    let name = name.trim_start_matches(|character| character == '-' || is_trimmed(character));
    let name = name.trim_end_matches(is_trimmed);
    if name.is_empty() {
        return None;
    }
    let name = match is_device(name) {
        true => format!("_{name}"),
        false => name.to_owned(),
    };
    Some(shortened(name))
}

/// `NUL`, `con.txt`, `COM1`, `lpt9.x`.
fn is_device(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_ascii_lowercase();
    let port = stem.strip_prefix("com").or(stem.strip_prefix("lpt"));
    let is_port = port.is_some_and(|number| {
        let mut characters = number.chars();
        let first = characters
            .next()
            .is_some_and(|digit| digit.is_ascii_digit() || "¹²³".contains(digit));
        first && characters.next().is_none()
    });
    is_port || DEVICES.contains(&stem.as_str())
}

/// Cuts the name before its extension.
fn shortened(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let extension = name
        .rfind('.')
        .map_or("", |dot| name.get(dot..).unwrap_or_default());
    let extension = if extension.len() > 20 { "" } else { extension };
    let mut end = LONGEST - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let stem = name.get(..end).unwrap_or_default();
    format!("{}{extension}", stem.trim_end_matches(['.', ' ']))
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn a_safe_name_stays_in_its_folder() {
        let long = format!("{}.jpeg", "é".repeat(200));
        let cut = format!("{}.jpeg", "é".repeat(125));
        for (name, expected) in [
            ("photo.jpg", Some("photo.jpg")),
            ("café à la crème.txt", Some("café à la crème.txt")),
            ("../../etc/passwd", Some("passwd")),
            (r"C:\Users\ada\photo.jpg", Some("photo.jpg")),
            ("..", None),
            ("/", None),
            ("", None),
            (" . ", None),
            (".htaccess", Some("htaccess")),
            ("a\0b\r\nc.txt", Some("abc.txt")),
            ("a<b>:c|d?*.txt", Some("abcd.txt")),
            ("file.txt. .", Some("file.txt")),
            ("NUL", Some("_NUL")),
            ("con.tar.gz", Some("_con.tar.gz")),
            ("COM1.txt", Some("_COM1.txt")),
            ("lpt¹", Some("_lpt¹")),
            ("com.txt", Some("com.txt")),
            ("console.log", Some("console.log")),
            ("-rf", Some("rf")),
            ("- -x", Some("x")),
            ("--", None),
            ("a\u{61c}\u{200b}\u{2028}b.jpg", Some("ab.jpg")),
            ("invoice\u{202e}fdp.exe", Some("invoicefdp.exe")),
            (&long, Some(cut.as_str())),
        ] {
            assert_eq!(safe(name).as_deref(), expected, "{name:?}");
        }
    }
}
