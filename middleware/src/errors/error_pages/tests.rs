use enfilade_core::{IntoResponse, around};
use enfilade_testing::{Client, Lint};
use http::HeaderValue;

use super::*;

fn client(app: Application, pages: ErrorPages) -> Client {
    Client::new(app.wrap(Lint::new()).wrap(pages).wrap(Lint::new()))
}

fn responses(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Application {
    Application::new(move |_: Request| {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            response
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        response
    })
}

#[test]
fn only_errors_without_content_of_their_own_get_a_page() {
    let cases = [
        (404, "", true, true),
        (500, "", true, true),
        (404, "own", false, true),
        (200, "", false, false),
        (304, "", false, false),
        (302, "", false, false),
    ];
    for (status, body, by_default, by_force) in cases {
        for (pages, expected) in [
            (ErrorPages::new(), by_default),
            (ErrorPages::new().replace_content(), by_force),
        ] {
            let response = client(responses(status, &[], body), pages).get("/").send();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(
                response.header("vary"),
                expected.then_some("accept"),
                "{status} {body}"
            );
            assert_eq!(
                response.text().contains("<h1>"),
                expected,
                "{status} {body}"
            );
        }
    }
}

#[test]
fn errors_have_a_page_that_tells_the_detail_and_hides_the_cause() {
    let app = Application::new(|_: Request| -> Result<(), HttpError> {
        Err(HttpError::new(StatusCode::CONFLICT)
            .message("<taken> & gone")
            .caused_by("secret"))
    });
    let client = client(app, ErrorPages::new());
    let cases = [
        (
            "text/html",
            "text/html; charset=utf-8",
            "<h1>Conflict</h1>\n<p>&lt;taken&gt; &amp; gone</p>",
        ),
        (
            "application/problem+json",
            "application/problem+json",
            "\"detail\":\"<taken> & gone\"",
        ),
        (
            "application/json",
            "application/problem+json",
            "\"title\":\"Conflict\",\"type\":\"about:blank\"",
        ),
        (
            "text/plain",
            "text/plain; charset=utf-8",
            "Conflict: <taken> & gone\n",
        ),
        (
            "image/png",
            "text/plain; charset=utf-8",
            "Conflict: <taken> & gone\n",
        ),
    ];
    for (accept, media_type, part) in cases {
        let response = client.get("/").header("accept", accept).send();
        assert_eq!(response.status(), 409);
        assert_eq!(
            response.header("content-type"),
            Some(media_type),
            "{accept}"
        );
        assert!(
            response.text().contains(part),
            "{accept}: {}",
            response.text()
        );
        assert!(!response.text().contains("secret"));
        assert!(response.extensions().get::<Arc<HttpError>>().is_some());
    }
}

#[test]
fn headers_of_the_old_content_go_and_the_others_stay() {
    let headers = &[
        ("content-type", "image/png"),
        ("content-encoding", "gzip"),
        ("etag", "\"x\""),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("content-language", "en"),
        ("content-range", "bytes */9"),
        ("www-authenticate", "Basic realm=\"x\""),
        ("retry-after", "7"),
        ("vary", "cookie"),
    ];
    for (status, range) in [(401, None), (416, Some("bytes */9"))] {
        let pages = ErrorPages::new().replace_content();
        let response = client(responses(status, headers, "xxx"), pages)
            .get("/")
            .send();
        for gone in [
            "content-encoding",
            "etag",
            "last-modified",
            "content-language",
        ] {
            assert_eq!(response.header(gone), None, "{gone}");
        }
        assert_eq!(
            response.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(response.header("content-range"), range);
        assert_eq!(
            response.header("www-authenticate"),
            Some("Basic realm=\"x\"")
        );
        assert_eq!(response.header("retry-after"), Some("7"));
        assert_eq!(response.header("vary"), Some("cookie, accept"));
    }
}

#[test]
fn a_page_is_for_an_error() {
    let error = ErrorPages::new().page(StatusCode::OK, "fine").unwrap_err();
    assert_eq!(
        error.to_string(),
        "200 is not a valid status here: use 400 to 599"
    );
}

#[test]
fn pages_are_found_by_status_then_by_class_then_made() {
    let pages = ErrorPages::new()
        .page(StatusCode::NOT_FOUND, "not found")
        .unwrap()
        .client_errors("4xx")
        .render(|page, _| format!("{} {}", page.status(), page.title()));
    for (status, expected) in [
        (404, "not found"),
        (403, "4xx"),
        (503, "503 Service Unavailable Service Unavailable"),
    ] {
        let response = client(responses(status, &[], ""), pages.clone())
            .get("/")
            .send();
        assert_eq!(response.text(), expected);
    }
    let response = client(responses(500, &[], ""), pages.server_errors("5xx"))
        .get("/")
        .send();
    assert_eq!(response.text(), "5xx");
    let programs = ErrorPages::new().formats([ErrorFormat::Problem]);
    let response = client(responses(500, &[], ""), programs).head("/").send();
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(response.header("content-length"), Some("67"));
}

/// What a wrapper outside leaves for pages.
#[derive(Clone)]
struct User(&'static str);

#[test]
fn a_page_is_rendered_for_the_request_as_it_came() {
    let pages = ErrorPages::new().render(|page, request| {
        let user = request.extensions().get::<User>();
        format!(
            "{} {} {}{} ?{} {} {} {}",
            page.status().as_u16(),
            request.method(),
            request.script_name(),
            request.path(),
            request.query_string().unwrap_or_default(),
            request.headers()["accept-language"].to_str().unwrap(),
            user.map_or("nobody", |User(name)| name),
            request.body().is_finished(),
        )
    });
    for is_ready in [true, false] {
        // It changes all that it can.
        let failing = Application::new(move |mut request: Request| -> Reply {
            *request.method_mut() = http::Method::PUT;
            request.set_path("/changed").unwrap();
            request.headers_mut().remove("accept-language");
            request.extensions_mut().insert(User("changed"));
            let response = StatusCode::IM_A_TEAPOT.into_response();
            match is_ready {
                true => Reply::new(response),
                false => Reply::from_future(async move { response }),
            }
        });
        let failing = failing.wrap(pages.clone());
        let known = around("user", |app: &Application, mut request: Request| {
            request.extensions_mut().insert(User("Ada"));
            request.mount("/tea").unwrap();
            app.call(request)
        });
        let client = Client::new(failing.wrap(known).wrap(Lint::new()));
        let response = client
            .post("/tea/green?cups=2")
            .header("accept-language", "fr")
            .body("water")
            .send();
        assert_eq!(response.text(), "418 POST /tea/green ?cups=2 fr Ada true");
        assert_eq!(
            response.header("content-type"),
            Some("text/html; charset=utf-8")
        );
    }
}

#[test]
fn only_html_is_rendered() {
    let pages = ErrorPages::new()
        .page(StatusCode::GONE, "gone")
        .unwrap()
        .render(|_, request| request.path().to_owned());
    for (status, accept, expected) in [
        (404, "text/html", "/page"),
        (410, "text/html", "gone"),
        (404, "text/plain", "Not Found\n"),
        (200, "text/html", ""),
    ] {
        let response = client(responses(status, &[], ""), pages.clone())
            .get("/page")
            .header("accept", accept)
            .send();
        assert_eq!(response.text(), expected, "{status} {accept}");
    }
}

#[test]
fn keeps_the_laws_with_rendered_pages() {
    let errors = |response: &enfilade_testing::laws::GeneratedResponse<'_>| {
        let is_error = response.status().is_client_error() || response.status().is_server_error();
        is_error && !response.has_content()
    };
    let pages = ErrorPages::new().render(|page, request| format!("{page:?} {}", request.path()));
    let check = enfilade_testing::laws::Check::new(pages);
    check.replaces(errors).run();
}

#[test]
fn keeps_the_laws() {
    let errors = |response: &enfilade_testing::laws::GeneratedResponse<'_>| {
        let is_error = response.status().is_client_error() || response.status().is_server_error();
        is_error && !response.has_content()
    };
    let check = enfilade_testing::laws::Check::new(ErrorPages::new());
    check.replaces(errors).run();
}

#[test]
fn a_problem_has_the_members_of_its_error() {
    let failing = Application::new(|_: Request| {
        HttpError::new(StatusCode::FORBIDDEN)
            .message("your balance is 30, and that costs 50")
            .member("type", "https://example.com/problems/out-of-credit")
            .member("balance", 10)
            .member("accounts", ["/account/1", "a\"b"])
            .member("is_final", false)
            .member("balance", 30)
            // Those are the error's.
            .member("status", 500)
            .member("detail", "another")
    });
    let client = client(failing, ErrorPages::new());
    let ask = |accept| client.get("/").header("accept", accept).send();
    let problem: serde_json::Value =
        serde_json::from_str(&ask("application/problem+json").text()).unwrap();
    let expected = serde_json::json!({
        "type": "https://example.com/problems/out-of-credit",
        "title": "Forbidden",
        "status": 403,
        "detail": "your balance is 30, and that costs 50",
        "accounts": ["/account/1", "a\"b"],
        "is_final": false,
        "balance": 30,
    });
    assert_eq!(problem, expected);
    assert_eq!(
        ask("text/plain").text(),
        "Forbidden: your balance is 30, and that costs 50\n"
    );
}
