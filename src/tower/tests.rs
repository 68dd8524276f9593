use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::{
    Application, Body, Connection, HttpError, Outcome, ReadAt, Request, Response, Scheme, Segment,
};
use enfilade_middleware::Router;
use enfilade_testing::{Client, Lint};
use http::{HeaderMap, StatusCode};
use tower_http::compression::CompressionLayer;
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tower_service::Service;

use super::{AppService, FromService, application, layer};

fn get(target: &str) -> http::Request<Body> {
    let request = http::Request::get(target).header("host", "h");
    request.body(Body::empty()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

fn ask(
    mut service: impl Service<http::Request<Body>, Response = Response, Error = Infallible>,
    request: http::Request<Body>,
) -> Response {
    block_on(service.call(request)).unwrap()
}

/// Returns the parts of a body, its error and its trailers.
async fn content<B>(body: B) -> (Vec<Bytes>, Option<String>, HeaderMap)
where
    B: http_body::Body<Data = Bytes, Error: Into<crate::BoxError>> + Send + 'static,
{
    let mut body = Body::new(body);
    let (mut parts, mut error, mut trailers) = (Vec::new(), None, HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) if frame.is_data() => parts.push(frame.into_data().unwrap()),
            Ok(frame) => trailers = frame.into_trailers().unwrap(),
            Err(found) => error = Some(first_cause(&found)),
        }
    }
    (parts, error, trailers)
}

fn first_cause(error: &dyn std::error::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), first_cause)
}

fn failing_body() -> Body {
    Body::from_stream(Items(vec![Err("cable cut"), Ok("b"), Ok("a")]))
}

struct Items(Vec<Result<&'static str, &'static str>>);

impl futures_core::Stream for Items {
    type Item = Result<&'static str, &'static str>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop())
    }
}

fn checksum() -> HeaderMap {
    HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())])
}

/// The application by itself, and inside services and layers.
fn variants(app: Application) -> [(&'static str, Application); 4] {
    let axum = axum::Router::new().fallback_service(AppService::new(app.clone()));
    [
        ("service", application(AppService::new(app.clone()))),
        ("axum", application(axum)),
        ("layer", app.clone().wrap(layer(TraceLayer::new_for_http()))),
        (
            "two",
            app.wrap(layer(NormalizePathLayer::trim_trailing_slash()))
                .wrap(layer(TraceLayer::new_for_http())),
        ),
    ]
}

#[test]
fn bodies_trailers_and_errors_pass_both_ways() {
    let echo = Application::new(|mut request: Request| request.take_body());
    for (variant, app) in variants(echo) {
        let bodies = [
            (Body::from("whole"), vec!["whole"], None, HeaderMap::new()),
            (
                failing_body(),
                vec!["a", "b"],
                Some("cable cut"),
                HeaderMap::new(),
            ),
            (
                Body::from_iterator(["a", "b"]).with_trailers(checksum()),
                vec!["a", "b"],
                None,
                checksum(),
            ),
        ];
        for (body, parts, error, trailers) in bodies {
            let mut request = Request::from(get("/"));
            *request.body_mut() = body;
            let found = block_on(async { content(app.call(request).await.into_body()).await });
            let expected = parts.into_iter().map(Bytes::from).collect();
            assert_eq!(
                found,
                (expected, error.map(str::to_owned), trailers),
                "{variant}"
            );
        }
    }
}

#[test]
fn the_kind_of_an_error_is_known_at_the_other_end() {
    let app = Application::new(async |mut request: Request| -> Result<String, HttpError> {
        let bytes = request.take_body().collect(100).await?;
        Ok(bytes.len().to_string())
    });
    for (variant, app) in variants(app) {
        let mut request = Request::from(get("/"));
        *request.body_mut() =
            Body::from_stream(Failing(Some(enfilade_core::BodyError::timed_out())));
        let response = block_on(app.call(request).into_future());
        assert_eq!(response.status(), 408, "{variant}");
    }
}

struct Failing(Option<enfilade_core::BodyError>);

impl futures_core::Stream for Failing {
    type Item = Result<Bytes, enfilade_core::BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

#[test]
fn a_body_that_is_dropped_is_dropped_at_once() {
    let (sender, ends) = channel();
    let endless = Application::new(move |_: Request| {
        let sender = sender.clone();
        Body::from_iterator(std::iter::repeat("x"))
            .on_end(move |end| sender.send(end.outcome()).unwrap())
    });
    for (variant, app) in variants(endless) {
        drop(block_on(app.call(Request::from(get("/"))).into_future()));
        assert_eq!(ends.try_recv(), Ok(Outcome::Dropped), "{variant}");
    }
}

#[test]
fn extensions_pass_both_ways() {
    let app = Application::new(|request: Request| {
        let mut response = Response::new(Body::empty());
        let found = request.extensions().get::<u8>().copied();
        response
            .extensions_mut()
            .insert((found, request.connection().scheme()));
        response
    });
    for (variant, app) in variants(app) {
        let mut request = Request::from(get("/"));
        request.extensions_mut().insert(7_u8);
        request.set_connection(Connection::new(Scheme::Https));
        let response = block_on(app.call(request).into_future());
        assert_eq!(
            response.extensions().get(),
            Some(&(Some(7_u8), Scheme::Https)),
            "{variant}"
        );
    }
}

#[test]
fn mounts_and_captures_are_known_inside() {
    let page = Application::new(|request: Request| {
        let name = request.params().get("name").unwrap_or_default().to_owned();
        format!(
            "{name} {} {} {}",
            request.script_name(),
            request.path(),
            request.uri()
        )
    });
    for (variant, app) in variants(page) {
        let router = Router::new().mount("/a/{name}", app).build().unwrap();
        let response = Client::new(router).get("/a/b/c?q").send();
        assert_eq!(response.text(), "b /a/b /c /a/b/c?q", "{variant}");
    }
    let nested = axum::Router::new().nest_service(
        "/x",
        AppService::new(|request: Request| request.script_name().to_owned()),
    );
    let router = Router::new()
        .mount("/a", application(nested))
        .build()
        .unwrap();
    assert_eq!(Client::new(router).get("/a/x/y").send().text(), "/a/x");
}

#[test]
fn the_original_target_gives_the_script_name() {
    let app = Application::new(|request: Request| {
        format!(
            "{} {} {}",
            request.script_name(),
            request.path(),
            request.uri()
        )
    });
    let service =
        AppService::new(app).original_uri(|parts| parts.extensions.get::<http::Uri>().cloned());
    // The path that is left, the original target, and what the application sees.
    let cases = [
        ("/b?q", "/a/b?q", "/a /b /a/b?q"),
        ("/", "/a", "/a  /a"),
        ("/", "/a/", "/a / /a/"),
        ("/b", "/b", " /b /b"),
        ("/b", "/ab/c", " /b /b"),
        ("/b", "/a/b?q", " /b /b"),
        ("/a%2Fb", "/x/a%2Fb", "/x /a%2Fb /x/a%2Fb"),
        ("/%61%2fb", "/%78/%61%2fb", "/x /a%2Fb /%78/%61%2fb"),
        ("/y/../b", "/x/y/../b", "/x /b /x/y/../b"),
    ];
    for (target, original, expected) in cases {
        let mut request = get(target);
        request
            .extensions_mut()
            .insert(original.parse::<http::Uri>().unwrap());
        let response = ask(service.clone(), request);
        assert_eq!(
            response.body().as_bytes().unwrap(),
            expected,
            "{target} of {original}"
        );
    }
    assert_eq!(ask(service, get("/b")).body().as_bytes().unwrap(), " /b /b");
}

#[test]
fn a_service_is_a_gateway() {
    let app = Application::new(|request: Request| match request.path() {
        "/panic" => panic!("oh"),
        _ => "four",
    });
    let service = AppService::from(app);
    let mut head = get("/");
    *head.method_mut() = http::Method::HEAD;
    let response = ask(service.clone(), head);
    assert_eq!(response.headers()["content-length"], "4");
    assert!(response.body().is_finished());
    assert_eq!(ask(service.clone(), get("/panic")).status(), 500);
    let mut hostless = get("/");
    hostless.headers_mut().clear();
    assert_eq!(ask(service, hostless).status(), 400);
}

/// A service that is ready on the second poll, and fails a call before that.
struct Shy {
    asked: usize,
    clones: Arc<AtomicUsize>,
    error: Option<&'static str>,
}

impl Clone for Shy {
    fn clone(&self) -> Shy {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Shy {
            asked: 0,
            clones: self.clones.clone(),
            error: self.error,
        }
    }
}

impl Service<http::Request<Body>> for Shy {
    type Response = Response;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = std::future::Ready<Result<Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.asked += 1;
        context.waker().wake_by_ref();
        match (self.asked, self.error) {
            (1, _) => Poll::Pending,
            (_, Some("never")) => Poll::Ready(Err("never".into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        assert_eq!(self.asked, 2, "called before it was ready");
        std::future::ready(match self.error {
            Some(error) => Err(error.into()),
            None => Ok(Response::new(Body::from("ready"))),
        })
    }
}

fn shy(error: Option<&'static str>) -> Shy {
    Shy {
        asked: 0,
        clones: Arc::default(),
        error,
    }
}

#[test]
fn the_service_that_was_ready_is_called() {
    let service = shy(None);
    let clones = service.clones.clone();
    let client = Client::new(application(service));
    for count in 1..3 {
        assert_eq!(client.get("/").send().text(), "ready");
        assert_eq!(clones.load(Ordering::Relaxed), count);
    }
}

#[test]
fn an_error_of_the_service_is_a_500_or_the_response_of_on_error() {
    for error in ["never", "later"] {
        let response = Client::new(application(shy(Some(error)))).get("/").send();
        assert_eq!(
            (response.status().as_u16(), &*response.text()),
            (500, "Internal Server Error")
        );
        let cause = response.extensions().get::<Arc<HttpError>>().unwrap();
        assert_eq!(cause.source().unwrap().to_string(), error);
        let busy = FromService::new(shy(Some(error)))
            .on_error(|cause| HttpError::new(StatusCode::SERVICE_UNAVAILABLE).caused_by(cause));
        let response = Client::new(busy.into_application()).get("/").send();
        assert_eq!(response.status(), 503);
    }
}

#[test]
fn layers_of_tower_http_are_middleware() {
    let page = Application::new(|_: Request| async { "page ".repeat(1000) });
    let app = page.wrap(layer(CompressionLayer::new()));
    let app = app.wrap(layer(TimeoutLayer::with_status_code(
        StatusCode::GATEWAY_TIMEOUT,
        Duration::from_secs(5),
    )));
    let app = app.wrap(layer(TraceLayer::new_for_http()));
    assert_eq!(
        app.describe().to_string(),
        "TraceLayer\n└─ TimeoutLayer\n   └─ CompressionLayer\n      └─ closure in layers_of_tower_http_are_middleware\n"
    );
    let mut request = get("/");
    request
        .headers_mut()
        .insert("accept-encoding", "gzip".parse().unwrap());
    let response = block_on(app.call(Request::from(request)).into_future());
    assert_eq!(response.headers()["content-encoding"], "gzip");

    let slow = Application::new(|_: Request| std::future::pending::<&str>());
    let limit = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::ZERO);
    let response = block_on(async { slow.wrap(layer(limit)).call(Request::get("/")).await });
    assert_eq!(response.status(), 504);
}

#[test]
fn map_inner_reaches_the_application_inside_a_layer() {
    let app = Application::new(|_: Request| "x").wrap(layer(TraceLayer::new_for_http()));
    let seen = app.map_inner(&mut |inner| inner.wrap(Lint::new()));
    assert!(
        seen.describe()
            .to_string()
            .starts_with("TraceLayer\n└─ Lint")
    );
    assert_eq!(
        Client::new(seen.wrap(Lint::new())).get("/").send().text(),
        "x"
    );
}

#[test]
fn the_laws_hold_for_layers() {
    enfilade_testing::laws::check(|app: Application| app.wrap(layer(TraceLayer::new_for_http())));
}

#[test]
fn a_service_sends_no_hop_by_hop_header_and_no_unknown_length() {
    let headers = [
        ("connection", "x-private"),
        ("x-private", "1"),
        ("x-a", "2"),
    ];
    let service = AppService::new(move |_: Request| (headers, ()));
    let mut request = get("/");
    *request.method_mut() = http::Method::HEAD;
    let response = ask(service, request);
    let names: Vec<_> = response
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    assert_eq!(names, ["x-a"]);
    // The server must not take the empty body for GET's.
    assert!(!http_body::Body::is_end_stream(response.body()));
    // A service inside a layer is an application like any other.
    let service = tower_http::compression::CompressionLayer::new();
    let app = Application::new(move |_: Request| (headers, "x")).wrap(layer(service));
    let inside = Client::new(app).get("/").send();
    assert_eq!(
        (inside.header("x-private"), inside.header("x-a")),
        (None, Some("2"))
    );
}

#[test]
fn a_service_gets_the_canonical_path_or_the_raw_target() {
    let shows = || axum::Router::new().fallback(async |uri: http::Uri| uri.to_string());
    let target = "/app/%61/../b%2fc?q=%61";
    let canonical = application(shows());
    let raw = FromService::new(shows()).insecure_raw_target();
    for (app, expected) in [
        (canonical, "/b%2Fc?q=%61"),
        (raw.into_application(), target),
    ] {
        let app = Router::new().mount("/app", app).build().unwrap();
        assert_eq!(Client::new(app).get(target).send().text(), expected);
    }
}

#[test]
fn a_body_of_segments_goes_through_as_frames_both_ways() {
    let source: Arc<dyn ReadAt> = Arc::new(Bytes::from("hall, salon, cellar"));
    let inner = Application::new(move |_: Request| {
        Body::from_segments([Segment::from("1: "), Segment::new(source.clone(), 6..11)])
    });
    let outside = AppService::new(inner.clone());
    let response = ask(outside.clone(), get("/"));
    assert_eq!(response.headers()["content-length"], "8");
    assert_eq!(response.body().known_length(), Some(8));
    let (parts, error, _) = block_on(content(response.into_body()));
    assert_eq!((parts, error), (vec!["1: ".into(), "salon".into()], None));
    // Through a service and back, with an application's own body and with axum's.
    let router = axum::Router::new().fallback_service(outside.clone());
    for app in [application(outside), application(router)] {
        let response = Client::new(app.wrap(Lint::new())).get("/").send();
        assert_eq!(response.header("content-length"), Some("8"));
        assert_eq!(response.text(), "1: salon");
    }
    // A request's body works too.
    let echo = Application::new(|mut request: Request| request.take_body());
    let mut request = get("/");
    *request.body_mut() = Body::from_segments([Segment::new(Arc::new(Bytes::from("abc")), 1..3)]);
    let response = ask(AppService::new(echo), request);
    assert_eq!(block_on(content(response.into_body())).0, ["bc"]);
}

#[test]
fn a_spawned_task_runs_on_the_runtime_of_the_service() {
    let (sender, done) = channel();
    let app = Application::new(move |request: Request| {
        let sender = sender.clone();
        let spawned = request
            .connection()
            .spawn(async move { sender.send(()).unwrap() });
        spawned.map_or("nothing runs it", |()| "Hello")
    });
    let mut service = AppService::new(app);
    block_on(async {
        let response = service.call(get("/")).await.unwrap();
        assert_eq!(response.body().as_bytes().unwrap(), "Hello");
        while done.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn the_hook_of_a_service_gets_the_errors_behind_its_responses() {
    let app = Application::new(|request: Request| match request.path() {
        "/cause" => Err(HttpError::from("the disk is full")),
        "/missing" => Err(HttpError::new(StatusCode::NOT_FOUND)),
        _ => Ok("Hello"),
    });
    let (sender, told) = channel();
    let service = AppService::new(app).on_error(move |error, id| {
        let cause = error.source().map(ToString::to_string);
        sender
            .send((error.status().as_u16(), cause, id.cloned()))
            .unwrap();
    });
    for (path, expected) in [
        ("/", None),
        ("/missing", None),
        (
            "/cause",
            Some((500, Some("the disk is full".to_owned()), None)),
        ),
    ] {
        ask(service.clone(), get(path));
        assert_eq!(told.try_iter().next(), expected, "{path}");
    }
}
