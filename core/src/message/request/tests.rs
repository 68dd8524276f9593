use std::sync::Arc;

use super::*;
use crate::message::connection::Scheme;

#[test]
fn mounting_moves_whole_segments() {
    let cases: [(&'static str, &[&str], &str, &str); 11] = [
        ("/foo", &["/foo"], "/foo", ""),
        ("/foo/bar//quux", &["/foo/bar"], "/foo/bar", "//quux"),
        ("/foo/bard", &["/foo/bar"], "", "/foo/bard"),
        ("/foo/bard", &["/foo"], "/foo", "/bard"),
        ("/a/b/c", &["/a", "/b", "/c"], "/a/b/c", ""),
        ("/a/b", &["/"], "", "/a/b"),
        ("/a/b", &["/a/"], "/a", "/b"),
        ("/%66oo/x", &["/foo"], "/foo", "/x"),
        ("/a/../foo/%2e/x%2fy", &["/foo"], "/foo", "/x%2Fy"),
        ("/foo/..//x", &["/foo"], "", "//x"),
        ("*", &["/"], "", "*"),
    ];
    for (target, mounts, script_name, path) in cases {
        let mut request = Request::get(target);
        for prefix in mounts {
            let _ = request.mount(prefix);
        }
        assert_eq!(
            (request.script_name(), request.path()),
            (script_name, path),
            "{target}"
        );
        assert_eq!(
            format!("{script_name}{path}"),
            crate::rules::path::canonical(target),
            "law 1: {target}"
        );
        assert_eq!(request.uri(), target, "as received");
    }
}

#[test]
fn a_prefix_from_outside_stands_before_what_is_mounted() {
    let mut request = Request::get("/foo/quux");
    request.prepend_script_name("/bleh/");
    assert_eq!(
        (request.script_name(), request.path()),
        ("/bleh", "/foo/quux")
    );
    request.mount("/foo").unwrap();
    assert_eq!(
        (request.script_name(), request.path()),
        ("/bleh/foo", "/quux")
    );
    assert_eq!(request.url_for_path("/x"), "/bleh/foo/x");
    assert_eq!(request.into_http().uri(), "/quux");
}

#[test]
fn advancing_into_a_segment_does_nothing() {
    let mut request = Request::get("/foo/bar");
    assert!(request.advance(2).is_err());
    assert!(request.advance(100).is_err());
    assert_eq!(request.path(), "/foo/bar");
    request.advance(4).unwrap();
    assert_eq!(request.path(), "/bar");
}

#[test]
fn captures_are_decoded_and_survive_mounting() {
    let mut request = Request::get("/t/a%20b/u/42/%ff");
    let name = |text: &str| Arc::from([Arc::from(text)]);
    let raw = |range| [Captured::Raw(range)];
    request.capture(&name("tenant"), raw(3..8)).unwrap();
    request.advance(8).unwrap();
    request.capture(&name("id"), raw(3..5)).unwrap();
    assert!(request.capture(&name("bad"), raw(6..9)).is_err());
    assert_eq!(request.params().get("tenant"), Some("a b"));
    assert_eq!(request.params().get("id"), Some("42"));
    assert_eq!(request.params().get("bad"), None);
    let captured = [("tenant", "a b"), ("id", "42")];
    assert_eq!(request.params().iter().collect::<Vec<_>>(), captured);
    request.prepend_script_name("/outside");
    assert_eq!(request.params().iter().collect::<Vec<_>>(), captured);
    request.set_uri(Uri::from_static("/elsewhere"));
    assert_eq!(request.params().iter().collect::<Vec<_>>(), captured);
}

#[test]
fn http_requests_come_and_go_whole() {
    let mut inner = http::Request::post("http://example.org/a/b?c")
        .body(Body::from("x"))
        .unwrap();
    inner.headers_mut().insert("x-a", "1".parse().unwrap());
    inner.extensions_mut().insert(7_u8);
    inner
        .extensions_mut()
        .insert(Connection::new(Scheme::Https));
    let mut request = Request::from(inner);
    assert_eq!(request.connection().scheme(), Scheme::Https);
    request.mount("/a").unwrap();
    let outer = request.into_http();
    assert_eq!(outer.uri(), "http://example.org/b?c");
    assert_eq!(outer.method(), Method::POST);
    assert_eq!(outer.headers()["x-a"], "1");
    assert_eq!(outer.extensions().get::<u8>(), Some(&7));
    assert_eq!(
        outer.extensions().get::<Connection>().unwrap().scheme(),
        Scheme::Https
    );
    assert_eq!(outer.body().as_bytes().unwrap(), "x");
}

#[test]
fn the_host_of_the_target_wins() {
    let mut request = Request::get("http://user@a.example:81/x");
    request
        .headers_mut()
        .insert("host", "b.example".parse().unwrap());
    assert_eq!(request.host(), Some("a.example:81"));
    request.set_uri(Uri::from_static("/x"));
    assert_eq!(request.host(), Some("b.example"));
    for (host, name) in [
        ("h:80", "h"),
        ("h", "h"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("h:", "h"),
    ] {
        request.headers_mut().insert("host", host.parse().unwrap());
        assert_eq!(request.hostname(), Some(name), "{host}");
    }
}

#[test]
fn a_url_without_a_host_has_the_local_address() {
    let cases = [
        (Scheme::Http, "127.0.0.1:8000", "http://127.0.0.1:8000/x"),
        (Scheme::Http, "127.0.0.1:80", "http://127.0.0.1/x"),
        (Scheme::Https, "[::1]:443", "https://[::1]/x"),
        (Scheme::Https, "[::1]:80", "https://[::1]:80/x"),
    ];
    for (scheme, local, url) in cases {
        let mut request = Request::get("/x");
        request.set_connection(Connection::new(scheme).with_local(local.parse().unwrap()));
        assert_eq!(request.url(), url);
    }
}

#[test]
fn shifting_takes_one_segment() {
    let cases = [
        ("/", Some(""), "/", ""),
        ("/x", Some("x"), "/x", ""),
        ("/x/y", Some("x"), "/x", "/y"),
        ("/x/", Some("x"), "/x", "/"),
        ("/a%2Fb/y", Some("a/b"), "/a%2Fb", "/y"),
        ("*", None, "", "*"),
    ];
    for (target, name, script_name, path) in cases {
        let mut request = Request::get(target);
        assert_eq!(request.shift_segment().as_deref(), name, "{target}");
        assert_eq!(
            (request.script_name(), request.path()),
            (script_name, path),
            "{target}"
        );
    }
}

#[test]
fn a_copy_of_the_head_is_not_touched_by_what_happens_to_the_request() {
    let mut request = Request::get("/app/users/42?q");
    request.headers_mut().insert("x-a", "1".parse().unwrap());
    request.extensions_mut().insert("outer");
    request.prepend_script_name("/site");
    request.mount("/app").unwrap();
    request
        .capture(&Arc::from([Arc::from("id")]), [Captured::Raw(7..9)])
        .unwrap();
    let mut head = request.clone_head();
    let other = request.clone_head();

    request.headers_mut().insert("x-a", "2".parse().unwrap());
    request.extensions_mut().insert("inner");
    *request.method_mut() = Method::POST;
    request.mount("/users").unwrap();
    assert_eq!(request.into_http().headers()["x-a"], "2");

    for head in [&head, &other] {
        assert_eq!(head.headers()["x-a"], "1");
        assert_eq!(head.extensions().get(), Some(&"outer"));
        assert_eq!(head.method(), Method::GET);
        assert_eq!(
            (head.script_name(), head.path()),
            ("/site/app", "/users/42")
        );
        assert_eq!(head.params().get("id"), Some("42"));
    }
    head.headers_mut().clear();
    assert_eq!(other.headers().len(), 1);
}

#[test]
fn the_path_that_is_left_can_be_replaced() {
    let mut request = Request::get("http://h/foo/old?q");
    request.prepend_script_name("/out");
    request.mount("/foo").unwrap();
    for path in ["", "new", "/a?b", "/a#b"] {
        assert!(request.set_path(path).is_err(), "{path}");
    }
    request.set_path("/../n%65w/ ").unwrap();
    assert_eq!(
        (request.script_name(), request.path()),
        ("/out/foo", "/new/%20")
    );
    assert_eq!(request.uri(), "http://h/foo/new/%20?q");
    request.mount("/new").unwrap();
    assert_eq!(request.path(), "/%20");
}

#[test]
fn the_effective_host_leaves_the_schemes_port_out() {
    let local = |text: &str| Some(text.parse::<std::net::SocketAddr>().unwrap());
    let server = || local("192.0.2.1:80");
    let cases: [(Scheme, &[&'static str], _, Option<&str>); 12] = [
        (Scheme::Https, &["spam:443"], None, Some("spam")),
        (Scheme::Http, &["spam:8080"], None, Some("spam:8080")),
        (Scheme::Http, &["spam:443"], None, Some("spam:443")),
        (Scheme::Https, &["spam:80"], None, Some("spam:80")),
        (Scheme::Http, &["spam"], server(), Some("spam")),
        (Scheme::Http, &[], server(), Some("192.0.2.1")),
        (Scheme::Http, &[""], server(), Some("192.0.2.1")),
        (Scheme::Https, &[], server(), Some("192.0.2.1:80")),
        (Scheme::Http, &[], local("[::1]:8080"), Some("[::1]:8080")),
        (Scheme::Http, &["a b"], server(), None),
        (Scheme::Http, &["a", "a"], server(), None),
        (Scheme::Http, &[], None, None),
    ];
    for (scheme, hosts, local, expected) in cases {
        let mut request = Request::get("/");
        for host in hosts {
            let value = http::HeaderValue::from_static(host);
            request.headers_mut().append("host", value);
        }
        let connection = Connection::new(scheme);
        request.set_connection(match local {
            Some(local) => connection.with_local(local),
            None => connection,
        });
        assert_eq!(request.effective_host().as_deref(), expected, "{hosts:?}");
    }
}

#[test]
fn a_path_that_is_not_canonical_stays_so_on_every_way() {
    let mut request = Request::get("/a/../%66oo/b%2fc?q=%66");
    request.mount("/foo").unwrap();
    let kept = request.keep_head().into_request();
    for request in [request, kept] {
        assert_eq!((request.script_name(), request.path()), ("/foo", "/b%2Fc"));
        let outside = request.into_http();
        assert_eq!(outside.uri(), "/b%2Fc?q=%66");
        let mut request = Request::from(outside);
        assert_eq!(request.uri(), "/a/../%66oo/b%2fc?q=%66");
        assert_eq!((request.script_name(), request.path()), ("/foo", "/b%2Fc"));
        request.prepend_script_name("/x");
        assert_eq!(
            (request.script_name(), request.path()),
            ("/x/foo", "/b%2Fc")
        );
        request.set_path("/%64/../../%65").unwrap();
        assert_eq!((request.script_name(), request.path()), ("/x/foo", "/e"));
        assert_eq!(request.uri(), "/foo/e?q=%66");
        request.set_uri(http::Uri::from_static("/%66"));
        assert_eq!((request.script_name(), request.path()), ("", "/f"));
    }
}
