//! The router, `NotFound` and `ErrorPages` agree on what a miss is.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

use enfilade_core::{Application, HttpError, Request};
use enfilade_middleware::{ErrorPages, NotFound, Router};
use enfilade_testing::Client;
use http::StatusCode;

fn house() -> Application {
    let shelf = |request: Request| -> Result<String, HttpError> {
        let number: u8 = request.param("number")?;
        match number {
            7 => Err(HttpError::new(StatusCode::NOT_FOUND)),
            8 => Err(HttpError::new(StatusCode::NOT_FOUND).message("shelf 8 is lent")),
            9 => Ok(request.param("shelf")?),
            number => Ok(format!("shelf {number}")),
        }
    };
    Router::new()
        .get("/shelves/{number}", shelf)
        .build()
        .unwrap()
}

#[test]
fn a_value_that_does_not_parse_is_a_miss_like_any_other() {
    let page = Application::new(|_: Request| (StatusCode::NOT_FOUND, "Nothing here"));
    let client = Client::new(house().wrap(NotFound::new(page)).wrap(ErrorPages::new()));
    for (path, status, text) in [
        ("/shelves/1", 200, "shelf 1"),
        ("/cellar", 404, "Nothing here"),
        ("/shelves/x", 404, "Nothing here"),
        ("/shelves/99999999999", 404, "Nothing here"),
        ("/shelves/7", 404, "Nothing here"),
        ("/shelves/8", 404, "Not Found: shelf 8 is lent\n"),
        // A mistake in the program is not a miss.
        ("/shelves/9", 500, "Internal Server Error\n"),
    ] {
        let response = client.get(path).header("accept", "text/plain").send();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.text(), text, "{path}");
    }
}

#[test]
fn pages_are_for_each_miss_of_the_router() {
    let client = Client::new(house().wrap(ErrorPages::new()));
    for (method, path, status, title) in [
        ("GET", "/cellar", 404, "Not Found"),
        ("GET", "/shelves/x", 404, "Not Found"),
        ("POST", "/shelves/1", 405, "Method Not Allowed"),
    ] {
        let request = client.request(method.parse().unwrap(), path);
        let response = request.header("accept", "application/json").send();
        assert_eq!(response.status(), status, "{method} {path}");
        let allow = (status == 405).then_some("GET, HEAD, OPTIONS");
        assert_eq!(response.header("allow"), allow);
        let problem = format!(r#"{{"status":{status},"title":"{title}","type":"about:blank"}}"#);
        assert_eq!(response.text(), problem, "{method} {path}");
    }
}

#[test]
fn a_name_that_no_pattern_captures_is_reported_in_the_log() {
    let error = house().call(Request::get("/shelves/9"));
    let response = pollster::block_on(error.into_future());
    let error = response.extensions().get::<std::sync::Arc<HttpError>>();
    assert_eq!(
        error.unwrap().source().unwrap().to_string(),
        r#"the route of /shelves/9 captures no "shelf", only ["number"]"#
    );
}
