//! The wrappers of Enfilade: each takes an application and returns an application.
//!
//! One file a wrapper; none of them knows a gateway, a runtime or another wrapper. Application authors find all of this
//! in `enfilade::middleware`.
//!
//! # Order
//!
//! Any order works, and each wrapper says where it belongs and why. From the street to the garden:
//!
//! | from outside to inside | because |
//! |---|---|
//! | [`ProxyFix`] | everything else reads the client, the scheme and the host that it finds |
//! | [`Sensitive`] | nothing inside shows what it marks |
//! | [`RequestId`] | every line, span and answer has the id |
//! | `Trace`, [`AccessLog`], `Metrics`, [`Timing`], [`Inspect`] | they see every answer, and the bytes that are sent |
//! | [`SecurityHeaders`], [`Headers`] | every answer has the headers, those of other wrappers too |
//! | [`TrustedHosts`], [`HttpsRedirect`], [`CanonicalHost`] | who is sent away costs nothing more; no redirect to a host that is not trusted |
//! | [`Compression`] | it codes pages of errors too, and what is inside sees plain bytes |
//! | [`CacheControl`], [`ContentType`] | a compression looks at both |
//! | [`Cors`] | pages of other origins can read refusals; a preflight meets no limit and no login |
//! | [`DebugErrors`], [`ErrorPages`] | they give a page to every error from inside |
//! | [`CatchPanic`] | outside all that may panic |
//! | [`Maintenance`], [`RateLimit`], [`ConcurrencyLimit`] | they refuse before anything is done |
//! | [`Timeout`] | the time in a backlog is not the application's |
//! | [`Decompression`], [`BodyLimit`] | a limit for the bytes that the application sees |
//! | [`MethodOverride`], [`Slashes`], [`Rewrite`] | the router sees what they make of method and path; a form is read within the limit |
//! | [`Propagate`] | it sees the request as the application does |
//! | [`NotFound`] | it answers for the router |
//! | [`Router`], [`Mounts`], [`Hosts`], ... | the applications |

mod accept;
mod access_log;
mod answers;
mod body_limit;
mod cache_control;
mod canonical_host;
mod cascade;
mod catch_panic;
mod coding;
mod compression;
mod concurrency_limit;
mod content_type;
mod cors;
mod debug_errors;
mod decompression;
mod digests;
mod error;
mod error_pages;
mod fault;
mod frames;
mod harmful;
mod headers;
mod host_pattern;
mod hosts;
mod html;
mod https_redirect;
mod inspect;
mod kept;
mod lines;
mod maintenance;
mod method_override;
#[cfg(feature = "metrics")]
mod metrics;
mod mounts;
mod not_found;
mod panics;
mod path_glob;
#[cfg(feature = "profile")]
mod profile;
mod propagate;
mod proxy_fix;
mod rate_limit;
mod redirect;
mod relocation;
mod replaced;
mod request_id;
mod rewrite;
mod router;
mod rules;
mod security_headers;
mod sensitive;
mod slashes;
mod sleep;
mod swap;
mod timeout;
mod timer;
mod timing;
#[cfg(feature = "tracing")]
mod trace;
mod trace_context;
mod trusted_hosts;
mod when;

#[cfg(feature = "tracing")]
pub use access_log::TracingEvents;
pub use access_log::{AccessLog, DroppedLines, LogFile, LogFileHandle, Period, WhenFull};
pub use answers::Answers;
pub use body_limit::BodyLimit;
pub use cache_control::{CacheControl, CacheRule};
pub use canonical_host::CanonicalHost;
pub use cascade::Cascade;
pub use catch_panic::CatchPanic;
pub use coding::{Coding, Negotiated, negotiate_coding};
pub use compression::{Compression, Etags, Flush, MemoUsage};
pub use concurrency_limit::ConcurrencyLimit;
pub use content_type::ContentType;
pub use cors::Cors;
pub use debug_errors::DebugErrors;
pub use decompression::Decompression;
pub use error::{Error, ErrorKind};
pub use error_pages::{ErrorFormat, ErrorPage, ErrorPages};
pub use headers::Headers;
pub use hosts::Hosts;
pub use https_redirect::HttpsRedirect;
pub use inspect::{Exchange, Failure, Inspect};
pub use maintenance::{Maintenance, MaintenanceSwitch};
pub use method_override::{MethodOverride, OriginalMethod};
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use mounts::Mounts;
pub use not_found::{NotFound, Pass};
#[cfg(feature = "profile")]
pub use profile::Profile;
pub use propagate::Propagate;
pub use proxy_fix::{ForwardedElement, ProxyFix, XForwarded, parse_forwarded};
pub use rate_limit::{
    Quota, QuotaAnswer, QuotaAsk, QuotaKey, QuotaState, QuotaStore, RateLimit, WhenNoKey,
    WhenStoreFails,
};
pub use redirect::Redirect;
pub use request_id::{RequestId, RequestIdValue};
pub use rewrite::Rewrite;
pub use router::{MatchedPattern, RouteInfo, RouteWanted, Router, UrlError, Urls};
pub use security_headers::{CspNonce, SecurityHeaders};
pub use sensitive::Sensitive;
pub use slashes::Slashes;
pub use swap::Swap;
pub use timeout::Timeout;
pub use timing::{ServerTiming, Stopwatch, Timing};
#[cfg(feature = "tracing")]
pub use trace::Trace;
pub use trace_context::TraceContext;
pub use trusted_hosts::TrustedHosts;
pub use when::{Guard, When};

#[cfg(test)]
mod tests {
    use enfilade_core::{Application, Request, around};
    use enfilade_testing::{Client, Warning, doctor, lint_all};
    use http::StatusCode;

    use super::{
        AccessLog, CanonicalHost, Cascade, Compression, Guard, Headers, Hosts, HttpsRedirect,
        Mounts, NotFound, ProxyFix, RequestId, Router, Swap, TrustedHosts, When,
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
    fn what_is_inside_is_shown_and_reached_in_the_same_order() {
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

    /// Two sites, guarded as the docs of the wrappers say.
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
        let hosts =
            hosts.and_then(|hosts| hosts.host("localhost", mounts?.otherwise(page.clone())));
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

    /// A router with a mount, and answers of which some are long, tagged, or missing.
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
    fn what_watches_stands_outside_and_finds_nothing() {
        use super::{Inspect, Metrics, Timing, Trace};

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
                let answer = request.send();
                assert!(answer.body_error().is_none());
                assert!(answer.header("x-runtime").is_some());
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
        (warning.outer(), warning.inner())
    }
}
