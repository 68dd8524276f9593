use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use pollster::block_on;

use super::*;

/// A folder with a tree in `root`, and secrets beside it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("enfilade-disk-tree-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("root/dir/deep")).unwrap();
        fs::create_dir_all(path.join("outside")).unwrap();
        fs::write(path.join("outside/x"), "SECRET").unwrap();
        fs::write(path.join("root/file"), "file").unwrap();
        fs::write(path.join("root/dir/x"), "inside").unwrap();
        fs::write(path.join("root/dir/deep/y"), "deep").unwrap();
        let root = path.join("root");
        for (target, name) in [
            ("file", "link"),
            ("dir", "link-dir"),
            ("deep/../../file", "dir/link-up"),
            ("../outside/x", "link-out"),
            ("../outside", "link-dir-out"),
            ("dir/../../outside/x", "link-out-deep"),
            ("../root/file", "link-out-and-in"),
            ("nothing", "link-broken"),
            ("loop", "loop"),
            ("link-dir/", "link-link"),
            ("/proc/self/cwd", "magic"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        symlink(root.join("file"), root.join("link-absolute")).unwrap();
        Folder(path)
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    /// A tree that the kernel contains, and one that is walked.
    fn trees(&self) -> [DiskTree; 2] {
        let kernel = DiskTree::open(self.root()).unwrap();
        let walked = DiskTree {
            root: Arc::new(Root::walking(&self.root()).unwrap()),
            ..kernel.clone()
        };
        [kernel, walked]
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The content of a file, `/` for a directory, or `-` for nothing.
fn found(tree: &DiskTree, path: &str) -> String {
    let path = TreePath::from_text(path).unwrap();
    match block_on(tree.look_up(&path).wait()).unwrap() {
        None => "-".to_owned(),
        Some(Entry::Directory) => "/".to_owned(),
        Some(Entry::File(file)) => {
            let content = block_on(file.body().collect(100)).unwrap();
            String::from_utf8(content.to_vec()).unwrap()
        }
    }
}

#[test]
fn links_are_followed_by_the_policy_whoever_contains_them() {
    let folder = Folder::new();
    for (path, refused, inside, followed) in [
        ("", "/", "/", "/"),
        ("file", "file", "file", "file"),
        ("dir", "/", "/", "/"),
        ("dir/x", "inside", "inside", "inside"),
        ("dir/deep/y", "deep", "deep", "deep"),
        ("nothing", "-", "-", "-"),
        ("file/x", "-", "-", "-"),
        ("link", "-", "file", "file"),
        ("link-dir", "-", "/", "/"),
        ("link-dir/x", "-", "inside", "inside"),
        ("link-dir/deep/y", "-", "deep", "deep"),
        ("link-link", "-", "/", "/"),
        ("link-link/x", "-", "inside", "inside"),
        ("dir/link-up", "-", "file", "file"),
        ("link-out", "-", "-", "SECRET"),
        ("link-dir-out", "-", "-", "/"),
        ("link-dir-out/x", "-", "-", "SECRET"),
        ("link-out-deep", "-", "-", "SECRET"),
        ("link-out-and-in", "-", "-", "file"),
        ("link-absolute", "-", "-", "file"),
        ("link-broken", "-", "-", "-"),
        ("loop", "-", "-", "-"),
        ("magic", "-", "-", "/"),
    ] {
        for tree in folder.trees() {
            let by = tree.root.containment();
            for (links, expected) in [
                (Links::Refuse, refused),
                (Links::Inside, inside),
                (Links::InsecureFollow, followed),
            ] {
                let tree = tree.clone().links(links);
                assert_eq!(found(&tree, path), expected, "{path} {links:?} by {by}");
            }
        }
    }
    assert_eq!(
        folder.trees().map(|tree| tree.root.containment()),
        ["kernel", "walk"]
    );
}

#[test]
fn special_files_and_long_paths_are_not_found_and_nothing_waits() {
    let folder = Folder::new();
    let pipe = folder.root().join("pipe");
    // A POSIX tool, because the standard library cannot make one.
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _socket = UnixListener::bind(folder.root().join("socket")).unwrap();
    symlink("/dev/zero", folder.root().join("zero")).unwrap();
    let (long, deep) = ("n".repeat(5_000), vec!["d"; 1_500].join("/"));
    for tree in folder.trees() {
        for links in [Links::Inside, Links::InsecureFollow] {
            let tree = tree.clone().links(links);
            for path in ["pipe", "socket", "zero", &long, &deep] {
                assert_eq!(found(&tree, path), "-", "{path}");
            }
        }
    }
}

#[test]
fn a_file_that_may_not_be_read_is_an_error() {
    let folder = Folder::new();
    let path = folder.root().join("file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        // A superuser reads everything.
        return;
    }
    for tree in folder.trees() {
        let path = TreePath::new("/file").unwrap();
        let error = block_on(tree.look_up(&path).wait()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}

#[test]
fn a_directory_is_listed_without_what_is_not_served() {
    let folder = Folder::new();
    let list = |tree: &DiskTree, limit| {
        let listed = block_on(tree.list(&TreePath::ROOT, limit).wait())
            .unwrap()
            .unwrap();
        let mut names: Vec<String> = listed
            .iter()
            .map(|entry| {
                format!(
                    "{}{}",
                    entry.name(),
                    if entry.is_directory() { "/" } else { "" }
                )
            })
            .collect();
        names.sort();
        names
    };
    for tree in folder.trees() {
        assert_eq!(
            list(&tree, 100),
            ["dir/", "file", "link", "link-dir/", "link-link/"]
        );
        assert_eq!(
            list(&tree.clone().links(Links::Refuse), 100),
            ["dir/", "file"]
        );
        assert_eq!(list(&tree, 2).len(), 2);
        let file = TreePath::new("/file").unwrap();
        assert_eq!(block_on(tree.list(&file, 10).wait()).unwrap(), None);
        let outside = TreePath::new("/link-dir-out").unwrap();
        assert_eq!(block_on(tree.list(&outside, 10).wait()).unwrap(), None);
    }
}

#[test]
fn a_tag_changes_with_the_file_and_a_constant_time_says_nothing() {
    let folder = Folder::new();
    let (tree, path) = (
        DiskTree::open(folder.root()).unwrap(),
        folder.root().join("file"),
    );
    let look = || match block_on(tree.look_up(&TreePath::new("/file").unwrap()).wait()).unwrap() {
        Some(Entry::File(file)) => (
            file.entity_tag()
                .unwrap()
                .as_header_value()
                .to_str()
                .unwrap()
                .to_owned(),
            file.last_modified(),
        ),
        other => panic!("{other:?}"),
    };
    let set = |seconds| {
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
    };
    let (first, time) = look();
    assert!(first.starts_with("W/\"") && time.is_some());
    set(784_111_777);
    let (second, time) = look();
    assert_ne!(first, second);
    assert_eq!(time.unwrap().unix_timestamp(), 784_111_777);
    for seconds in [0, 1] {
        set(seconds);
        // The first 128 bits of the SHA-256 of `file`.
        let hash = "\"3b9c358f36f0a31b6ad3e14f309c7cf1\"";
        assert_eq!(look(), (hash.to_owned(), None));
        assert_eq!(look().0, hash);
    }
    fs::write(&path, "fil2").unwrap();
    set(1);
    assert_ne!(look().0, "\"3b9c358f36f0a31b6ad3e14f309c7cf1\"");
}

#[test]
fn a_missing_root_and_a_file_are_mistakes_that_name_it() {
    let folder = Folder::new();
    for (name, why) in [
        ("none", "No such file or directory (os error 2)"),
        ("root/file", "Not a directory (os error 20)"),
    ] {
        let path = folder.0.join(name);
        let error = DiskTree::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Directory);
        let text = format!("cannot serve the directory {}: {why}", path.display());
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_root_that_is_moved_is_still_the_one_that_is_served() {
    let folder = Folder::new();
    for tree in folder.trees() {
        let moved = folder.0.join("moved");
        fs::rename(folder.root(), &moved).unwrap();
        symlink("outside", folder.root()).unwrap();
        assert_eq!(
            (found(&tree, "x"), found(&tree, "file")),
            ("-".to_owned(), "file".to_owned())
        );
        fs::remove_file(folder.root()).unwrap();
        fs::rename(moved, folder.root()).unwrap();
    }
}

/// A check of a path and a later opening of its name would be a race: one of the names becomes a link in between.
#[test]
fn a_directory_that_becomes_a_link_never_leads_out() {
    let folder = Folder::new();
    let root = folder.root();
    // In place of `dir/deep` it leads to the secrets.
    symlink("../../outside", root.join("evil")).unwrap();
    let is_over = AtomicBool::new(false);
    let swap = || {
        let [deep, evil, aside] = ["dir/deep", "evil", "aside"].map(|name| root.join(name));
        while !is_over.load(Ordering::Relaxed) {
            fs::rename(&deep, &aside).unwrap();
            fs::rename(&evil, &deep).unwrap();
            (0..20_000).for_each(|_| std::hint::spin_loop());
            fs::rename(&deep, &evil).unwrap();
            fs::rename(&aside, &deep).unwrap();
            (0..20_000).for_each(|_| std::hint::spin_loop());
        }
    };
    // A failed check ends the swapping too.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let contents = |tree: &DiskTree| {
        let look = |path: &str| match tree.look_up_now(&TreePath::from_text(path).unwrap()) {
            Ok(Some(Entry::File(file))) => Some(block_on(file.body().collect(100)).unwrap()),
            _ => None,
        };
        ["dir/deep/x", "dir/deep/y", "link-dir/deep/x"].map(look)
    };
    std::thread::scope(|threads| {
        threads.spawn(swap);
        let _over = Over(&is_over);
        // The race is there: a tree that follows links sees the secret.
        let [tree, walked] = folder.trees();
        let follows = tree.clone().links(Links::InsecureFollow);
        let mut tries = 0;
        while !contents(&follows)
            .iter()
            .flatten()
            .any(|content| content == "SECRET")
        {
            tries += 1;
            assert!(tries < 100_000);
        }
        for tree in [tree, walked] {
            for links in [Links::Inside, Links::Refuse] {
                let (tree, mut seen, mut tries) = (tree.clone().links(links), 0, 0);
                // On a busy machine the directory may be away for long.
                while tries < 2_000 || (seen == 0 && tries < 1_000_000) {
                    tries += 1;
                    for content in contents(&tree).into_iter().flatten() {
                        assert_eq!(content, "deep");
                        seen += 1;
                    }
                }
                assert!(seen > 0);
            }
        }
    });
}
