//! All wrappers, as tests stack them.

use std::io::sink;
use std::time::Duration;

use enfilade::middleware::{
    AccessLog, AllowAddresses, ApiKeys, Authorize, Basic, Bearer, BodyLimit, CacheControl,
    CacheRule, CanonicalHost, CatchPanic, ClientCertificates, Compression, ConcurrencyLimit,
    Conditional, ContentType, Cors, Csrf, DebugErrors, Decompression, ErrorPages, Etag, Files,
    ForwardAuth, Guard, Headers, HttpsRedirect, Inspect, Maintenance, MemorySessions, MemoryTree,
    MethodOverride, Metrics, NotFound, Passwords, Propagate, ProxyFix, Quota, Ranges, RateLimit,
    RequestId, Rewrite, SecurityHeaders, SendFile, Sensitive, Sessions, Slashes, Spool, Timeout,
    Timing, Trace, TrustedHosts, Who, XForwarded,
};
use enfilade::{Application, Middleware, Request};
use http::{HeaderName, StatusCode};

/// The longest request body, in bytes.
const LIMIT: u64 = 10_000;

/// A function that puts a wrapper around an application.
pub(crate) type Wrap = Box<dyn Fn(Application) -> Application>;

pub(crate) fn wrapper<M: Middleware + Clone + 'static>(middleware: M) -> Wrap {
    Box::new(move |app| app.wrap(middleware.clone()))
}

/// All wrappers with their names, outermost first.
pub(crate) fn wrappers() -> Vec<(&'static str, Wrap)> {
    let proxies = ProxyFix::trust_x_forwarded(["10.0.0.0/8"], [XForwarded::For]).unwrap();
    let rule = CacheRule::new("no-cache").unwrap().any_status();
    let id = HeaderName::from_static("x-client");
    let all = AllowAddresses::new(["0.0.0.0/0", "::/0"])
        .unwrap()
        .allow_unknown();
    let robots = MemoryTree::new()
        .file("robots.txt", "User-agent: *")
        .unwrap();
    let missing = Application::new(|_: Request| (StatusCode::NOT_FOUND, "Nothing here"));
    vec![
        ("ProxyFix", wrapper(proxies)),
        ("Sensitive", wrapper(Sensitive::new())),
        ("RequestId", wrapper(RequestId::new())),
        ("Trace", wrapper(Trace::new())),
        ("AccessLog", wrapper(AccessLog::combined().writer(sink()))),
        ("Metrics", wrapper(Metrics::new())),
        ("Timing", wrapper(Timing::new())),
        ("Inspect", wrapper(Inspect::new().on_error(|_, _| {}))),
        ("SecurityHeaders", wrapper(SecurityHeaders::new())),
        (
            "Headers",
            wrapper(Headers::new().set("x-house", "enfilade").unwrap()),
        ),
        (
            "TrustedHosts",
            wrapper(TrustedHosts::new(["example.org", "www.example.org"]).unwrap()),
        ),
        ("HttpsRedirect", wrapper(HttpsRedirect::new())),
        (
            "CanonicalHost",
            wrapper(CanonicalHost::new("example.org").unwrap()),
        ),
        ("Compression", wrapper(Compression::new())),
        ("Ranges", wrapper(Ranges::new())),
        ("Conditional", wrapper(Conditional::new())),
        ("Etag", wrapper(Etag::new())),
        (
            "SendFile",
            wrapper(SendFile::new(HeaderName::from_static("x-sendfile"))),
        ),
        ("CacheControl", wrapper(CacheControl::new().rule(rule))),
        (
            "ContentType",
            wrapper(ContentType::new("application/octet-stream").unwrap()),
        ),
        (
            "Cors",
            wrapper(Cors::origins(["https://shop.example"]).unwrap()),
        ),
        ("DebugErrors", wrapper(DebugErrors::insecure_in_release())),
        ("ErrorPages", wrapper(ErrorPages::new())),
        ("CatchPanic", wrapper(CatchPanic::new())),
        ("AllowAddresses", wrapper(all)),
        ("Maintenance", wrapper(Maintenance::new())),
        (
            "RateLimit",
            wrapper(RateLimit::new(Quota::per_second(1_000))),
        ),
        ("ConcurrencyLimit", wrapper(ConcurrencyLimit::new(10))),
        ("Timeout", wrapper(Timeout::new(Duration::from_secs(60)))),
        ("Decompression", wrapper(Decompression::new())),
        ("BodyLimit", wrapper(BodyLimit::new(LIMIT))),
        ("Spool", wrapper(Spool::new(1 << 20))),
        ("Sessions", wrapper(Sessions::new(MemorySessions::new(100)))),
        ("Csrf", wrapper(Csrf::new())),
        (
            "Basic",
            wrapper(Basic::new("house", Passwords::new()).unwrap().optional()),
        ),
        (
            "Bearer",
            wrapper(Bearer::new("house", |_| None).unwrap().optional()),
        ),
        (
            "ApiKeys",
            wrapper(ApiKeys::new("house").unwrap().optional()),
        ),
        (
            "ClientCertificates",
            wrapper(ClientCertificates::new().optional()),
        ),
        ("ForwardAuth", wrapper(ForwardAuth::new(|_: Request| ""))),
        ("MethodOverride", wrapper(MethodOverride::new())),
        ("Slashes", wrapper(Slashes::trim())),
        (
            "Rewrite",
            wrapper(Rewrite::new().rule("^/old/", "/").unwrap()),
        ),
        (
            "Authorize",
            wrapper(Authorize::new().rule(Guard::new("all", |_| true), Who::anyone())),
        ),
        ("Propagate", wrapper(Propagate::new([id]).unwrap())),
        ("Files", wrapper(Files::new(robots))),
        ("NotFound", wrapper(NotFound::new(missing))),
    ]
}
