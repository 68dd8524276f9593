//! Checks of what serves files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use enfilade::middleware::{DiskTree, Files, TreePath};
use enfilade::{Application, path};
use enfilade_testing::Client;
use http::Uri;

/// A tree with links that lead out of it, and what must not be served beside it.
static TREE: LazyLock<(PathBuf, Client)> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join("enfilade-fuzz-files");
    let root = folder.join("root");
    fs::create_dir_all(root.join("dir/sub")).expect("a folder for files");
    for (name, content) in [
        ("secret", "SECRET"),
        ("root/a.txt", "a"),
        ("root/dir/sub/b", "b"),
        ("root/%2e%2e", "c"),
    ] {
        fs::write(folder.join(name), content).expect("a file");
    }
    #[cfg(unix)]
    for (target, name) in [
        ("..", "up"),
        ("../secret", "out"),
        ("dir/sub", "in"),
        ("in", "again"),
        ("/", "slash"),
    ] {
        // It may be there from another run.
        let _ = std::os::unix::fs::symlink(target, root.join(name));
    }
    let tree = DiskTree::open(&root).expect("a folder");
    let files = Files::new(tree).insecure_show_hidden().listing();
    (
        root.canonicalize().expect("a folder"),
        Client::new(Application::new(files)),
    )
});

/// What is served for a path is below the root, as `realpath` sees it, and is what is there.
pub fn files(data: &[u8]) {
    let (root, client) = &*TREE;
    let text = format!("/{}", String::from_utf8_lossy(data));
    let target = path::encode_invalid(&text.replace(['?', '#'], "x")).into_owned();
    let Ok(uri) = target.parse::<Uri>() else {
        return;
    };
    let response = client.get(&uri.to_string()).send();
    assert!(!response.text().contains("SECRET"), "{target}");
    assert!(
        matches!(response.status().as_u16(), 200 | 308 | 404),
        "{target}: {}",
        response.status()
    );
    let location = response.header("location").unwrap_or_default();
    assert!(
        !location.starts_with("//") && !location.starts_with("/\\"),
        "{target}: {location}"
    );
    if response.status() == 200 {
        let canonical = path::canonical(uri.path());
        let tree_path = TreePath::new(&canonical).expect("a path that was found");
        let place = real_path(root, tree_path.as_str());
        assert!(place.starts_with(root), "{target}: {}", place.display());
        if place.is_file() {
            assert_eq!(
                *response.bytes(),
                fs::read(&place).expect("a file"),
                "{target}"
            );
        }
    }
}

fn real_path(root: &Path, path: &str) -> PathBuf {
    root.join(path).canonicalize().expect("it was served")
}
