//! The links of the guide and of the README: each target exists in the tree, and is the same place in rustdoc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const FACADE: &str = "https://docs.rs/enfilade/latest/enfilade/";
const SOURCE: &str = "https://docs.rs/crate/enfilade/latest/source/";

/// The link definitions of a text: `[name]: target`.
fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (name, target) = line.strip_prefix('[')?.split_once("]: ")?;
        (!target.contains(' ')).then_some((name, target))
    })
}

/// The item of a page of docs.rs: `middleware/struct.Router.html` is `crate::middleware::Router`.
fn item(page: &str) -> String {
    let (page, method) = page.split_once("#method.").unwrap_or((page, ""));
    let page = page.strip_suffix(".html").expect("a page");
    let mut path = vec!["crate"];
    let mut parts: Vec<&str> = page.split('/').collect();
    let last = parts.pop().expect("a page has a name");
    path.extend(parts);
    let is_function = last.starts_with("fn.");
    path.extend(last.split_once('.').map(|(_, name)| name));
    path.extend((!method.is_empty()).then_some(method));
    format!("{}{}", path.join("::"), if is_function { "()" } else { "" })
}

#[test]
fn a_name_of_the_guide_leads_to_the_same_place_in_the_tree_and_in_rustdoc() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).expect("a file of the repository");
    let links = read(&root.join("src/guide/links.md"));
    let links: BTreeMap<&str, &str> = definitions(&links).collect();
    let chapters = fs::read_dir(root.join("docs"))
        .expect("the guide")
        .map(|entry| entry.expect("readable").path());
    let mut seen = 0;
    for file in chapters.chain([root.join("README.md")]) {
        for (name, target) in definitions(&read(&file)) {
            seen += 1;
            let rustdoc = links.get(name).copied();
            let expected = match (target.strip_prefix(FACADE), target.strip_suffix(".md")) {
                (Some(page), _) => Some(item(page)),
                // A file of the tree: a chapter, or a file that only the listing of the sources on docs.rs has.
                (None, Some(path)) => {
                    let place = file.parent().expect("in a folder").join(target);
                    assert!(place.is_file(), "{}: {target}", file.display());
                    let chapter = place.strip_prefix(root.join("docs")).ok();
                    match (chapter.and_then(|chapter| chapter.file_stem()), path) {
                        (Some(chapter), _) if chapter == "README" => {
                            Some("crate::guide".to_owned())
                        }
                        (Some(chapter), _) => Some(format!("crate::guide::{}", chapter.display())),
                        // Not in the package, so not on docs.rs.
                        (None, "python/README") => None,
                        (None, _) => Some(format!("{SOURCE}{target}")),
                    }
                }
                // Another crate.
                (None, None) => None,
            };
            assert_eq!(rustdoc, expected.as_deref(), "{}: {name}", file.display());
        }
    }
    assert!(seen > 100, "only {seen} links");
}

#[test]
fn a_page_is_an_item() {
    for (page, expected) in [
        ("struct.Server.html", "crate::Server"),
        ("middleware/struct.Router.html", "crate::middleware::Router"),
        ("middleware/index.html", "crate::middleware"),
        ("fn.around.html", "crate::around()"),
        ("struct.Body.html#method.on_end", "crate::Body::on_end"),
    ] {
        assert_eq!(item(page), expected);
    }
}
