use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use enfilade_core::{Body, Request, Response, around};
use enfilade_testing::{Client, Lint};
use serde_json::Value;

use super::*;
use crate::content::compression::Compression;
use crate::dispatch::mounts::Mounts;
use crate::dispatch::not_found::NotFound;
use crate::dispatch::router::Router;

/// A clock that advances only while code works.
#[derive(Clone, Default)]
struct Work(Arc<AtomicU64>);

impl Work {
    fn on(&self, nanoseconds: u64) {
        self.0.fetch_add(nanoseconds, Ordering::SeqCst);
    }

    fn profile(&self) -> Profile {
        let now = self.0.clone();
        Profile::new().timer(move || Duration::from_nanos(now.load(Ordering::SeqCst)))
    }

    /// A wrapper that works before and after what is inside it.
    fn around(&self, name: &'static str, before: u64, after: u64) -> impl Middleware {
        let work = self.clone();
        around(name, move |inner: &Application, request| {
            work.on(before);
            let work = work.clone();
            inner.call(request).map(move |response| {
                work.on(after);
                response
            })
        })
    }
}

fn json(profile: &Profile) -> Value {
    let response = Client::new(profile.application()).get("/json").send();
    assert_eq!(response.header("content-type"), Some("application/json"));
    serde_json::from_str(&response.text()).unwrap()
}

/// Name, calls, own nanoseconds, bytes, statuses of each component.
fn rows(profile: &Profile) -> Vec<(String, u64, u64, u64, String)> {
    let json = json(profile);
    let components = json["components"].as_array().unwrap().iter();
    let row = |component: &Value| {
        let number = |key: &str| component[key].as_u64().unwrap();
        let name = component["name"].as_str().unwrap().to_owned();
        let statuses = component["statuses"].to_string();
        (
            name,
            number("calls"),
            number("total_ns"),
            number("bytes"),
            statuses,
        )
    };
    components.map(row).collect()
}

fn row(
    name: &str,
    calls: u64,
    nanoseconds: u64,
    bytes: u64,
    statuses: &str,
) -> (String, u64, u64, u64, String) {
    (
        name.to_owned(),
        calls,
        nanoseconds,
        bytes,
        statuses.to_owned(),
    )
}

#[test]
fn each_component_has_the_time_that_is_its_own() {
    let work = Work::default();
    let profile = work.profile();
    let app = |request: Request, work: Work| {
        work.on(100);
        match request.path() {
            "/later" => Body::from_iterator((0..3).map(move |_| {
                work.on(1_000);
                "abc"
            })),
            _ => Body::from("now"),
        }
    };
    let inner = work.clone();
    let stack = Application::new(move |request: Request| app(request, inner.clone()))
        .wrap(work.around("Inner", 10, 20))
        .wrap(work.around("Outer", 1, 2))
        .wrap(profile.clone());
    let client = Client::new(stack);
    assert_eq!(client.get("/").send().text(), "now");
    assert_eq!(
        rows(&profile),
        [
            row("Outer", 1, 3, 3, r#"{"200":1}"#),
            row("Inner", 1, 30, 3, r#"{"200":1}"#),
            row(
                "closure in each_component_has_the_time_that_is_its_own",
                1,
                100,
                3,
                r#"{"200":1}"#
            ),
        ]
    );
    assert_eq!(client.get("/later").send().text(), "abcabcabc");
    let rows_now = rows(&profile);
    assert_eq!(rows_now[0], row("Outer", 2, 6, 12, r#"{"200":2}"#));
    assert_eq!(rows_now[2].2, 3_200);
    let application = &json(&profile)["components"][2];
    assert_eq!(application["p50_ns"], 100);
    // Two digits are distinguished.
    assert_eq!(application["p99_ns"], 3_103);
    profile.reset();
    assert_eq!(rows(&profile)[1], row("Inner", 0, 0, 0, "{}"));
}

#[test]
fn waiting_takes_no_time_and_a_request_that_is_given_up_counts() {
    let work = Work::default();
    let profile = work.profile();
    let inner = work.clone();
    let app = Application::new(move |_: Request| {
        let work = inner.clone();
        async move {
            work.on(5);
            let mut is_polled = false;
            std::future::poll_fn(|_| match std::mem::replace(&mut is_polled, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            work.on(7);
            "done"
        }
    });
    let app = app.wrap(work.around("Outer", 1, 2)).wrap(profile.clone());
    let mut context = Context::from_waker(Waker::noop());
    let mut future = app.call(Request::get("/")).into_future();
    assert!(
        std::pin::Pin::new(&mut future)
            .poll(&mut context)
            .is_pending()
    );
    assert_eq!(json(&profile)["components"][0]["in_flight"], 1);
    work.on(1_000_000);
    let Poll::Ready(response) = std::pin::Pin::new(&mut future).poll(&mut context) else {
        panic!("it was polled twice")
    };
    drop((future, response));
    assert_eq!(rows(&profile)[0].2, 3);
    assert_eq!(rows(&profile)[1].2, 12);
    assert_eq!(json(&profile)["components"][1]["dropped"], 1);
    assert_eq!(json(&profile)["components"][0]["in_flight"], 0);
    drop(app.call(Request::get("/")));
    assert_eq!(rows(&profile)[1].4, r#"{"0":1,"200":1}"#);
}

#[test]
fn a_panic_ends_a_call() {
    let profile = Profile::new();
    let app = Application::new(|_: Request| -> &str { panic!("on purpose") }).wrap(profile.clone());
    let call = std::panic::AssertUnwindSafe(|| drop(app.call(Request::get("/"))));
    assert!(std::panic::catch_unwind(call).is_err());
    assert_eq!(rows(&profile)[0].4, r#"{"0":1}"#);
    assert_eq!(json(&profile)["components"][0]["in_flight"], 0);
}

#[test]
fn what_is_in_memory_stays_there() {
    let list = |_: Request| Response::new(Body::from_list(["a", "b"]));
    for app in [Application::new(|_: Request| "ab"), Application::new(list)] {
        let response = pollster::block_on(app.wrap(Profile::new()).call(Request::get("/")));
        assert!(response.body().is_in_memory());
        assert_eq!(response.into_body().try_into_bytes().unwrap(), "ab");
    }
}

#[test]
fn labels_and_places_in_the_tree_are_those_of_the_description() {
    let router = Router::new()
        .get("/", |_: Request| "home")
        .mount("/in", Application::new(|_: Request| "in"));
    let app = router
        .build()
        .unwrap()
        .wrap(Compression::new())
        .wrap(NotFound::new(Application::new(|_: Request| "nothing")));
    let tree = app.describe().to_string();
    let profile = Profile::new();
    // A stack that is gone is shown no longer.
    drop(app.clone().wrap(profile.clone()));
    let app = app.wrap(profile.clone());
    // No component sees the probes.
    assert_eq!(app.describe().to_string(), tree);
    let json = json(&profile);
    let components = json["components"].as_array().unwrap();
    let first = components[0]["number"].as_u64().unwrap();
    let found: Vec<_> = components
        .iter()
        .map(|component| {
            let text = |key: &str| component[key].as_str().unwrap().to_owned();
            let parent = component["parent"].as_u64();
            (
                parent.map(|parent| parent - first),
                text("label"),
                text("name"),
            )
        })
        .collect();
    let closure = "closure in labels_and_places_in_the_tree_are_those_of_the_description";
    let expected = [
        (None, "", "NotFound"),
        (Some(0), "", "Compression"),
        (Some(1), "", "Router"),
        (Some(2), "GET /", closure),
        (Some(2), "/in/...", closure),
        (Some(0), "otherwise", closure),
    ];
    let expected =
        expected.map(|(parent, label, name)| (parent, label.to_owned(), name.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn the_page_shows_everything_and_nothing_from_elsewhere() {
    let profile = Profile::new();
    let app = Application::new(|_: Request| "x")
        .wrap(around("<b>&", Application::call))
        .wrap(profile.clone());
    let mounts = Mounts::new()
        .at("/x/profile", profile.application())
        .unwrap();
    let client = Client::new(Application::new(mounts.otherwise(app)).wrap(Lint::new()));
    client.get("/").send();
    for target in ["/x/profile", "/x/profile/"] {
        let page = client.get(target).send();
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let html = page.text();
        assert!(html.contains("<b>&lt;b&gt;&amp;</b>"), "{html}");
        assert!(html.contains("<td>200: 1</td>"), "{html}");
        assert!(html.contains("href=\"/x/profile/style.css\""), "{html}");
        assert!(html.contains("src=\"/x/profile/script.js\""), "{html}");
        assert!(!html.contains("//"), "{html}");
    }
    for (target, media_type) in [
        ("/x/profile/style.css", "text/css; charset=utf-8"),
        ("/x/profile/script.js", "text/javascript; charset=utf-8"),
    ] {
        assert_eq!(
            client.get(target).send().header("content-type"),
            Some(media_type)
        );
    }
    assert_eq!(client.get("/x/profile/other").send().status(), 404);
    let refused = client.post("/x/profile").send();
    assert_eq!(
        (refused.status().as_u16(), refused.header("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[test]
fn several_threads_are_counted_as_one_would_be() {
    let profile = Profile::new();
    let app = Application::new(|_: Request| async { "x" }).wrap(profile.clone());
    let count = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    drop(pollster::block_on(app.call(Request::get("/"))));
                    *count.lock().unwrap() += 1;
                }
            });
        }
    });
    assert_eq!(rows(&profile)[0].1, *count.lock().unwrap());
}

#[test]
fn keeps_the_laws() {
    enfilade_testing::laws::check(Profile::new());
}
