//! Stacks of wrappers: tools reach every boundary, each stack keeps the laws, and `doctor` knows its wrappers.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not count helpers of tests as tests"
)]

use enfilade_core::{Application, Request, around};
use enfilade_testing::{Client, Warning, doctor, lint_all};
use http::StatusCode;

use enfilade_middleware::{
    AccessLog, CanonicalHost, Cascade, Compression, Guard, Headers, Hosts, HttpsRedirect, Mounts,
    NotFound, ProxyFix, RequestId, Router, Swap, TrustedHosts, When,
};

#[test]
fn every_boundary_of_a_stack_can_be_reached() {
    fn marked(app: Application) -> Application {
        let app = app.map_inner(&mut marked);
        app.wrap(around("boundary", Application::call))
    }
    let leaf = || Application::new(|_: Request| "x");
    let router = Router::new()
        .get("/a", leaf())
        .any("/a", leaf())
        .get("/{*rest}", leaf())
        .mount("/m", leaf())
        .fallback(leaf());
    let app = router
        .build()
        .unwrap()
        .wrap(NotFound::new(leaf()))
        .wrap(Compression::new())
        .wrap(Headers::new())
        .wrap(AccessLog::common().writer(std::io::sink()));
    let components = app.describe().to_string().lines().count();
    let marked = marked(app).describe().to_string();
    assert_eq!(components, 11);
    assert_eq!(marked.matches("boundary\n").count(), components, "{marked}");
}

#[test]
fn inner_applications_are_shown_and_reached_in_the_same_order() {
    fn check(app: &Application) {
        let tree = app.describe();
        let shown: Vec<_> = tree.children().map(|(_, child)| child.clone()).collect();
        let mut reached = Vec::new();
        let _ = app.map_inner(&mut |inner| {
            check(&inner);
            reached.push(inner.describe());
            inner
        });
        assert_eq!(shown, reached, "{tree}");
    }
    let leaf = |name: &'static str| page().wrap(around(name, Application::call));
    let router = Router::new()
        .get("/b", leaf("1"))
        .any("/a", leaf("2"))
        .post("/b", leaf("3"))
        .mount("/m", leaf("4"))
        .fallback(leaf("5"))
        .method_not_allowed(leaf("6"));
    check(&router.build().unwrap().wrap(NotFound::new(leaf("7"))));
    check(&sites(leaf("8"), leaf("9")));
    let when = When::new(Guard::header(http::header::RANGE), leaf("10")).otherwise(leaf("11"));
    check(&Application::new(when));
    check(&Application::new(Cascade::new([leaf("12"), leaf("13")])));
    check(&Application::new(Swap::new(leaf("14"))));
}

/// Two sites, guarded as the docs of the wrappers recommend.
fn sites(shop: Application, page: Application) -> Application {
    let exceptions = |app: Application| {
        let https = HttpsRedirect::new().except("/");
        let canonical = CanonicalHost::new("example.org").and_then(|host| host.except("/"));
        app.wrap(canonical.unwrap()).wrap(https.unwrap())
    };
    let mounts = Mounts::new()
        .at("/shop", shop.clone())
        .and_then(|mounts| mounts.at_host("localhost", "/m", page.clone()));
    let hosts = Hosts::new().host("*.example.org", shop);
    let hosts = hosts.and_then(|hosts| hosts.host("localhost", mounts?.otherwise(page.clone())));
    exceptions(Application::new(hosts.unwrap().otherwise(page)))
        .wrap(TrustedHosts::new(["localhost", "**.example.org"]).unwrap())
        .wrap(ProxyFix::trust_forwarded_hops(1))
}

#[test]
fn sites_keep_the_laws_at_every_boundary() {
    fn marked(app: Application) -> Application {
        let app = app.map_inner(&mut marked);
        app.wrap(around("boundary", Application::call))
    }
    let app = sites(rooms(), page());
    let components = app.describe().to_string().lines().count();
    let found = marked(app.clone()).describe().to_string();
    assert_eq!(found.matches("boundary\n").count(), components, "{found}");
    assert_eq!(doctor(&app), []);
    let client = Client::new(lint_all(&app));
    for host in [
        "localhost",
        "a.example.org",
        "b.a.example.org",
        "evil",
        "a b",
    ] {
        for target in ["/", "/shop", "/shop/old", "/shop/..", "/m", "/%2F"] {
            let request = || client.get(target).header("host", host);
            assert!(request().send().body_error().is_none());
            let forwarded = "for=192.0.2.1;proto=https;host=a.example.org";
            let request = request().header("forwarded", forwarded);
            assert!(request.send().body_error().is_none());
        }
    }
}

/// A router with a mount; some responses are long, tagged, or missing.
fn rooms() -> Application {
    let tag = [
        ("etag", "\"1\""),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    let library = Router::new().get("/shelf", move |request: Request| {
        (tag, request.url_for_path("/").repeat(1_000))
    });
    let old = |request: Request| {
        let location = request.url_for_path("/library/shelf");
        (StatusCode::FOUND, [("location", location)], ())
    };
    let router = Router::new()
        .get("/", |_: Request| "Welcome".repeat(1_000))
        .get("/old", old)
        .nest("/library", library);
    router.build().unwrap()
}

fn page() -> Application {
    Application::new(|_: Request| (StatusCode::NOT_FOUND, "No such room".repeat(1_000)))
}

fn log() -> AccessLog {
    AccessLog::common().writer(std::io::sink())
}

fn headers() -> Headers {
    let headers = Headers::new().default("cache-control", "no-cache");
    headers.unwrap()
}

#[test]
fn a_lint_at_every_boundary_finds_nothing() {
    let app = rooms()
        .wrap(NotFound::new(page()))
        .wrap(Compression::new())
        .wrap(headers())
        .wrap(RequestId::new())
        .wrap(log());
    assert_eq!(doctor(&app), []);
    let client = Client::new(lint_all(&app));
    for target in ["/", "/old", "/library/shelf", "/library", "/cellar"] {
        for accepts in ["gzip", "", "deflate", "identity", "br, *;q=0"] {
            for method in [http::Method::GET, http::Method::HEAD, http::Method::POST] {
                let request = client.request(method, target);
                let request = request.header("accept-encoding", accepts);
                assert!(request.send().body_error().is_none());
            }
        }
    }
}

#[test]
fn a_doctor_knows_these_wrappers_by_name() {
    let app = rooms()
        .wrap(log())
        .wrap(headers())
        .wrap(Compression::new())
        .wrap(NotFound::new(page()))
        .wrap(Compression::new());
    let warnings = doctor(&app);
    let pairs: Vec<_> = warnings.iter().map(pair).collect();
    assert_eq!(
        pairs,
        [
            ("Compression", "Compression"),
            ("NotFound", "Compression"),
            ("NotFound", "Headers"),
            ("Compression", "AccessLog"),
            ("NotFound", "AccessLog"),
        ]
    );
}

#[cfg(all(feature = "metrics", feature = "tracing"))]
#[test]
fn observers_outside_change_nothing() {
    use enfilade_middleware::{Inspect, Metrics, Timing, Trace};

    let app = rooms()
        .wrap(NotFound::new(page()))
        .wrap(Compression::new())
        .wrap(Inspect::new().on_error(|_, _| ()))
        .wrap(Timing::new())
        .wrap(Metrics::new())
        .wrap(Trace::new())
        .wrap(ProxyFix::trust_forwarded_hops(1));
    assert_eq!(doctor(&app), []);
    let client = Client::new(lint_all(&app));
    for target in ["/", "/old", "/library/shelf", "/cellar"] {
        for method in [http::Method::GET, http::Method::HEAD, http::Method::POST] {
            let request = client.request(method, target);
            let request = request.header("accept-encoding", "gzip").body("content");
            let response = request.send();
            assert!(response.body_error().is_none());
            assert!(response.header("x-runtime").is_some());
        }
    }
    let wrong = rooms()
        .wrap(ProxyFix::trust_forwarded_hops(1))
        .wrap(Trace::new())
        .wrap(Metrics::new())
        .wrap(NotFound::new(page()));
    let warnings = doctor(&wrong);
    let pairs: Vec<_> = warnings.iter().map(pair).collect();
    let expected = [
        ("NotFound", "Metrics"),
        ("NotFound", "Trace"),
        ("Trace", "ProxyFix"),
    ];
    assert_eq!(pairs, expected);
}

fn pair(warning: &Warning) -> (&str, &str) {
    (warning.outer().unwrap_or_default(), warning.inner())
}
