use globset::GlobBuilder;
use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, path: &str) -> bool {
    PathGlob::new(pattern).unwrap().matches_path(path)
}

#[test]
fn matches_within_segments_and_across_them() {
    for (pattern, does, does_not) in [
        ("/", &["/"][..], &["", "/a", "//"][..]),
        (
            "/a/**",
            &["/a/", "/a/b", "/a/b/c", "/a//"],
            &["/a", "/ab", "/b/a/c"],
        ),
        ("/**", &["/", "/a", "/a/b"], &["", "a"]),
        (
            "**/*.js",
            &["/a.js", "/a/b.js", "/.js"],
            &["/a.jsx", "/a.js/b"],
        ),
        (
            "/a/**/z",
            &["/a/z", "/a/b/z", "/a/b/c/z"],
            &["/az", "/a/bz", "/a/z/y"],
        ),
        ("/a*c", &["/ac", "/abc", "/abbc"], &["/a/c", "/acb"]),
        (
            "/a?c",
            &["/abc", "/a%C3%B6c", "/a%40c", "/a%FFc"],
            &["/ac", "/a/c", "/abbc", "/a%FF%FFc"],
        ),
        ("/é@", &["/%C3%A9@"], &["/%C3%A9%40", "/e@"]),
        ("/[é@]", &["/%C3%A9", "/@"], &["/%40", "/%C3"]),
        ("/[!@]", &["/%40", "/%FF", "/a"], &["/@", "/"]),
        ("/a%/*", &["/a%25/a%2Fb"], &["/a%/x", "/a%25/a/b"]),
        (
            "/[a-c]x[!0-9]",
            &["/axy", "/cx-"],
            &["/dxy", "/ax1", "/ax/"],
        ),
        ("/[]a]", &["/]", "/a"], &["/b"]),
        ("/{a,b/c}/d", &["/a/d", "/b/c/d"], &["/b/d", "/a"]),
        ("/x{,y{1,2}}", &["/x", "/xy1", "/xy2"], &["/xy", "/x1"]),
        (r"/\*\{a\}", &["/*{a}"], &["/b{a}", "/*a"]),
        ("/a**b", &["/ab", "/axb"], &["/a/b"]),
        (
            "/*a*b*c/**/x*/y",
            &["/abc/x/y", "/1a2b3c/4/x5/x6/y"],
            &["/acb/x/y", "/abc/xy"],
        ),
    ] {
        for path in does {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for path in does_not {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }
}

#[test]
fn says_what_is_wrong_with_a_pattern() {
    for (pattern, why) in [
        ("a", "it begins with neither / nor **/"),
        ("", "it begins with neither / nor **/"),
        ("/{a", "a { has no }"),
        ("/{a,{b}", "a { has no }"),
        ("/a}", "a } has no {"),
        ("/[a", "a [ has no ]"),
        ("/[]", "a [ has no ]"),
        ("/[z-a]", "a range of characters has its last one first"),
        ("/a\\", "nothing follows the last \\"),
        ("/a/../b", "no path has the segment . or .."),
        ("/{a,.}/b", "no path has the segment . or .."),
        (
            "/{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}",
            "its braces stand for more than 1,000 patterns",
        ),
    ] {
        let error = PathGlob::new(pattern).unwrap_err();
        let expected = format!("{pattern:?} is not a pattern of paths: {why}");
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::Rule, expected)
        );
    }
}

/// With backtracking into every star, this would not end.
#[test]
fn many_stars_cost_no_more_than_the_product_of_both_lengths() {
    let pattern = format!("/{}b", "*a".repeat(50));
    assert!(!matches(&pattern, &format!("/{}", "a".repeat(10_000))));
    let pattern = format!("/{}b", "**/a/".repeat(50));
    assert!(!matches(&pattern, &"/a".repeat(5_000)));
}

proptest! {
    /// The crate `globset` reads the same patterns of ASCII in the same way, but for `[!…]`, which matches a slash there, and a
    /// `**/` at the end, which matches all paths there and those that end with a slash here.
    #[test]
    fn matches_what_globset_matches(
        pattern in r"(/|\*\*/)([abc/?{},!]|\\[abc*?{}]|\*|\*\*|/\*\*|\[[!]?[abc][-]?[bc]?\]){0,8}",
        path in "/[abc/]{0,8}",
    ) {
        let theirs = GlobBuilder::new(&pattern)
            .literal_separator(true)
            .backslash_escape(true)
            .empty_alternates(true)
            .build();
        let ours = PathGlob::new(&pattern);
        // Whether `**` is a segment it decides within each brace.
        let differs = pattern.contains("[!")
            || pattern.ends_with("**/")
            || pattern.contains('{') && pattern.contains("**");
        if let (Ok(theirs), Ok(ours)) = (theirs, ours) && !differs {
            prop_assert_eq!(ours.matches_path(&path), theirs.compile_matcher().is_match(&path), "{} {}", pattern, path);
        }
    }
}
