use super::*;

#[test]
fn a_prefix_ends_at_a_segment_boundary() {
    let cases = [
        ("/foo", "/foo", Some(4)),
        ("/foo/", "/foo", Some(4)),
        ("/foo/bar", "/foo/", Some(4)),
        ("/foobar", "/foo", None),
        ("/fo", "/foo", None),
        ("/x", "", Some(0)),
        ("/x", "/", Some(0)),
        ("", "/", Some(0)),
        ("*", "/", None),
        ("*", "/foo", None),
        ("/foo%2Fbar", "/foo/bar", None),
        ("/foo%2Fbar", "/foo", None),
        ("/caf%C3%A9/x", "/café", Some(10)),
        ("/a%25", "/a%", Some(5)),
        ("/a%40b", "/a@b", None),
        ("/a@b", "/a@b", Some(4)),
        ("/a%5Cb/c", "/a\\b", Some(6)),
    ];
    for (path, prefix, expected) in cases {
        assert_eq!(
            match_prefix(path, prefix),
            expected,
            "{path} under {prefix}"
        );
    }
}

#[test]
fn equal_paths_have_one_canonical_form() {
    let cases = [
        ("/a/b", "/a/b"),
        ("/%61/%62", "/a/b"),
        ("/a%2fb", "/a%2Fb"),
        ("/%C3%a9", "/%C3%A9"),
        ("/é", "/%C3%A9"),
        ("/a%40b", "/a%40b"),
        ("/a@b", "/a@b"),
        ("/%7e%2D%2e%5f", "/~-._"),
        ("/a\\b%5c", "/a%5Cb%5C"),
        ("/%00%ff", "/%00%FF"),
        ("/%2", "/%252"),
        ("/%%32", "/%252"),
        ("/a b", "/a%20b"),
        ("/100%", "/100%25"),
        ("//", "//"),
        ("*", "*"),
        ("", ""),
    ];
    for (raw, expected) in cases {
        assert_eq!(canonical(raw), expected, "{raw}");
        assert_eq!(canonical(expected), expected, "again: {raw}");
    }
    assert!(matches!(canonical("/plain/path-1.html"), Cow::Borrowed(_)));
}

#[test]
fn dot_segments_are_resolved_and_nothing_above_the_root_is_reached() {
    let cases = [
        ("/a/b/c/./../../g", "/a/g"),
        ("/a/./b", "/a/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/../", "/"),
        ("/..", "/"),
        ("/.", "/"),
        ("/../../..", "/"),
        ("/../../a/../../b", "/b"),
        ("/%2E%2e/README", "/README"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2E./%2e/b", "/b"),
        ("/a/%2e", "/a/"),
        ("/a//../b", "/a/b"),
        ("/a/..//b", "//b"),
        ("/.//b", "//b"),
        ("/a/..%2Fb/../c", "/a/c"),
        ("/x%41/./%zz", "/xA/%25zz"),
        ("//..", "/"),
    ];
    for (raw, expected) in cases {
        assert_eq!(canonical(raw), expected, "{raw}");
        assert_eq!(canonical(expected), expected, "again: {raw}");
    }
    for raw in [
        "", "/", "*", "//", "/...", "/.a", "/a.", "/a..", "/.../", "/%252e", "/a/..%2F", "/%C3%A9",
    ] {
        let canonical = canonical(raw);
        assert!(
            matches!(canonical, Cow::Borrowed(same) if same == raw),
            "{raw}"
        );
    }
}

#[test]
fn only_what_is_not_allowed_is_coded() {
    let cases = [
        ("/a/b;c?d=e/f?g", "/a/b;c?d=e/f?g"),
        ("/%66%zz%", "/%66%25zz%25"),
        ("/é\"<>^`{|}", "/%C3%A9%22%3C%3E%5E%60%7B%7C%7D"),
        ("/%2f%E9", "/%2f%E9"),
    ];
    for (raw, expected) in cases {
        assert_eq!(encode_invalid(raw), expected);
        assert_eq!(encode_invalid(expected), expected);
    }
}

#[test]
fn coding_round_trips() {
    for text in ["/a b", "/100%", "/a?b#c", "/é/ü", "/{x}|^`", "/a\u{0}b\nc"] {
        assert_eq!(decode(&encode(text)), text);
        assert_eq!(decode_utf8(&encode_segment(text)).unwrap(), text);
    }
    assert_eq!(encode_segment("a/b"), "a%2Fb");
    assert_eq!(decode("%ff"), "\u{fffd}");
    assert_eq!(decode_utf8("%ff"), None);
    assert_eq!(&decode_bytes("a%ff")[..], b"a\xff");
}
