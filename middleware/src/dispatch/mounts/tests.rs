use enfilade_testing::laws::Check;
use enfilade_testing::{Client, Lint};
use http::Method;

use super::*;

/// Responds with its name and its location.
fn app(name: &'static str) -> Application {
    let app = Application::new(move |request: Request| {
        format!("{name} {:?} {:?}", request.script_name(), request.path())
    });
    app.wrap(Lint::new())
}

const SOME: [(Option<&str>, &str, &str); 8] = [
    (None, "/a", "a"),
    (None, "/a/b", "ab"),
    (None, "/caf\u{e9}", "cafe"),
    (Some("foo.org"), "/", "foo"),
    (Some("bar.org"), "/x", "barx"),
    (Some("*.org"), "/x/y", "orgxy"),
    (Some("bar.org:81"), "/y", "bary"),
    (None, "/x/y/z", "xyz"),
];

fn mounts(list: &[(Option<&'static str>, &'static str, &'static str)]) -> Mounts {
    let made = list.iter().try_fold(Mounts::new(), |mounts, entry| {
        let (host, prefix, name) = *entry;
        match host {
            Some(host) => mounts.at_host(host, prefix, app(name)),
            None => mounts.at(prefix, app(name)),
        }
    });
    made.unwrap()
}

fn linted(mounts: Mounts) -> Client {
    Client::new(Application::new(mounts).wrap(Lint::new())).without_gateway()
}

#[test]
fn the_pattern_for_a_log_has_the_prefix() {
    use crate::Router;
    use enfilade_core::{MatchedPattern, RouteWanted};

    let shelves = || {
        Router::new()
            .get("/shelves/{shelf}", |_: Request| "shelf")
            .build()
            .unwrap()
    };
    let inner = Mounts::new().at("/deep", shelves()).unwrap();
    let plain = |_: Request| "plain";
    let mounts = Mounts::new()
        .at("/library", shelves())
        .and_then(|mounts| mounts.at("/plain", plain))
        .and_then(|mounts| mounts.at("/both", inner))
        .and_then(|mounts| mounts.at("/", shelves()))
        .unwrap();
    for (target, pattern) in [
        ("/library/shelves/7", Some("/library/shelves/{shelf}")),
        ("/plain/x", Some("/plain/...")),
        ("/both/deep/shelves/7", Some("/both/deep/shelves/{shelf}")),
        ("/shelves/7", Some("/shelves/{shelf}")),
        ("/nothing", None),
    ] {
        let mut request = Request::get(target);
        request.extensions_mut().insert(RouteWanted);
        let response = pollster::block_on(mounts.call(request).into_future());
        let found = response.extensions().get::<MatchedPattern>();
        assert_eq!(found.map(MatchedPattern::as_str), pattern, "{target}");
    }
}

#[test]
fn the_longest_prefix_matches_and_hosts_go_first() {
    let cases = [
        ("h", "/a", "a \"/a\" \"\""),
        ("h", "/a/", "a \"/a\" \"/\""),
        ("h", "/a/b/c", "ab \"/a/b\" \"/c\""),
        ("h", "/%61//b", "a \"/a\" \"//b\""),
        ("h", "/ab", "otherwise \"\" \"/ab\""),
        ("h", "/a%2Fb", "otherwise \"\" \"/a%2Fb\""),
        ("h", "/caf%C3%A9/x", "cafe \"/caf%C3%A9\" \"/x\""),
        ("h", "/", "otherwise \"\" \"/\""),
        ("h", "*", "otherwise \"\" \"*\""),
        ("foo.org", "/a/b", "foo \"\" \"/a/b\""),
        ("FOO.org:99", "/", "foo \"\" \"/\""),
        ("www.foo.org", "/a", "a \"/a\" \"\""),
        ("bar.org", "/x/y/z", "barx \"/x\" \"/y/z\""),
        ("bar.org", "/a", "a \"/a\" \"\""),
        ("bar.org", "/y", "otherwise \"\" \"/y\""),
        ("bar.org:81", "/y", "bary \"/y\" \"\""),
        ("qux.org", "/x/y/z", "orgxy \"/x/y\" \"/z\""),
        ("h", "/x/y/z", "xyz \"/x/y/z\" \"\""),
        ("a b", "/a", "a \"/a\" \"\""),
    ];
    let reversed: Vec<_> = SOME.into_iter().rev().collect();
    for list in [&SOME[..], &reversed] {
        let client = linted(mounts(list).otherwise(app("otherwise")));
        for (host, target, expected) in cases {
            let request = client.request(Method::OPTIONS, target);
            let response = request.header("host", host).send();
            assert_eq!(response.text(), expected, "{host} {target}");
        }
    }
}

#[test]
fn nobody_is_found_without_an_entry() {
    let client = linted(mounts(&SOME));
    let response = client.get("/ab").send();
    assert_eq!(response.status(), 404);
    assert_eq!(response.text(), "");
}

#[test]
fn the_host_is_the_one_of_the_request() {
    let client = linted(mounts(&SOME));
    let absolute = client.get("http://foo.org/q").header("host", "h");
    assert_eq!(absolute.send().text(), "foo \"\" \"/q\"");
    let forwarded = client.get("/q").header("x-forwarded-host", "foo.org");
    assert_eq!(forwarded.send().status(), 404);
}

#[test]
fn mounts_stand_in_mounts() {
    let inner = mounts(&[(None, "/b", "b"), (None, "/", "root")]);
    let client = linted(Mounts::new().at("/a", inner).unwrap());
    for (target, expected) in [
        ("/a/b/c", "b \"/a/b\" \"/c\""),
        ("/a", "root \"/a\" \"\""),
        ("/a/c", "root \"/a\" \"/c\""),
    ] {
        assert_eq!(client.get(target).send().text(), expected);
    }
}

#[test]
fn a_bad_prefix_is_named() {
    let encoded = "is percent-encoded: write the characters themselves";
    let cases = [
        ("/a?b", "has a query or a fragment: a prefix is a path"),
        ("/a#b", "has a query or a fragment: a prefix is a path"),
        ("/caf%C3%A9", encoded),
        ("/a%2Fb", encoded),
        ("", "does not begin with a slash"),
        ("a", "does not begin with a slash"),
        ("/a/", "ends with a slash: remove it"),
        ("//", "ends with a slash: remove it"),
        ("/a", "already has an application"),
        ("/a/../b", "has a dot segment, which no path has"),
        ("/a/{id}", "has a capture: use a Router for captures"),
        ("/a/:id", "has a capture: use a Router for captures"),
        ("/*", "has a capture: use a Router for captures"),
    ];
    for (prefix, why) in cases {
        let error = mounts(&SOME).at(prefix, app("x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Route);
        assert_eq!(error.to_string(), format!("{prefix:?} {why}"));
    }
    let error = Mounts::new().at_host("a b", "/", app("x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Host);
}

#[test]
fn is_described_as_a_table() {
    fn one(_: Request) {}
    fn two(_: Request) {}
    fn three(_: Request) {}
    let mounts = Mounts::new().at("/one", one).unwrap();
    let mounts = mounts.at_host("Example.org", "/", two).unwrap();
    let app = Application::new(mounts.otherwise(three));
    let tree = "Mounts\n├─ example.org/: two\n├─ /one: one\n└─ otherwise: three\n";
    assert_eq!(app.describe().to_string(), tree);
    assert_eq!(app.map_inner(&mut |app| app).describe().to_string(), tree);
}

#[test]
fn keeps_the_laws() {
    let wrapper = |app: Application| {
        let mounts = Mounts::new().at("/a", app.clone()).unwrap();
        let mounts = mounts.at_host("other.example", "/x", app.clone());
        Application::new(mounts.unwrap().otherwise(app))
    };
    Check::new(wrapper).run();
}
