use enfilade_core::IntoResponse;
use enfilade_testing::laws::Check;
use enfilade_testing::{Client, Lint, TestResponse, laws};
use http::StatusCode;

use super::*;
use crate::error::Error;
use crate::error::ErrorKind;

type Own = &'static [(&'static str, &'static str)];

fn rule(directives: &str) -> CacheRule {
    CacheRule::new(directives).unwrap()
}

fn send(
    cache: CacheControl,
    method: Method,
    path: &'static str,
    status: u16,
    own: Own,
) -> TestResponse {
    let app = Application::new(move |_: Request| {
        let mut response = StatusCode::from_u16(status).unwrap().into_response();
        for (name, value) in own {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        response
    });
    let app = app.wrap(Lint::new()).wrap(cache).wrap(Lint::new());
    Client::new(app).request(method, path).send()
}

/// The `Cache-Control` of the response to a GET.
fn said(cache: CacheControl, path: &'static str, status: u16, own: Own) -> Option<String> {
    let response = send(cache, Method::GET, path, status, own);
    response.header("cache-control").map(str::to_owned)
}

#[test]
fn patterns_fit_decoded_paths() {
    for (pattern, path, expected) in [
        ("/a", "/a", true),
        ("/a", "/a/", false),
        ("/*.txt", "/robots.txt", true),
        ("/*.txt", "/a/robots.txt", false),
        ("/a/**", "/a/b/c", true),
        ("/a/**", "/a/", true),
        ("/a/**", "/ab", false),
        ("**/*.{css,js}", "/x.css", true),
        ("**/*.{css,js}", "/a/b/x.js", true),
        ("/?[0-9]", "/a1", true),
        ("/\\*", "/*", true),
        ("/\\*", "/a", false),
        ("/a b", "/a%20b", true),
        ("/é", "/%C3%A9", true),
        ("/A", "/a", false),
        ("/a/**", "/a/../b", false),
        ("/a/**", "/a/%2e%2e/b", false),
        ("/b", "/a/../b", true),
    ] {
        let cache = CacheControl::new().rule(rule("no-cache").path(pattern).unwrap());
        let found = said(cache, path, 200, &[]);
        assert_eq!(found.is_some(), expected, "{pattern} {path}");
    }
}

#[test]
fn an_empty_path_is_the_root() {
    let cache = CacheControl::new().rule(rule("no-cache").path("/").unwrap());
    let mut request = Request::get("/mounted");
    request.mount("/mounted").unwrap();
    let app = Application::new(|_: Request| "").wrap(cache);
    let response = pollster::block_on(app.call(request));
    assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
}

#[test]
fn media_types_are_compared_without_parameters_and_case() {
    for (range, own, expected) in [
        ("text/html", "text/html", true),
        ("text/html", "Text/HTML ; charset=utf-8", true),
        ("text/html", "text/plain", false),
        ("IMAGE/*", "image/png", true),
        ("image/*", "imagery/png", false),
        ("*/*", "a/b", true),
    ] {
        let range = MediaRangeCase { range, own };
        assert_eq!(range.matches(), expected, "{range:?}");
    }
    let cache = CacheControl::new().rule(rule("no-cache").media_type("*/*").unwrap());
    assert_eq!(said(cache, "/", 404, &[]), None);
}

#[derive(Debug)]
struct MediaRangeCase {
    range: &'static str,
    own: &'static str,
}

impl MediaRangeCase {
    fn matches(&self) -> bool {
        let rule = rule("no-cache").media_type(self.range).unwrap();
        let own = self.own.parse().unwrap();
        rule.match_response(StatusCode::OK, Some(&own)) == RuleMatch::Yes
    }
}

#[test]
fn a_rule_matches_successful_responses_unless_it_says_which() {
    let success = || rule("no-cache");
    for (rule, status, expected) in [
        (success(), 200, true),
        (success(), 204, true),
        (success(), 206, true),
        (success(), 304, true),
        (success(), 301, false),
        (success(), 404, false),
        (success().status(StatusCode::NOT_FOUND).unwrap(), 404, true),
        (success().status(StatusCode::NOT_FOUND).unwrap(), 200, false),
        (success().status(StatusCode::OK).unwrap(), 304, true),
        (success().status(StatusCode::OK).unwrap(), 206, true),
        (success().status_class(3).unwrap(), 301, true),
        (success().status_class(3).unwrap(), 304, false),
        (
            success().status_class(4).unwrap().status_class(5).unwrap(),
            503,
            true,
        ),
        (success().any_status(), 500, true),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let outcome = rule.match_response(status, None);
        assert_eq!(outcome == RuleMatch::Yes, expected, "{rule} {status}");
    }
}

#[test]
fn the_first_rule_that_fits_wins() {
    let cache = || {
        CacheControl::new()
            .rule(
                rule("max-age=1")
                    .path("/a/**")
                    .unwrap()
                    .media_type("text/css")
                    .unwrap(),
            )
            .rule(rule("max-age=2").path("/a/**").unwrap().path("/b").unwrap())
            .rule(rule("max-age=3"))
    };
    let css: Own = &[("content-type", "text/css")];
    for (path, status, own, expected) in [
        ("/a/x", 200, css, Some("max-age=1")),
        ("/a/x", 200, &[], Some("max-age=2")),
        ("/b", 200, css, Some("max-age=2")),
        ("/c", 200, css, Some("max-age=3")),
        ("/a/x", 404, css, None),
        // It does not say whether it stands for CSS, and so no later rule may speak for it.
        ("/a/x", 304, &[], None),
        ("/a/x", 304, css, Some("max-age=1")),
        ("/b", 304, &[], Some("max-age=2")),
    ] {
        let found = said(cache(), path, status, own);
        assert_eq!(found.as_deref(), expected, "{path} {status}");
    }
}

#[test]
fn what_the_application_says_stays_unless_told() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let said: Own = &[("cache-control", "private"), ("cache-control", "no-cache")];
    let expires: Own = &[("expires", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let rules = || CacheControl::new().rule(rule("no-store").path("/a").unwrap());
    for (cache, path, own, expected, expires) in [
        (rules(), "/a", said, vec!["private", "no-cache"], None),
        (rules(), "/a", expires, vec![], Some(date)),
        (
            rules().override_application(),
            "/a",
            said,
            vec!["no-store"],
            None,
        ),
        (
            rules().override_application(),
            "/a",
            expires,
            vec!["no-store"],
            None,
        ),
        (
            rules().override_application(),
            "/b",
            expires,
            vec![],
            Some(date),
        ),
    ] {
        let response = send(cache, Method::GET, path, 200, own);
        let lines = response.headers().get_all(CACHE_CONTROL).into_iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
        assert_eq!((lines, response.header("expires")), (expected, expires));
    }
}

#[test]
fn only_responses_to_get_and_head_by_default() {
    let rules = || CacheControl::new().rule(rule("no-store"));
    for (cache, method, expected) in [
        (rules(), Method::GET, Some("no-store")),
        (rules(), Method::HEAD, Some("no-store")),
        (rules(), Method::POST, None),
        (rules().every_method(), Method::POST, Some("no-store")),
    ] {
        let response = send(cache, method, "/", 200, &[]);
        assert_eq!(response.header("cache-control"), expected);
    }
}

#[test]
fn mistakes_are_told_when_the_stack_is_built() {
    type Build = fn(CacheRule) -> Result<CacheRule, Error>;
    let cases: [(Build, ErrorKind, &str); 6] = [
        (
            |rule| rule.path("*.css"),
            ErrorKind::Rule,
            "\"*.css\" is not a pattern of paths: it begins with neither / nor **/",
        ),
        (
            |rule| rule.path("/[a"),
            ErrorKind::Rule,
            "\"/[a\" is not a pattern of paths: a [ has no ]",
        ),
        (
            |rule| rule.media_type("html"),
            ErrorKind::Rule,
            "\"html\" is not a media type or a range of them",
        ),
        (
            |rule| rule.media_type("*/png"),
            ErrorKind::Rule,
            "\"*/png\" is not a media type or a range of them",
        ),
        (
            |rule| rule.media_type("text/html; charset=utf-8"),
            ErrorKind::Rule,
            "\"text/html; charset=utf-8\" is not a media type or a range of them",
        ),
        (
            |rule| rule.status_class(404),
            ErrorKind::Status,
            "404 is not a valid class of statuses: use 1 to 5",
        ),
    ];
    for (build, kind, message) in cases {
        let error = build(rule("no-store")).unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), (kind, message));
    }
}

#[test]
fn describes_its_rules() {
    let fonts = rule("max-age=1").path("/a/**").unwrap().path("/b").unwrap();
    let errors = rule("no-store")
        .status_class(5)
        .unwrap()
        .status(StatusCode::GONE)
        .unwrap();
    let cache = CacheControl::new()
        .rule(fonts.media_type("Font/*").unwrap())
        .rule(errors)
        .override_application();
    let tree = Application::new(|_: Request| "").wrap(cache).describe();
    let options: Vec<_> = tree.options().collect();
    assert_eq!(
        options,
        [
            ("/a/** or /b, font/*, 2xx", &"max-age=1".into()),
            ("5xx or 410", &"no-store".into()),
            ("override application", &true.into()),
        ]
    );
}

#[test]
fn keeps_the_laws() {
    let rules = CacheControl::new()
        .rule(rule("max-age=1").media_type("text/*").unwrap())
        .rule(rule("max-age=2").path("/a/**").unwrap())
        .rule(rule("no-store").any_status());
    laws::check(rules.clone());
    Check::new(rules.override_application().every_method())
        .touches([CACHE_CONTROL, EXPIRES])
        .run();
}
