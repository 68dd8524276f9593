//! The page of an error, in a real browser.

use crate::browser::dom;
use crate::support::running::Running;
use enfilade::middleware::{DebugErrors, RequestId, Router};
use enfilade::{Application, Body, Middleware, Request, Server, around};
use http::header::{CONTENT_LENGTH, CONTENT_SECURITY_POLICY};

/// Sets a mark on the page if the browser reads it as markup and the page allows scripts.
const HOSTILE: &str = "</title></style></pre>\"'><script>document.documentElement.dataset.ran = 1</script>\
    <img src=x onerror=\"document.documentElement.dataset.ran = 2\"><svg onload=\"document.documentElement.dataset.ran = 3\">";
const SCRIPT: &str = "<script>document.documentElement.dataset.ran = 4</script>";

/// Panics with a hostile text, in a route, below a component with a hostile name.
fn failing() -> Application {
    let route = |_: Request| -> &'static str { panic!("{HOSTILE}") };
    let router = Router::new().get("/{*rest}", route).build().unwrap();
    router
        .wrap(around(HOSTILE, Application::call))
        .wrap(DebugErrors::insecure_in_release())
        .wrap(RequestId::new())
}

/// Puts a script into every page, with the page's policy or without.
fn hole(with_policy: bool) -> impl Middleware {
    around("hole", move |app: &Application, request: Request| {
        app.call(request).map(move |response| {
            let (mut parts, body) = response.into_parts();
            let page = body.as_bytes().map(|page| page.to_vec());
            let page = [page.unwrap_or_default(), SCRIPT.into()].concat();
            parts.headers.remove(CONTENT_LENGTH);
            if !with_policy {
                parts.headers.remove(CONTENT_SECURITY_POLICY);
            }
            http::Response::from_parts(parts, Body::from(page))
        })
    })
}

/// Returns the page of a hostile target, as the browser shows it in the end.
fn page(app: Application) -> String {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let running = Running::serve(server, app);
    let target = "%3Cscript%3Edocument.documentElement.dataset.ran%3D5%3C/script%3E";
    let url = format!("http://{}/{target}?{target}={target}", running.address());
    dom(&url, 500)
}

#[test]
fn a_browser_shows_a_page_and_runs_no_script_in_it() {
    let dom = page(failing());
    assert!(dom.contains("<html lang=\"en\">"), "{dom}");
    for markup in ["<script", "<img", "<svg"] {
        assert!(!dom.contains(markup), "{markup}: {dom}");
    }
    let shown = HOSTILE.replace('<', "&lt;").replace('>', "&gt;");
    for (what, expected) in [
        ("the headline", format!("<h1>panicked: {shown}</h1>")),
        ("the component", format!("<b>{shown}</b>")),
        ("the route", "<dt>Route</dt><dd>/{*rest}</dd>".to_owned()),
        ("the place", "<code>tests/peers/debug_errors.rs:".to_owned()),
        ("the source", "panic!(\"{HOSTILE}\")".to_owned()),
        (
            "the frame",
            "<li class=\"own\"><details><summary><b>peers::debug_errors::failing".to_owned(),
        ),
        ("the libraries", " frames of libraries</summary>".to_owned()),
        (
            "the query",
            "<dd>&lt;script&gt;document.documentElement.dataset.ran=5&lt;/script&gt;</dd>"
                .to_owned(),
        ),
    ] {
        assert!(dom.contains(&expected), "{what}: {dom}");
    }
}

#[test]
fn a_script_in_the_page_does_not_run() {
    let guarded = page(failing().wrap(hole(true)));
    assert!(guarded.contains(SCRIPT), "{guarded}");
    assert!(guarded.contains("<html lang=\"en\">"), "{guarded}");
    let open = page(failing().wrap(hole(false)));
    assert!(open.contains("<html lang=\"en\" data-ran=\"4\">"), "{open}");
}
