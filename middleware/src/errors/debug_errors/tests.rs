use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use enfilade_core::around;
use enfilade_testing::{Client, Lint, TestResponse, laws};
use http::StatusCode;
use serde_json::Value;

use super::*;
use crate::dispatch::router::Router;
use crate::errors::catch_panic::CatchPanic;
use crate::errors::error_pages::ErrorPages;
use crate::headers::sensitive::Sensitive;
use crate::observe::request_id::RequestId;

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn shows() -> DebugErrors {
    DebugErrors::insecure_in_release()
}

fn client(app: Application) -> Client {
    Client::new(app.wrap(Lint::new()).wrap(shows()).wrap(Lint::new()))
}

fn panicking(message: &'static str) -> Application {
    Application::new(move |_: Request| -> &str { panic!("{message}") })
}

/// An error with a cause, which has one itself.
#[derive(Debug)]
struct Wrong(Option<Box<Wrong>>, &'static str);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }
}

impl StdError for Wrong {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.as_deref().map(|cause| cause as _)
    }
}

fn failing() -> Application {
    Application::new(|_: Request| -> Result<(), HttpError> {
        let cause = Wrong(None, "the disk is <full>");
        Err(Wrong(Some(Box::new(cause)), "nothing was saved").into())
    })
}

fn get(client: &Client, accept: &str) -> TestResponse {
    client.get("/").header("accept", accept).send()
}

fn problem(client: &Client, target: &str) -> Value {
    let request = client.get(target).header("accept", "application/json");
    serde_json::from_str(&request.send().text()).unwrap()
}

#[test]
fn a_build_for_release_has_to_ask_for_it() {
    assert_eq!(permitted(true), Ok(()));
    let error = permitted(false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Build);
    assert!(error.to_string().contains("insecure_in_release()"));
    assert_eq!(DebugErrors::new().is_ok(), cfg!(debug_assertions));
}

#[test]
fn the_format_is_what_the_client_likes() {
    let client = client(panicking("x"));
    for (accept, expected) in [
        (HTML, "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/plain, text/html;q=0.9", "text/plain; charset=utf-8"),
        ("application/json", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("text/foo", "text/plain; charset=utf-8"),
    ] {
        let response = get(&client, accept);
        assert_eq!(response.status(), 500);
        assert_eq!(response.header("content-type"), Some(expected), "{accept}");
        assert_eq!(response.header("vary"), Some("accept"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            response.header("content-security-policy"),
            Some(page::POLICY)
        );
        assert_eq!(response.text().contains("<html"), expected.contains("html"));
    }
    let response = client.get("/").send();
    let media_type = response.header("content-type");
    assert_eq!(media_type, Some("text/plain; charset=utf-8"));
}

#[test]
fn a_panic_is_shown_with_its_place_and_source() {
    let future = Application::new(async |_: Request| -> &str {
        let mut is_polled = false;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            match std::mem::replace(&mut is_polled, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        panic!("in the future")
    });
    for (app, message) in [
        (panicking("in the call"), "in the call"),
        (future, "in the future"),
        (panicking("caught").wrap(CatchPanic::new()), "caught"),
        (
            panicking("paged")
                .wrap(CatchPanic::new())
                .wrap(ErrorPages::new()),
            "paged",
        ),
    ] {
        let client = client(app);
        let html = get(&client, HTML).text().to_string();
        let headline = format!("<h1>panicked: {message}</h1>");
        assert!(html.contains(&headline), "{html}");
        assert!(html.contains("<p>At <code>middleware/src/errors/debug_errors/tests.rs:"));
        assert!(html.contains("<span class=\"here\"><i>"), "{html}");
        let text = get(&client, "text/plain").text().to_string();
        let start =
            format!("500 Internal Server Error\n\n  panicked: {message}\n  at middleware/src/");
        assert!(text.starts_with(&start), "{text}");
        assert!(text.contains("\n> "), "{text}");
        let problem = problem(&client, "/");
        let location = problem["panic"]["location"].as_str().unwrap();
        assert!(location.contains("debug_errors/tests.rs:"), "{problem}");
        let frames = problem["panic"]["frames"].as_array().unwrap();
        let is_here = |frame: &Value| {
            let place = frame["place"].as_str().unwrap_or_default();
            place.contains("src/errors/debug_errors/tests.rs:")
        };
        assert!(frames.iter().any(is_here), "{problem}");
        assert!(!problem.to_string().contains("force_capture"), "{problem}");
    }
}

#[test]
fn a_panic_with_a_value_has_its_place_too() {
    let app = Application::new(|_: Request| -> &str { std::panic::panic_any(7) });
    let problem = problem(&client(app), "/");
    let said = "panicked: with a value that is not text";
    assert_eq!(problem["detail"], said);
    assert!(problem["panic"]["location"].is_string());
}

#[test]
fn an_error_is_shown_with_its_causes() {
    let client = client(failing());
    let problem = problem(&client, "/");
    let name = concat!(module_path!(), "::Wrong");
    let expected = serde_json::json!([
        {
            "message": "nothing was saved",
            "type": name,
            "debug": "Wrong(Some(Wrong(None, \"the disk is <full>\")), \"nothing was saved\")",
        },
        {
            "message": "the disk is <full>",
            "type": null,
            "debug": "Wrong(None, \"the disk is <full>\")",
        },
    ]);
    assert_eq!(problem["causes"], expected);
    assert_eq!(problem["panic"], Value::Null);
    assert_eq!(problem["title"], "Internal Server Error");
    let html = get(&client, HTML).text().to_string();
    assert!(html.contains("<h1>nothing was saved</h1>"), "{html}");
    assert!(html.contains("<span class=\"message\">the disk is &lt;full&gt;</span>"));
    assert!(!html.contains("<full>"));
    let text = client.get("/").send().text().to_string();
    let errors = format!(
        "\nErrors\n  1. nothing was saved\n     type: {name}\n     debug: Wrong(Some(Wrong(None, \
         \"the disk is <full>\")), \"nothing was saved\")\n  2. the disk is <full>\n",
    );
    assert!(text.contains(&errors), "{text}");
}

#[test]
fn which_responses_have_a_page() {
    fn app(status: u16, content: &'static str, has_error: bool) -> Application {
        Application::new(move |_: Request| {
            let status = StatusCode::from_u16(status).unwrap();
            match has_error {
                true => HttpError::new(status).message(content).into_response(),
                false => (status, content).into_response(),
            }
        })
    }
    for (status, content, has_error, by_default, with_client_errors) in [
        (200, "", false, false, false),
        (304, "", false, false, false),
        (404, "", false, false, true),
        (404, "own page", false, false, false),
        (409, "taken", true, false, true),
        (500, "own page", false, false, false),
        (500, "", false, true, true),
        (503, "busy", true, true, true),
    ] {
        let all = shows().client_errors();
        for (wrapper, expected) in [(shows(), by_default), (all, with_client_errors)] {
            let client = Client::new(app(status, content, has_error).wrap(wrapper));
            let response = client.get("/").send();
            assert_eq!(response.status(), status);
            let is_page = response.text().contains("Components");
            assert_eq!(is_page, expected, "{status} {content:?} {has_error}");
        }
    }
    let problem = problem(&client(app(503, "busy", true)), "/");
    assert_eq!(problem["detail"], "busy");
    let problem = self::problem(&client(app(500, "", false)), "/");
    let said = "The application responded without content and without an error";
    assert_eq!(problem["detail"], said);
}

#[test]
fn headers_stay_but_for_those_of_the_old_content() {
    let app = Application::new(|_: Request| {
        let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE).into_response();
        let (mut parts, body) = error.into_parts();
        for (name, value) in [
            ("retry-after", "3"),
            ("www-authenticate", "Basic realm=x"),
            ("etag", "\"1\""),
            ("content-language", "en"),
            ("content-digest", "sha-256=:x:"),
            ("cache-control", "public"),
            ("content-security-policy", "script-src *"),
            ("content-security-policy-report-only", "script-src *"),
        ] {
            parts.headers.insert(name, HeaderValue::from_static(value));
        }
        Response::from_parts(parts, body)
    });
    let response = Client::new(app.wrap(shows())).get("/").send();
    for (name, expected) in [
        ("retry-after", Some("3")),
        ("www-authenticate", Some("Basic realm=x")),
        ("etag", None),
        ("content-language", None),
        ("content-digest", None),
        ("cache-control", Some("no-store")),
        ("content-security-policy", Some(page::POLICY)),
        ("content-security-policy-report-only", None),
    ] {
        assert_eq!(response.header(name), expected, "{name}");
    }
    let error = response.extensions().get::<Arc<HttpError>>().unwrap();
    assert_eq!(error.status(), 503);
}

#[test]
fn head_has_the_headers_of_get() {
    let client = client(failing());
    for accept in [HTML, "application/json", "text/plain"] {
        let get = get(&client, accept);
        let head = client.request(http::Method::HEAD, "/");
        let head = head.header("accept", accept).send();
        assert_eq!(head.headers(), get.headers(), "{accept}");
        assert_eq!((head.status().as_u16(), &*head.text()), (500, ""));
    }
}

#[test]
fn markup_and_control_characters_of_a_peer_are_text() {
    let hostile = "<script>alert('\"')</script>\u{1b}[31m";
    let app = Application::new(move |request: Request| -> Result<(), HttpError> {
        let asked = request.query_string().unwrap_or_default().to_owned();
        let error = HttpError::new(StatusCode::BAD_GATEWAY);
        Err(error
            .message(hostile)
            .caused_by(format!("{hostile}{asked}")))
    });
    let app = app.wrap(around(hostile, Application::call));
    let client = Client::new(app.wrap(shows()));
    for accept in [HTML, "application/json", "text/plain"] {
        let request = client.get("/%3Cscript%3E?%3Cscript%3E=%1B%3Cscript%3E");
        let request = request.header("accept", accept);
        let text = request
            .header("x-evil", "<script>")
            .send()
            .text()
            .to_string();
        assert!(!text.contains('\u{1b}'), "{text}");
        assert_eq!(text.contains("<script"), accept != HTML, "{text}");
        assert!(
            text.contains("\\u{1b}") || text.contains("\\\\u{1b}"),
            "{text}"
        );
    }
}

#[test]
fn what_is_known_of_the_request_is_shown() {
    let inner = Router::new().get("/{id}", |_: Request| -> &str { panic!("in a route") });
    let router = Router::new().nest("/users", inner).build().unwrap();
    let app = router
        .wrap(shows())
        .wrap(RequestId::new().generator(|| "an-id".to_owned()))
        .wrap(Sensitive::new().header(HeaderName::from_static("x-key")));
    let client = Client::new(app);
    let request = client.get("/users/7?a=%C3%A9&b").header("x-key", "s3cret");
    let request = request.header("authorization", "Basic s3cret");
    let response = request.header("accept", "application/json").send();
    let problem: Value = serde_json::from_str(&response.text()).unwrap();
    let request = &problem["request"];
    for (name, expected) in [
        ("line", "GET /users/7?a=%C3%A9&b"),
        ("version", "HTTP/1.1"),
        ("scheme", "http"),
        ("path_info", "/users/7"),
        ("route", "/users/{id}"),
        ("request_id", "an-id"),
    ] {
        assert_eq!(request[name], expected, "{request}");
    }
    let query = serde_json::json!([["a", "é"], ["b", ""]]);
    assert_eq!(request["query"], query);
    assert!(!problem.to_string().contains("s3cret"), "{problem}");
}

#[test]
fn more_can_be_hidden() {
    let wrapper = shows()
        .redact_header(HeaderName::from_static("x-key"))
        .redact_query("token");
    let client = Client::new(failing().wrap(wrapper));
    for accept in [HTML, "application/json", "text/plain"] {
        let request = client.get("/?Token=s3cret&b=1").header("x-key", "s3cret");
        let request = request.header("referer", "http://h/?token=s3cret");
        let response = request.header("accept", accept).send();
        let text = response.text();
        assert!(!text.contains("s3cret"), "{text}");
        assert!(text.matches("***").count() == 5, "{text}");
    }
}

#[test]
fn a_route_without_a_response_gives_way_to_the_next() {
    let first = Router::new().get("/{a}", |_: Request| StatusCode::NOT_FOUND);
    let second = Router::new().get("/{b}", |_: Request| -> &str { panic!("b") });
    let apps = [first.build().unwrap(), second.build().unwrap()];
    let client = client(Application::new(crate::dispatch::cascade::Cascade::new(
        apps,
    )));
    assert_eq!(problem(&client, "/x")["request"]["route"], "/{b}");
}

#[test]
fn the_stack_is_that_which_is_inside_now() {
    let app = panicking("x").wrap(ErrorPages::new()).wrap(shows());
    let names = |app: Application| {
        let problem = problem(&Client::new(app), "/");
        let components = problem["components"].as_array().unwrap().clone();
        let names = components.iter().map(|component| {
            let depth = component["depth"].as_u64().unwrap();
            format!("{depth} {}", component["name"].as_str().unwrap())
        });
        names.collect::<Vec<_>>()
    };
    let leaf = "closure in panicking";
    assert_eq!(names(app.clone()), ["0 ErrorPages", &format!("1 {leaf}")]);
    let app = app.map_inner(&mut |inner| inner.wrap(around("between", Application::call)));
    let expected = ["0 between", "1 ErrorPages", &format!("2 {leaf}")];
    assert_eq!(names(app.clone()), expected);
    let tree = app.describe().to_string();
    assert!(tree.starts_with("DebugErrors (statuses: 500 to 599)\n└─ between\n"));
}

#[test]
fn a_body_that_panics_fails_and_has_no_page() {
    let app = Application::new(|_: Request| {
        let chunks = (0..2).map(|number| match number {
            0 => "begun",
            _ => panic!("late"),
        });
        Body::from_iterator(chunks)
    });
    let response = get(&client(app), HTML);
    assert_eq!(
        (response.status().as_u16(), &*response.text()),
        (200, "begun")
    );
    let cause = response.body_error().unwrap().source().unwrap();
    assert_eq!(cause.to_string(), "panicked: late");
}

#[test]
fn an_error_that_panics_when_it_is_shown_leaves_the_response() {
    #[derive(Debug)]
    struct Mad(AtomicBool);
    impl fmt::Display for Mad {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("{}", self.0.load(Ordering::Relaxed))
        }
    }
    impl StdError for Mad {}
    let app = Application::new(|_: Request| -> Result<(), HttpError> {
        Err(Mad(AtomicBool::new(true)).into())
    });
    let response = get(&client(app), HTML);
    let expected = (500, "Internal Server Error");
    assert_eq!((response.status().as_u16(), &*response.text()), expected);
}

#[test]
fn one_inside_another_keeps_its_page() {
    let client = client(panicking("x").wrap(shows()));
    let components = problem(&client, "/")["components"].clone();
    assert_eq!(components.as_array().unwrap().len(), 1);
}

#[test]
fn a_ready_response_stays_ready_and_a_body_in_memory_stays_there() {
    let app = Application::new(|_: Request| "text").wrap(shows());
    let reply = app.call(Request::get("/"));
    let body = reply.as_ready().unwrap().body();
    assert_eq!(body.as_bytes().unwrap(), "text");
}

#[test]
fn keeps_the_laws() {
    for (wrapper, from) in [(shows(), 500), (shows().client_errors(), 400)] {
        let pages = move |response: &laws::GeneratedResponse<'_>| {
            response.status().as_u16() >= from && !response.has_content()
        };
        laws::Check::new(wrapper).replaces(pages).run();
    }
}
