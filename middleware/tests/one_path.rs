//! One path: whatever a client sends, everything that compares paths reads the same string.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

use enfilade_core::{Application, Description, Request, around, path};
use enfilade_middleware::{
    CacheControl, CacheRule, Entry, FileEntry, FileTree, Files, Guard, Maintenance, Mounts, Router,
    TreePath, TreeReply, When,
};
use enfilade_testing::Client;
use proptest::prelude::*;

/// Which side of the fence around `/admin` a request is on: 1 inside, 0 outside.
type Fence = (&'static str, fn(&str) -> Application);

fn inside() -> Application {
    Application::new(|_: Request| "1")
}

fn outside() -> Application {
    Application::new(|_: Request| "0")
}

/// The prefix is `/` and a name without special characters of patterns.
const FENCES: [Fence; 6] = [
    ("starts_with", |prefix| {
        let prefix = path::encode(prefix).into_owned();
        outside().wrap(around("fence", move |inner, request| {
            match request.path().strip_prefix(&*prefix) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => inside().call(request),
                _ => inner.call(request),
            }
        }))
    }),
    ("Guard::path", |prefix| {
        let guard = Guard::path(&format!("{prefix}{{,/**}}")).unwrap();
        When::new(guard, inside()).otherwise(outside()).into()
    }),
    ("Guard::below", |prefix| {
        let guard = Guard::below(prefix).unwrap();
        When::new(guard, inside()).otherwise(outside()).into()
    }),
    ("Mounts", |prefix| {
        let mounts = Mounts::new().at(prefix, inside()).unwrap();
        mounts.otherwise(outside()).into()
    }),
    ("Router", |prefix| {
        let router = Router::new()
            .get(prefix, inside())
            .get(&format!("{prefix}/"), inside())
            .get(&format!("{prefix}/{{*rest}}"), inside());
        router.fallback(outside()).build().unwrap()
    }),
    ("Files", |prefix| {
        let files = Files::new(Below(prefix.trim_start_matches('/').to_owned()));
        Application::new(files.insecure_show_hidden())
    }),
];

/// A tree with a file at each path: `1` at one path and below it, and `0` everywhere else.
struct Below(String);

impl FileTree for Below {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        let rest = path.as_str().strip_prefix(&*self.0);
        let is_inside = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let file = FileEntry::from_bytes(if is_inside { "1" } else { "0" });
        TreeReply::new(Ok(Some(Entry::File(file))))
    }

    fn describe(&self) -> Description {
        Description::new("Below")
    }
}

/// A segment as a client may write it, and the characters around it.
fn spelling() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("admin"),
        Just("%61dmin"),
        Just("adm%69n"),
        Just("Admin"),
        Just("caf\u{e9}"),
        Just("caf%C3%A9"),
        Just("caf%c3%a9"),
        Just("a@b"),
        Just("a%40b"),
        Just("x"),
        Just(""),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2E%2e"),
        Just(".%2e"),
        Just("..."),
        Just("a%2Fb"),
        Just("..%2f"),
        Just("%2f.."),
        Just("%5c"),
        Just("..%5C"),
        Just("%00"),
        Just("%ff"),
        Just("%25"),
        Just("%2561dmin"),
        Just("%"),
        Just("admin;x"),
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| format!("/{}", pieces.join("/")))
}

proptest! {
    /// A capture takes only UTF-8; other bytes are a 400 on the inside too.
    #[test]
    fn nothing_disagrees_about_the_side_of_a_fence(
        prefix in prop_oneof![Just("/admin"), Just("/caf\u{e9}"), Just("/a@b"), Just("/x/admin")],
        target in spelling(),
    ) {
        let Ok(uri) = path::encode_invalid(&target).parse::<http::Uri>() else {
            return Ok(());
        };
        let canonical = path::canonical(uri.path()).into_owned();
        let expected = path::match_prefix(&canonical, prefix).is_some();
        for (name, fence) in FENCES {
            let client = Client::new(fence(prefix));
            let response = client.get(&uri.to_string()).send();
            // No file has such a path, on either side, or its file has another one.
            if name == "Files" && response.text() != "1" && response.text() != "0" {
                let path = TreePath::new(&canonical).filter(|_| !canonical.ends_with('/'));
                let spelled = path.map(|path| format!("/{}", path::encode(path.as_str())));
                prop_assert!(spelled.as_deref() != Some(&canonical), "{}", canonical);
                let location = response.header("location").map(str::to_owned);
                prop_assert_eq!(location, spelled, "{}", canonical);
                continue;
            }
            let found = response.text() == "1" || response.status() == 400;
            prop_assert_eq!(found, expected, "{} around {}: {} is {}", name, prefix, target, canonical);
        }
    }
}

#[test]
fn a_maintenance_passes_only_the_paths_that_it_names() {
    let closed = Maintenance::new().allow(Guard::path("/health").unwrap());
    closed.switch().close();
    let app = Application::new(|request: Request| request.path().to_owned());
    let client = Client::new(app.wrap(closed));
    for (target, status) in [
        ("/health", 200),
        ("/%68ealth", 200),
        ("/admin/../health", 200),
        ("/health/../admin", 503),
        ("/health%2F..%2Fadmin", 503),
        ("/admin%2F..%2Fhealth", 503),
    ] {
        let response = client.get(target).send();
        assert_eq!(response.status(), status, "{target}");
        if status == 200 {
            assert_eq!(response.text(), "/health", "{target}");
        }
    }
}

#[test]
fn a_cache_policy_is_for_the_path_that_is_routed() {
    let rule = CacheRule::new("public, max-age=60").unwrap();
    let policy = CacheControl::new().rule(rule.path("/assets/**").unwrap());
    let app = Application::new(|request: Request| request.path().to_owned());
    let client = Client::new(app.wrap(policy));
    for (target, is_public) in [
        ("/assets/a", true),
        ("/%61ssets/a", true),
        ("/assets/a%2Fb", true),
        ("/assets%2Fa", false),
        ("/assets/../a", false),
        ("/a/../assets/b", true),
    ] {
        let found = client
            .get(target)
            .send()
            .header("cache-control")
            .map(str::to_owned);
        assert_eq!(found.is_some(), is_public, "{target}");
    }
}
