//! JSON, forms and queries: each kind of mistake has its status and its text.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Method;
use serde::Deserialize;

use super::limits::DataLimits;
use crate::compose::application::Application;
use crate::message::body::Body;
use crate::message::http_error::HttpError;
use crate::message::request::Request;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Debug, Deserialize, PartialEq)]
struct Order {
    items: Vec<Item>,
    note: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Item {
    price: f64,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Search {
    q: String,
    page: Option<u32>,
    tags: Vec<String>,
}

fn post(content_type: &str, body: impl Into<Body>) -> Request {
    let mut request = Request::new(Method::POST, "/".parse().expect("a target"));
    if !content_type.is_empty() {
        request.headers_mut().insert(
            "content-type",
            content_type.parse().expect("a header value"),
        );
    }
    *request.body_mut() = body.into();
    request
}

fn order(content_type: &str, body: &'static str) -> Result<Order, HttpError> {
    pollster::block_on(post(content_type, body).json())
}

/// The status, the text, and the field that it names.
fn mistake(error: HttpError) -> (u16, String, Option<String>) {
    let field = error.members().find(|(name, _)| *name == "field");
    let field = field.map(|(_, value)| value.to_string().replace('"', ""));
    (
        error.status().as_u16(),
        error.client_message().unwrap_or_default().to_owned(),
        field,
    )
}

#[test]
fn json_is_read_by_its_type() {
    let expected = Order {
        items: vec![Item { price: 2.0 }],
        note: None,
    };
    for content_type in [
        JSON,
        "Application/JSON; charset=utf-8",
        "application/vnd.order+json",
        "text/x+JSON",
    ] {
        assert_eq!(
            order(content_type, r#" {"items":[{"price":2}]} "#).unwrap(),
            expected,
            "{content_type}"
        );
    }
    for content_type in [
        "",
        "text/plain",
        "application/x-json",
        "json",
        "application/json, text/plain",
    ] {
        let (status, text, _) = mistake(order(content_type, "{}").unwrap_err());
        assert_eq!(
            (status, text.as_str()),
            (415, "the content type must be application/json")
        );
    }
    let mut twice = post(JSON, "{}");
    twice
        .headers_mut()
        .append("content-type", "application/json".parse().unwrap());
    assert_eq!(
        pollster::block_on(twice.json::<Order>())
            .unwrap_err()
            .status(),
        415
    );
}

#[test]
fn what_is_not_json_is_a_400_and_what_is_another_value_a_422() {
    let deep = pollster::block_on(
        post(JSON, "[".repeat(200) + &"]".repeat(200)).json::<serde_json::Value>(),
    );
    assert!(
        mistake(deep.unwrap_err())
            .1
            .contains("recursion limit exceeded")
    );
    for (body, status, text, field) in [
        ("", 400, "the body is empty, not JSON", None),
        (" \n", 400, "the body is empty, not JSON", None),
        (
            "{",
            400,
            "the body is not valid JSON: EOF while parsing an object at line 1 column 1",
            None,
        ),
        (
            r#"{"items":[]}x"#,
            400,
            "the body is not valid JSON: trailing characters at line 1 column 13",
            None,
        ),
        // The value is wrong, and the text behind it is not JSON.
        (
            r#"{"items":[{"price":"x"}]"#,
            400,
            "the body is not valid JSON: EOF while parsing an object at line 1 column 24",
            None,
        ),
        (
            r#"{"items":[{"price":1},{"price":"free"}]}"#,
            422,
            "items[1].price: invalid type: string \"free\", expected f64 at line 1 column 37",
            Some("items[1].price"),
        ),
        (
            r#"{"items":[{}]}"#,
            422,
            "items[0]: missing field `price` at line 1 column 12",
            Some("items[0].price"),
        ),
        (
            "{}",
            422,
            "missing field `items` at line 1 column 2",
            Some("items"),
        ),
        (
            "7",
            422,
            "invalid type: integer `7`, expected struct Order at line 1 column 1",
            None,
        ),
    ] {
        let (found, message, named) = mistake(order(JSON, body).unwrap_err());
        assert_eq!(
            (found, named.as_deref()),
            (status, field),
            "{body}: {message}"
        );
        assert!(message.starts_with(text), "{body}: {message}");
    }
}

#[test]
fn a_key_that_is_there_twice_is_an_error_where_that_is_asked_for() {
    let read = |body: &'static str, limits: DataLimits| {
        pollster::block_on(
            post(JSON, body).json_with::<HashMap<String, serde_json::Value>>(&limits),
        )
    };
    let twice = r#"{"a": [{"b": 1, "b": 2}], "c": null}"#;
    assert_eq!(read(twice, DataLimits::new()).unwrap().len(), 2);
    let (status, text, _) = mistake(read(twice, DataLimits::new().unique_keys()).unwrap_err());
    assert_eq!(status, 400);
    assert!(
        text.contains("the key \"b\" is there twice at line 1 column 19"),
        "{text}"
    );
    let once = r#"{"a": [{"b": 1}, {"b": -2.5}], "b": "x", "c": true}"#;
    assert_eq!(
        read(once, DataLimits::new().unique_keys()).unwrap().len(),
        3
    );
}

#[test]
fn forms_and_queries_are_read_alike() {
    for (text, expected) in [
        ("", Search::default()),
        (
            "q=a+b%26",
            Search {
                q: "a b&".into(),
                ..Search::default()
            },
        ),
        (
            "page=2&tags=x&q=&tags=y",
            Search {
                page: Some(2),
                tags: vec!["x".into(), "y".into()],
                ..Search::default()
            },
        ),
        (
            "page=&tags=x",
            Search {
                tags: vec!["x".into()],
                ..Search::default()
            },
        ),
        (
            "other=1&q=%FF",
            Search {
                q: "\u{fffd}".into(),
                ..Search::default()
            },
        ),
    ] {
        let mut form = post(FORM, text);
        assert_eq!(
            pollster::block_on(form.form::<Search>()).unwrap(),
            expected,
            "{text}"
        );
        let mut query = post("", "");
        query.set_uri(format!("/?{text}").parse().unwrap());
        assert_eq!(query.query::<Search>().unwrap(), expected, "{text}");
    }
}

#[test]
fn a_wrong_field_is_named() {
    let wrong = "q=x&page=two";
    let (status, text, field) =
        mistake(pollster::block_on(post(FORM, wrong).form::<Search>()).unwrap_err());
    assert_eq!((status, field.as_deref()), (422, Some("page")));
    assert_eq!(text, "page: invalid digit found in string");
    let mut query = post("", "");
    query.set_uri(format!("/?{wrong}").parse().unwrap());
    assert_eq!(query.query::<Search>().unwrap_err().status(), 400);
    let error = pollster::block_on(post(JSON, wrong).form::<Search>()).unwrap_err();
    assert_eq!(mistake(error).0, 415);
}

#[test]
fn each_limit_is_exact() {
    let limits = DataLimits::new().bytes(10).pairs(2);
    for (content_type, body, status) in [
        (JSON, "[1, 2, 34]", 200),
        (JSON, "[1, 2, 345]", 413),
        (FORM, "q=12345678", 200),
        (FORM, "q=123456789", 413),
        (FORM, "q=1&page=2", 200),
        (FORM, "q=1&a=&b=2", 413),
    ] {
        let mut request = post(content_type, body);
        let read = match content_type {
            JSON => pollster::block_on(request.json_with::<Vec<u32>>(&limits)).map(drop),
            _ => pollster::block_on(request.form_with::<Search>(&limits)).map(drop),
        };
        let found = read.err().map_or(200, |error| error.status().as_u16());
        assert_eq!(found, status, "{body}");
    }
    let mut strict = post(FORM, "q=%FF");
    let read = pollster::block_on(strict.form_with::<Search>(&DataLimits::new().strict_utf8()));
    assert_eq!(mistake(read.unwrap_err()).1, "the form is not UTF-8");
}

#[test]
fn limits_are_set_for_all_that_is_inside() {
    let read = async |mut request: Request| {
        Ok::<_, HttpError>(request.json::<Vec<u32>>().await?.len().to_string())
    };
    let app = Application::new(read)
        .wrap(DataLimits::new().bytes(5))
        .wrap(DataLimits::new().bytes(1));
    let status = |body| {
        pollster::block_on(app.call(post(JSON, body)).into_future())
            .status()
            .as_u16()
    };
    assert_eq!([status("[1,2]"), status("[1, 2]")], [200, 413]);
}

#[test]
fn a_form_is_read_once_and_stays_for_those_inside() {
    let mut request = post(FORM, "q=x");
    pollster::block_on(async {
        assert_eq!(request.form::<Search>().await.unwrap().q, "x");
        // One application inside reads the body as it is, and another the form once more.
        assert_eq!(request.take_body().collect(100).await.unwrap(), "q=x");
        assert_eq!(request.form::<Search>().await.unwrap().q, "x");
    });
}

#[test]
fn a_form_is_what_the_request_has_now() {
    pollster::block_on(async {
        // What was too long once is not an empty form afterwards.
        let mut request = post(FORM, "q=x");
        let limits = DataLimits::new().bytes(1);
        assert_eq!(
            request
                .form_with::<Search>(&limits)
                .await
                .unwrap_err()
                .status(),
            413
        );
        // It stays for an application with another limit.
        assert_eq!(request.form::<Search>().await.unwrap().q, "x");

        let mut request = post(FORM, "q=x");
        assert_eq!(request.form::<Search>().await.unwrap().q, "x");
        assert_eq!(
            request
                .form_with::<Search>(&limits)
                .await
                .unwrap_err()
                .status(),
            413
        );
        *request.body_mut() = "q=y".into();
        assert_eq!(request.form::<Search>().await.unwrap().q, "y");
        request
            .headers_mut()
            .insert("content-type", "text/plain".parse().unwrap());
        assert_eq!(request.form::<Search>().await.unwrap_err().status(), 415);
    });
}

#[test]
fn an_error_shows_little_of_what_the_client_sent() {
    let long = format!(
        r#"{{"items":[{{"price":"{}\u0007"}}]}}"#,
        "x".repeat(10_000)
    );
    let (status, text, _) =
        mistake(pollster::block_on(post(JSON, long).json::<Order>()).unwrap_err());
    assert_eq!(status, 422);
    assert!(text.len() < 350 && text.ends_with('…'), "{text}");
    let control = "{\"\\r\\n\": \"x\"}";
    let read = async {
        let mut request = post(JSON, control);
        request.json::<HashMap<String, u8>>().await
    };
    let (_, text, field) = mistake(pollster::block_on(read).unwrap_err());
    assert!(
        !text.contains(['\r', '\n']) && !field.unwrap().contains('\n'),
        "{text}"
    );
}

/// A body whose client leaves after a chunk.
struct FailsAfter(Option<&'static str>);

impl futures_core::Stream for FailsAfter {
    type Item = Result<&'static str, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let left = || std::io::Error::other("the client left");
        Poll::Ready(Some(self.0.take().ok_or_else(left)))
    }
}

#[test]
fn a_body_that_failed_is_not_an_empty_one_for_the_next_reader() {
    pollster::block_on(async {
        for content_type in [FORM, "application/json"] {
            let failing = Body::from_stream(FailsAfter(Some("q=x")));
            let mut request = post(content_type, failing);
            for _ in 0..2 {
                let error = match content_type {
                    FORM => request.form::<Search>().await.map(drop),
                    _ => request.json::<Order>().await.map(drop),
                };
                assert_eq!(error.unwrap_err().status(), 400);
            }
            assert!(request.take_body().collect(100).await.is_err());
        }
    });
}

#[test]
fn json_stays_for_the_next_reader() {
    let mut request = post("application/json", r#"{"items": []}"#);
    pollster::block_on(async {
        for _ in 0..2 {
            assert!(request.json::<Order>().await.is_ok());
        }
        assert_eq!(
            request.take_body().collect(100).await.unwrap(),
            r#"{"items": []}"#
        );
    });
}
