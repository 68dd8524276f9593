//! Statuses, headers and content of the responders.

use http::{HeaderMap, HeaderValue, StatusCode};

use super::attachment::Attachment;
use super::html::Html;
use super::no_content::{Created, NoContent};
use super::redirect::Redirect;
#[cfg(feature = "json")]
use crate::message::cookies::cookie::Cookie;
use crate::message::request::Request;
use crate::message::response::IntoResponse;

fn header(headers: &HeaderMap, name: &str) -> String {
    String::from_utf8(headers[name].as_bytes().to_vec()).unwrap()
}

fn mounted(prefix: &str) -> Request {
    let mut request = Request::get("/shop/");
    request.mount(prefix).unwrap();
    request
}

#[test]
fn a_redirect_stays_on_its_site() {
    for (mount, path, expected) in [
        ("", "/users/42", "/users/42"),
        ("", "users", "/users"),
        ("", "", "/"),
        ("/shop", "/", "/shop/"),
        (
            "/shop",
            "/users?tab=rooms&q=%20#top",
            "/shop/users?tab=rooms&q=%20#top",
        ),
        ("", "/café \"x\"", "/caf%C3%A9%20%22x%22"),
        // What browsers would take for a host.
        ("", "//evil.example/a", "/.//evil.example/a"),
        ("", "/\\evil.example", "/%5Cevil.example"),
        ("", "/\t/evil.example", "/%09/evil.example"),
        ("", "\\\\evil.example", "/%5C%5Cevil.example"),
        ("", "https://evil.example", "/https://evil.example"),
        ("/shop", "//evil.example", "/shop//evil.example"),
        // What would be another header.
        ("", "/a\r\nset-cookie: x=y", "/a%0D%0Aset-cookie:%20x=y"),
    ] {
        for (redirect, status) in [
            (Redirect::see_other(&mounted(mount), path), 303),
            (Redirect::temporary(&mounted(mount), path), 307),
            (Redirect::permanent(&mounted(mount), path), 308),
        ] {
            let response = redirect.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(header(response.headers(), "location"), expected, "{path:?}");
            assert_eq!(response.headers().len(), 1);
        }
        let created = Created::new(&mounted(mount), path, "made").into_response();
        assert_eq!(
            (
                created.status().as_u16(),
                header(created.headers(), "location")
            ),
            (201, expected.to_owned())
        );
    }
    let away = Redirect::off_site(
        StatusCode::SEE_OTHER,
        &"https://example.org/a?b".parse().unwrap(),
    );
    assert_eq!(
        header(away.into_response().headers(), "location"),
        "https://example.org/a?b"
    );
    let wrong = Redirect::off_site(StatusCode::OK, &"https://example.org".parse().unwrap());
    assert_eq!(wrong.into_response().status(), 500);
    // A proxy's prefix is as an operator wrote it.
    let mut request = Request::get("/");
    request.prepend_script_name("/a shop\\é");
    let response = Redirect::see_other(&request, "/x y").into_response();
    assert_eq!(
        header(response.headers(), "location"),
        "/a%20shop%5C%C3%A9/x%20y"
    );
}

#[test]
fn an_attachment_names_its_file() {
    for (name, expected) in [
        ("report.pdf", "attachment; filename=\"report.pdf\""),
        ("a b;c.txt", "attachment; filename=\"a b;c.txt\""),
        (
            "naïve €.txt",
            "attachment; filename=\"na_ve _.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt",
        ),
        (
            "a\"b.txt",
            "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt",
        ),
        (
            "100%.txt",
            "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt",
        ),
        ("../../etc/passwd", "attachment; filename=\"passwd\""),
        ("C:\\a\\b.txt", "attachment; filename=\"b.txt\""),
        ("a\r\nb", "attachment; filename=\"ab\""),
        ("a\u{202e}gpj.exe", "attachment; filename=\"agpj.exe\""),
        ("", "attachment"),
    ] {
        let response = Attachment::new(name, "x").into_response();
        assert_eq!(
            header(response.headers(), "content-disposition"),
            expected,
            "{name:?}"
        );
        assert_eq!(
            header(response.headers(), "content-type"),
            "application/octet-stream"
        );
    }
    let shown = Attachment::new("a.png", vec![1])
        .content_type(HeaderValue::from_static("image/png"))
        .inline();
    let response = shown.into_response();
    assert_eq!(
        header(response.headers(), "content-disposition"),
        "inline; filename=\"a.png\""
    );
    assert_eq!(header(response.headers(), "content-type"), "image/png");
}

#[test]
fn html_and_nothing() {
    let response = Html("<p>").into_response();
    assert_eq!(
        header(response.headers(), "content-type"),
        "text/html; charset=utf-8"
    );
    assert_eq!(response.body().as_bytes().unwrap(), "<p>");
    let response = NoContent.into_response();
    assert_eq!(
        (response.status().as_u16(), response.headers().len()),
        (204, 0)
    );
}

#[cfg(feature = "json")]
#[test]
fn json_has_its_type_and_a_value_that_has_no_json_is_a_500() {
    use super::json::Json;

    let response = serde_json::json!({"a": [1, null]}).into_response();
    assert_eq!(
        header(response.headers(), "content-type"),
        "application/json"
    );
    assert_eq!(response.body().as_bytes().unwrap(), r#"{"a":[1,null]}"#);
    let response = (StatusCode::ACCEPTED, Json(Some("é"))).into_response();
    assert_eq!(response.status(), 202);
    assert_eq!(response.body().as_bytes().unwrap(), "\"é\"");
    // JSON's keys are text.
    let response = Json(std::collections::HashMap::from([((1, 2), 3)])).into_response();
    assert_eq!(response.status(), 500);
    // Nor is it a success beside a status.
    let bad = || Json(std::collections::HashMap::from([((1, 2), 3)]));
    assert_eq!((StatusCode::CREATED, bad()).into_response().status(), 500);
    let created = Created::new(&mounted(""), "/x", bad()).into_response();
    assert_eq!(
        (created.status().as_u16(), created.headers().get("location")),
        (500, None)
    );
    assert_eq!(
        (StatusCode::OK, (Cookie::new("a b", "x"), "hi"))
            .into_response()
            .status(),
        500
    );
}
