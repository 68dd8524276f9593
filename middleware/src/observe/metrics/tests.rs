use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use enfilade_core::{Body, BodyError, HttpError};
use enfilade_testing::laws::Check;
use enfilade_testing::{Client, Lint, TestResponse};
use http::Method;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::*;
use crate::dispatch::router::Router;

/// A timer on which each look takes so long.
fn ticking(step: Duration) -> impl Fn() -> Duration + Send + Sync + 'static {
    let looks = AtomicU64::new(0);
    move || step * u32::try_from(looks.fetch_add(1, Ordering::Relaxed)).unwrap()
}

fn linted(app: Application, metrics: &Metrics) -> Application {
    app.wrap(Lint::new())
        .wrap(metrics.clone())
        .wrap(Lint::new())
}

/// The page's samples without those of buckets, and without those that are zero.
fn samples(metrics: &Metrics) -> Vec<String> {
    let page = page(metrics, "*/*").text().into_owned();
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.filter(|line| !line.contains("_bucket{"));
    let samples = samples.filter(|line| !line.ends_with(" 0") && !line.ends_with(" 0.0"));
    let short = samples.map(|line| line.replacen("http_server_", "", 1));
    short.collect()
}

fn page(metrics: &Metrics, accept: &str) -> TestResponse {
    let app = metrics.application().wrap(Lint::new());
    Client::new(app).get("/").header("accept", accept).send()
}

/// What there is of the one counter.
fn counted(metrics: &Metrics) -> Vec<String> {
    let samples = samples(metrics).into_iter();
    let counters = samples.filter_map(|line| Some(line.strip_prefix("requests_total")?.to_owned()));
    counters.collect()
}

fn rooms() -> Application {
    let echo = async |mut request: Request| {
        let content = request.take_body().collect(1_000).await?;
        Ok::<_, HttpError>(content)
    };
    let shelf = |_: Request| "shelf";
    let library = Router::new().get("/shelves/{id}", shelf);
    let router = Router::new().post("/echo", echo).nest("/library", library);
    router.build().unwrap()
}

#[test]
fn an_exchange_is_in_every_number() {
    let metrics = Metrics::new()
        .duration_buckets([2, 1, 2].map(Duration::from_secs))
        .size_buckets([4, 16])
        .timer(ticking(Duration::from_millis(1_500)));
    let client = Client::new(linted(rooms(), &metrics));
    let response = client.post("/echo").body("a content of 21 bytes").send();
    assert_eq!(response.text(), "a content of 21 bytes");
    let page = page(&metrics, "application/openmetrics-text;version=1.0.0");
    let zeros = [
        "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE",
    ];
    let zeros =
        zeros.map(|method| format!("http_server_active_requests{{method=\"{method}\"}} 0\n"));
    let expected = r#"# HELP http_server_active_requests Requests whose responses have not ended.
# TYPE http_server_active_requests gauge
http_server_active_requests{method="GET"} 0
ZEROS
http_server_active_requests{method="PATCH"} 0
http_server_active_requests{method="other"} 0
# HELP http_server_requests Requests whose responses have ended.
# TYPE http_server_requests counter
http_server_requests_total{LABELS} 1
# HELP http_server_request_duration_seconds Time from a request to the end of the response body.
# TYPE http_server_request_duration_seconds histogram
# UNIT http_server_request_duration_seconds seconds
http_server_request_duration_seconds_sum{LABELS} 1.5
http_server_request_duration_seconds_count{LABELS} 1
http_server_request_duration_seconds_bucket{le="1.0",LABELS} 0
http_server_request_duration_seconds_bucket{le="2.0",LABELS} 1
http_server_request_duration_seconds_bucket{le="+Inf",LABELS} 1
# HELP http_server_request_body_size_bytes Bytes read from request bodies.
# TYPE http_server_request_body_size_bytes histogram
# UNIT http_server_request_body_size_bytes bytes
http_server_request_body_size_bytes_sum{LABELS} 21.0
http_server_request_body_size_bytes_count{LABELS} 1
http_server_request_body_size_bytes_bucket{le="4.0",LABELS} 0
http_server_request_body_size_bytes_bucket{le="16.0",LABELS} 0
http_server_request_body_size_bytes_bucket{le="+Inf",LABELS} 1
# HELP http_server_response_body_size_bytes Bytes sent of response bodies.
# TYPE http_server_response_body_size_bytes histogram
# UNIT http_server_response_body_size_bytes bytes
http_server_response_body_size_bytes_sum{LABELS} 21.0
http_server_response_body_size_bytes_count{LABELS} 1
http_server_response_body_size_bytes_bucket{le="4.0",LABELS} 0
http_server_response_body_size_bytes_bucket{le="16.0",LABELS} 0
http_server_response_body_size_bytes_bucket{le="+Inf",LABELS} 1
# EOF
"#;
    let labels = r#"method="POST",route="/echo",status="2xx""#;
    let expected = expected.replace("LABELS", labels);
    assert_eq!(page.text(), expected.replace("ZEROS\n", &zeros.concat()));
}

#[test]
fn labels_are_bounded_whatever_clients_send() {
    let metrics = Metrics::new();
    let client = Client::new(linted(rooms(), &metrics));
    for at in 0..50 {
        client.get(&format!("/library/shelves/{at}")).send();
        client.get(&format!("/nowhere/{at}")).send();
        let method = Method::from_bytes(format!("M{at}").as_bytes()).unwrap();
        client.request(method, "/").send();
    }
    client.head("/library/shelves/1").send();
    client.put("/echo").send();
    assert_eq!(
        counted(&metrics),
        [
            r#"{method="GET",route="/library/shelves/{id}",status="2xx"} 50"#,
            r#"{method="HEAD",route="/library/shelves/{id}",status="2xx"} 1"#,
            r#"{method="GET",route="unmatched",status="4xx"} 50"#,
            r#"{method="PUT",route="unmatched",status="4xx"} 1"#,
            r#"{method="other",route="unmatched",status="4xx"} 50"#,
        ]
    );
}

#[test]
fn label_sets_past_the_limit_are_counted_together() {
    let router = (0..10).fold(Router::new(), |router, at| {
        router.any(&format!("/{at}"), |_: Request| "x")
    });
    let app = router.build().unwrap();
    let metrics = Metrics::new().label_sets(3);
    let client = Client::new(linted(app, &metrics));
    for _ in 0..2 {
        for at in 0..10 {
            client.get(&format!("/{at}")).send();
        }
        client.post("/0").send();
        client.get("/x").send();
    }
    assert_eq!(
        counted(&metrics),
        [
            r#"{method="GET",route="/0",status="2xx"} 2"#,
            r#"{method="GET",route="/1",status="2xx"} 2"#,
            r#"{method="GET",route="/2",status="2xx"} 2"#,
            r#"{method="GET",route="unmatched",status="4xx"} 2"#,
            r#"{method="GET",route="overflow",status="2xx"} 14"#,
            r#"{method="POST",route="overflow",status="2xx"} 2"#,
        ]
    );
}

#[test]
fn many_threads_make_no_label_set_twice_or_too_many() {
    let router = (0..40).fold(Router::new(), |router, at| {
        router.get(&format!("/{at}"), |_: Request| "x")
    });
    let metrics = Metrics::new().label_sets(20);
    let client = Client::new(router.build().unwrap().wrap(metrics.clone()));
    let ask_all = || {
        for at in 0..40 {
            client.get(&format!("/{at}")).send();
        }
    };
    thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(ask_all))));
    let counted = counted(&metrics);
    assert!(counted.len() <= 21, "{counted:#?}");
    let numbers = counted.iter().map(|line| line.rsplit_once(' ').unwrap().1);
    assert_eq!(
        numbers
            .map(|number| number.parse::<u64>().unwrap())
            .sum::<u64>(),
        320
    );
}

#[test]
fn statuses_are_classes() {
    let app = Application::new(|request: Request| {
        let status = request.path().trim_start_matches('/').parse().unwrap();
        StatusCode::from_u16(status).unwrap()
    });
    let metrics = Metrics::new();
    let client = Client::new(app.wrap(metrics.clone())).without_gateway();
    for status in ["100", "204", "304", "404", "499", "500", "599", "999"] {
        client.get(&format!("/{status}")).send();
    }
    let expected = [("1xx", 1), ("2xx", 1), ("3xx", 1), ("4xx", 2), ("5xx", 3)];
    let expected = expected.map(|(class, number)| {
        format!(r#"{{method="GET",route="unmatched",status="{class}"}} {number}"#)
    });
    assert_eq!(counted(&metrics), expected);
}

fn in_flight(metrics: &Metrics) -> Vec<String> {
    let samples = samples(metrics).into_iter();
    let active = samples.filter_map(|line| Some(line.strip_prefix("active_requests")?.to_owned()));
    active.collect()
}

#[test]
fn a_request_is_in_flight_until_its_response_body_ends() {
    let endings: [fn(Body); 4] = [
        |body| drop(pollster::block_on(body.collect(100))),
        drop,
        Body::discard,
        |mut body| drop(pollster::block_on(body.frame())),
    ];
    let bodies: [fn() -> Body; 4] = [
        || Body::from("text"),
        Body::empty,
        || Body::from_iterator(["a", "b"]),
        || Body::new(Failing),
    ];
    for ending in endings {
        for make in bodies {
            let metrics = Metrics::new();
            let app = Application::new(move |_: Request| make()).wrap(metrics.clone());
            let response = pollster::block_on(app.call(Request::get("/")));
            assert_eq!(in_flight(&metrics), ["{method=\"GET\"} 1"]);
            assert_eq!(counted(&metrics), [""; 0]);
            ending(response.into_body());
            assert_eq!(in_flight(&metrics), [""; 0]);
            let expected = [r#"{method="GET",route="unmatched",status="2xx"} 1"#];
            assert_eq!(counted(&metrics), expected);
        }
    }
}

struct Failing;

impl http_body::Body for Failing {
    type Data = bytes::Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, BodyError>>> {
        Poll::Ready(Some(Err(BodyError::new("cable cut"))))
    }
}

#[test]
fn a_request_without_a_response_is_counted() {
    let pending = Application::new(async |_: Request| std::future::pending::<&str>().await);
    let panics = Application::new(|request: Request| match request.path() {
        "/" => panic!("on purpose"),
        _ => "x",
    });
    let late = Application::new(async |request: Request| match request.path() {
        "/" => panic!("on purpose"),
        _ => "x",
    });
    let cases = [(pending, "aborted"), (panics, "5xx"), (late, "5xx")];
    for (app, class) in cases {
        let metrics = Metrics::new();
        let app = app.wrap(metrics.clone());
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut response = std::pin::pin!(app.call(Request::get("/")).into_future());
            let mut context = Context::from_waker(Waker::noop());
            assert!(response.as_mut().poll(&mut context).is_pending());
            assert_eq!(in_flight(&metrics), ["{method=\"GET\"} 1"]);
        }));
        assert_eq!(in_flight(&metrics), [""; 0]);
        let expected = format!(r#"{{method="GET",route="unmatched",status="{class}"}} 1"#);
        assert_eq!(counted(&metrics), [expected]);
    }
}

#[test]
fn bytes_are_those_that_were_read_and_sent() {
    let first = async |mut request: Request| {
        let frame = request.body_mut().frame().await;
        drop(frame);
        Body::from_iterator(["abc", "def"])
    };
    let metrics = Metrics::new();
    let app = Application::new(first).wrap(metrics.clone());
    let mut request = Request::get("/");
    *request.body_mut() = Body::from_iterator(["12345", "67890"]);
    let response = pollster::block_on(app.call(request));
    let mut body = response.into_body();
    drop(pollster::block_on(body.frame()));
    drop(body);
    let sums = |metrics: &Metrics| {
        let samples = samples(metrics).into_iter();
        let sums = samples.filter(|line| line.contains("size_bytes_sum"));
        let numbers = sums.map(|line| line.rsplit_once(' ').unwrap().1.to_owned());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(sums(&metrics), ["5.0", "3.0"]);
}

#[test]
fn a_body_that_outlives_the_response_is_counted_when_it_ends() {
    let (sender, kept) = std::sync::mpsc::channel();
    let metrics = Metrics::new();
    let app = Application::new(move |mut request: Request| {
        sender.send(request.take_body()).unwrap();
        "later"
    });
    let client = Client::new(app.wrap(metrics.clone()));
    client.post("/").body("content").send();
    let sum = |samples: Vec<String>| {
        let mut samples = samples.into_iter();
        samples.find(|line| line.starts_with("request_body_size_bytes_sum"))
    };
    assert_eq!(counted(&metrics).len(), 1);
    assert_eq!(sum(samples(&metrics)), None);
    pollster::block_on(kept.recv().unwrap().collect(100)).unwrap();
    assert!(sum(samples(&metrics)).is_some_and(|sum| sum.ends_with(" 7.0")));
}

#[test]
fn the_page_is_in_the_format_that_is_asked_for() {
    let cases = [
        ("*/*", false),
        ("", false),
        ("text/plain", false),
        ("application/openmetrics-text", true),
        ("Application/OpenMetrics-Text; version=1.0.0; q=0.5", true),
        ("application/openmetrics-text;q=0", false),
        ("application/openmetrics-text;q=2", false),
        ("application/openmetrics-text;q=x", false),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.5", false),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            true,
        ),
    ];
    let metrics = Metrics::new();
    Client::new(rooms().wrap(metrics.clone())).get("/").send();
    for (accept, openmetrics) in cases {
        let page = page(&metrics, accept);
        let family = match openmetrics {
            true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            false => "text/plain; version=0.0.4; charset=utf-8",
        };
        assert_eq!(page.header("content-type"), Some(family), "{accept}");
        assert_eq!(page.header("vary"), Some("accept"));
        assert_eq!(page.text().ends_with("# EOF\n"), openmetrics);
        let counter = match openmetrics {
            true => "# TYPE http_server_requests counter\n",
            false => "# TYPE http_server_requests_total counter\n",
        };
        assert!(page.text().contains(counter));
    }
}

#[test]
fn the_page_is_only_read() {
    let client = Client::new(Metrics::new().application().wrap(Lint::new()));
    let response = client.post("/").send();
    assert_eq!(
        (response.status().as_u16(), response.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let (get, head) = (client.get("/").send(), client.head("/").send());
    assert_eq!(head.headers(), get.headers());
    assert_eq!(head.text(), "");
}

#[test]
fn applications_and_other_metrics_share_a_page() {
    let metrics = Metrics::new();
    let jobs = Family::<Vec<(String, String)>, Counter>::default();
    metrics.register(|registry| registry.register("jobs", "Jobs", jobs.clone()));
    let label = ("kind".to_owned(), "\"a\"\n".to_owned());
    jobs.get_or_create(&vec![label]).inc();
    for name in ["shop", "wiki", "shop"] {
        let app = Application::new(|_: Request| "x").wrap(metrics.for_app(name));
        Client::new(app).get("/").send();
    }
    assert_eq!(
        counted(&metrics),
        [
            r#"{app="shop",method="GET",route="unmatched",status="2xx"} 2"#,
            r#"{app="wiki",method="GET",route="unmatched",status="2xx"} 1"#,
        ]
    );
    let text = page(&metrics, "*/*").text().into_owned();
    assert!(text.ends_with(
        "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total{kind=\"\\\"a\\\"\\n\"} 1\n"
    ));
    let mut registry = Registry::default();
    registry.register_collector(metrics.collector());
    let mut elsewhere = String::new();
    prometheus_client::encoding::text::encode(&mut elsewhere, &registry).unwrap();
    assert!(elsewhere.contains("app=\"wiki\"") && !elsewhere.contains("jobs"));
    assert_eq!(elsewhere.matches("# TYPE http_server_requests ").count(), 1);
}

#[test]
fn is_described_with_its_application() {
    fn inner(_: Request) -> &'static str {
        "x"
    }
    let metrics = Metrics::new();
    let app = Application::new(inner)
        .wrap(metrics.for_app("shop"))
        .wrap(metrics.clone());
    assert_eq!(
        app.describe().to_string(),
        "Metrics\n└─ Metrics (app: shop)\n   └─ inner\n"
    );
    assert_eq!(metrics.application().describe().name(), "MetricsPage");
    let reply = Application::new(inner)
        .wrap(metrics)
        .call(Request::get("/"));
    assert!(reply.is_ready());
    let response = pollster::block_on(reply);
    assert_eq!(response.body().as_bytes().unwrap(), "x");
}

#[test]
fn keeps_the_laws() {
    Check::new(Metrics::new()).run();
}

#[test]
fn an_upgraded_connection_is_in_flight_until_it_ends() {
    let metrics = Metrics::new();
    let app = Application::new(|request: Request| {
        let upgrade = request.upgrade("echo").unwrap();
        upgrade.respond(async |mut connection| {
            let mut buffer = [0; 8];
            while connection.read(&mut buffer).await? > 0 {}
            connection.write_all(b"bye").await
        })
    });
    let client = Client::new(app.wrap(metrics.clone()));
    pollster::block_on(async {
        let (response, connection) = client.get("/").upgrade("echo").await;
        assert_eq!(response.status(), 101);
        let mut connection = connection.unwrap();
        connection.write_all(b"hello").await.unwrap();
        assert_eq!(in_flight(&metrics), ["{method=\"GET\"} 1"]);
        assert_eq!(counted(&metrics), [""; 0]);
        connection.close().await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(connection.read(&mut buffer).await.unwrap(), 3);
    });
    assert_eq!(in_flight(&metrics), [""; 0]);
    let expected = [r#"{method="GET",route="unmatched",status="1xx"} 1"#];
    assert_eq!(counted(&metrics), expected);
}
