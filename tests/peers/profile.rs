//! The page of a profile, in a real browser.

use crate::browser::dom;
use crate::support::running::Running;
use enfilade::middleware::{Compression, Headers, Mounts, NotFound, Profile, Router};
use enfilade::{Application, Pipeline, Request, Server};

/// A typical stack, and its profile under `/profile`.
fn app(profile: &Profile) -> Application {
    let router = Router::new().get("/", |_: Request| "Welcome").get(
        "/shelves/{shelf:int}",
        |request: Request| {
            request
                .param::<u32>("shelf")
                .map(|shelf| format!("Shelf {shelf}\n").repeat(500))
        },
    );
    let stack = Pipeline::new()
        .with(profile.clone())
        .with(Headers::new().set("x-house", "enfilade").unwrap())
        .with(Compression::new())
        .with(NotFound::new(Application::new(
            |_: Request| "Nothing <here>",
        )));
    let site = router.build().unwrap().wrap(stack);
    let mounts = Mounts::new().at("/profile", profile.application()).unwrap();
    Application::new(mounts.otherwise(site))
}

/// Returns the row of the table that has this text.
fn row<'a>(dom: &'a str, text: &str) -> &'a str {
    let mut rows = dom.split("<tr>").filter(|row| row.contains(text));
    let row = rows.next().unwrap_or_else(|| panic!("no {text} in {dom}"));
    assert!(rows.next().is_none(), "{text} twice in {dom}");
    row
}

#[test]
fn a_browser_shows_the_tree_and_refreshes_it() {
    let profile = Profile::new();
    let app = app(&profile);
    for target in ["/", "/", "/shelves/3", "/shelves/x"] {
        let request = http::Request::get(target)
            .header("accept-encoding", "gzip")
            .body(enfilade::Body::empty())
            .unwrap();
        let response = pollster::block_on(app.call(request.into()));
        pollster::block_on(response.into_body().collect(10_000)).unwrap();
    }
    let server = Server::bind("127.0.0.1:0").unwrap();
    let running = Running::serve(server, app);
    let dom = dom(&format!("http://{}/profile", running.address()), 3_500);
    // The script ran, and the policy allowed its fetch and the style.
    let updates = dom
        .split("data-updates=\"")
        .nth(1)
        .and_then(|rest| rest.chars().next());
    assert!(
        updates.is_some_and(|count| ('2'..='9').contains(&count)),
        "{dom}"
    );
    let compression = row(&dom, "<b>Compression</b>");
    assert!(
        compression.contains("<td>4</td><td>0</td>"),
        "{compression}"
    );
    assert!(compression.contains("<td>200: 4</td>"), "{compression}");
    assert!(compression.contains("<meter"), "{compression}");
    let shelf = row(&dom, "GET /shelves/{shelf:int}");
    assert!(
        shelf.contains("<td>1</td>") && shelf.contains("<td>4000 B</td>"),
        "{shelf}"
    );
    let fallback = row(&dom, "otherwise");
    assert!(fallback.contains("<i></i>"), "{fallback}");
    assert_eq!(dom.matches("<th scope=\"row\">").count(), 7, "{dom}");
}
