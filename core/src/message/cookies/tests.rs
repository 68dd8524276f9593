//! What is read of `Cookie`, and written as `Set-Cookie`.

use std::time::Duration;

use http::HeaderValue;

use super::cookie::{Cookie, SameSite};
use crate::message::request::Request;
use crate::message::response::IntoResponse;

fn read(lines: &[&str]) -> Vec<String> {
    let mut request = Request::get("/");
    for line in lines {
        request
            .headers_mut()
            .append("cookie", HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    request
        .cookies()
        .iter()
        .map(|(name, value)| format!("{name}|{value}"))
        .collect()
}

#[test]
fn cookies_are_read_as_browsers_write_them() {
    assert_eq!(read(&["a=b; c=d", "e=f"]), ["a|b", "c|d", "e|f"]);
    assert_eq!(
        read(&[" a = b c ;;=x;x; d=\"e;f\"=g"]),
        ["a|b c", "d|\"e", "f\"|g"]
    );
    assert_eq!(read(&["a=%41+"]), ["a|%41+"]);
    let many: Vec<String> = (0..500).map(|number| format!("c{number}=x")).collect();
    assert_eq!(read(&[&many.join("; ")]).len(), 180);
    // What is beyond 64 KiB is not read; a line counts as a whole.
    let long = format!("a={}", "x".repeat(60_000));
    assert_eq!(read(&[&long, &long, "b=c"]).len(), 1);
}

#[test]
fn a_value_that_was_encoded_is_decoded() {
    for text in [
        "a;b",
        "back\\slash",
        "☃",
        "100%",
        "a+b",
        "{\"json\": [1,2]}",
        "",
        "\r\n\0",
    ] {
        let line = Cookie::encoded("c", text).header_value().unwrap();
        let line = line.to_str().unwrap().split(';').next().unwrap().to_owned();
        let mut request = Request::get("/");
        request
            .headers_mut()
            .insert("cookie", line.parse().unwrap());
        assert_eq!(request.cookies().get_decoded("c").as_deref(), Some(text));
    }
    let mut request = Request::get("/");
    request
        .headers_mut()
        .insert("cookie", "c=%FF".parse().unwrap());
    assert_eq!(request.cookies().get_decoded("c"), None);
}

#[test]
fn each_attribute_is_written() {
    let written = |cookie: Cookie| cookie.header_value().unwrap().to_str().unwrap().to_owned();
    let cookie = || {
        Cookie::new("a", "b")
            .without_path()
            .same_site(None)
            .readable_by_scripts()
            .insecure_without_tls()
    };
    assert_eq!(
        written(Cookie::new("a", "b")),
        "a=b; Path=/; Secure; HttpOnly; SameSite=Lax"
    );
    assert_eq!(written(cookie()), "a=b");
    assert_eq!(
        written(cookie().domain(".example.org").path("/x")),
        "a=b; Path=/x; Domain=example.org"
    );
    assert_eq!(
        written(cookie().max_age(Duration::from_millis(61_900))),
        "a=b; Max-Age=62"
    );
    assert_eq!(
        written(cookie().same_site(SameSite::Strict)),
        "a=b; SameSite=Strict"
    );
    let partitioned = Cookie::new("a", "\"b\"")
        .same_site(SameSite::None)
        .partitioned();
    assert_eq!(
        written(partitioned),
        "a=\"b\"; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
    );
    // Browsers reject these without it.
    assert_eq!(
        written(cookie().same_site(SameSite::None)),
        "a=b; Secure; SameSite=None"
    );
    assert_eq!(written(cookie().partitioned()), "a=b; Secure; Partitioned");
    assert_eq!(
        written(Cookie::new("__Host-a", "b").removal()),
        "__Host-a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
    );
}

#[test]
fn a_cookie_that_browsers_reject_is_an_error() {
    let cookie = |name: &str| Cookie::new(name, "b");
    let long = "x".repeat(4_096);
    for (cookie, expected) in [
        (cookie(""), "the cookie name \"\" is not a token"),
        (cookie("a b"), "is not a token"),
        (cookie("a;b"), "is not a token"),
        (cookie("a\r\nb"), "is not a token"),
        (Cookie::new("a", "b c"), "use Cookie::encoded"),
        (Cookie::new("a", "b;c"), "use Cookie::encoded"),
        (
            Cookie::new("a", "b\r\nset-cookie: c=d"),
            "use Cookie::encoded",
        ),
        (Cookie::new("a", "\"b"), "use Cookie::encoded"),
        (Cookie::new("a", "é"), "use Cookie::encoded"),
        (Cookie::new("a", long), "is longer than 4096 bytes"),
        (cookie("a").path("/a;b"), "cannot have the path \"/a;b\""),
        (cookie("a").path("/\r\nx: y"), "cannot have the path"),
        (cookie("a").path("x"), "cannot have the path \"x\""),
        (
            cookie("a").path(format!("/{}", "x".repeat(1_024))),
            "cannot have the path",
        ),
        (
            cookie("a").domain("a.com; Path=/"),
            "cannot have the domain \"a.com; Path=/\"",
        ),
        (cookie("a").domain("a b"), "cannot have the domain"),
        (cookie("a").domain(""), "cannot have the domain \"\""),
        (cookie("a").domain("..a"), "cannot have the domain \".a\""),
        (cookie("a").domain("a..b"), "cannot have the domain"),
        (cookie("a").domain("a:80"), "cannot have the domain"),
        (
            cookie("__Secure-a").insecure_without_tls(),
            "must be Secure",
        ),
        (cookie("__host-a").insecure_without_tls(), "must be Secure"),
        (
            cookie("__HOST-a").domain("example.org"),
            "must have no domain and the path \"/\"",
        ),
        (
            cookie("__Host-a").path("/x"),
            "must have no domain and the path \"/\"",
        ),
        (
            cookie("__Host-a").without_path(),
            "must have no domain and the path \"/\"",
        ),
    ] {
        let error = cookie.header_value().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error:?}");
        assert_eq!((cookie, "x").into_response().status(), 500);
    }
}

#[test]
fn a_response_keeps_its_other_cookies_and_is_private() {
    let response = (
        Cookie::new("a", "1"),
        (Cookie::new("a", "2").domain("example.org"), "text"),
    )
        .into_response();
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!(response.headers()["cache-control"], "private");
    let stored = ([("cache-control", "no-store")], "text");
    assert_eq!(
        (Cookie::new("a", "1"), stored).into_response().headers()["cache-control"],
        "no-store"
    );
}
