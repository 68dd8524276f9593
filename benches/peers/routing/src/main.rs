//! Routing alone: the route set of the GitHub REST API through `matchit`, our router and axum's, in one run.
//!
//! Each is asked the same requests in interleaved rounds; what is printed are medians, and exact counts of allocations.
//! Making the request is measured by itself and taken away.

use std::hint::black_box;
use std::time::Instant;

use axum::body::Body as AxumBody;
use enfilade::middleware::Router;
use enfilade::{Application, Request};
use http::{Method, StatusCode, Uri};
use tower_service::Service;

/// The routes, one a line.
const ROUTES: &str = include_str!("../github.txt");
/// What is asked: a name, and a path.
const ASKED: [(&str, &str); 4] = [
    ("static", "/user/repos"),
    ("one capture", "/gists/42"),
    ("three captures", "/repos/enfilade/doors/issues/1347"),
    ("nothing there", "/nothing/at/all"),
];
const ROUNDS: usize = 21;
const REQUESTS: usize = 20_000;

fn routes() -> impl Iterator<Item = (Method, &'static str)> {
    ROUTES.lines().map(|line| {
        let (method, pattern) = line.split_once(' ').expect("a method and a pattern");
        (method.parse().expect("a method"), pattern)
    })
}

fn ours(nested: bool) -> Application {
    let flat = routes().fold(Router::new(), |router, (method, pattern)| {
        router.on(&[method], pattern, |_: Request| StatusCode::OK)
    });
    let router = if nested {
        Router::new().nest("/api", flat)
    } else {
        flat
    };
    router.build().expect("no two of them are the same")
}

fn axums(nested: bool) -> axum::Router {
    let flat = routes().fold(axum::Router::new(), |router, (method, pattern)| {
        let filter = method.try_into().expect("a method that axum knows");
        router.route(
            pattern,
            axum::routing::on(filter, || async { StatusCode::OK }),
        )
    });
    if nested {
        axum::Router::new().nest("/api", flat)
    } else {
        flat
    }
}

fn index() -> matchit::Router<usize> {
    let mut index = matchit::Router::new();
    for (number, (_, pattern)) in routes().enumerate() {
        // Several methods of one path are one entry.
        let _ = index.insert(pattern, number);
    }
    index
}

/// Something to measure, with its nanoseconds a call in each round, and its allocations a call.
struct Candidate<'a> {
    run: Box<dyn FnMut() + 'a>,
    nanoseconds: Vec<f64>,
    allocations: u64,
}

impl<'a> Candidate<'a> {
    fn new(mut run: impl FnMut() + 'a) -> Candidate<'a> {
        run();
        let allocations = allocation_counter::measure(&mut run).count_total;
        Candidate {
            run: Box::new(run),
            nanoseconds: Vec::new(),
            allocations,
        }
    }

    fn round(&mut self) {
        let start = Instant::now();
        for _ in 0..REQUESTS {
            (self.run)();
        }
        self.nanoseconds
            .push(start.elapsed().as_nanos() as f64 / REQUESTS as f64);
    }

    fn median(&self) -> f64 {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

fn axum_request(uri: &Uri) -> http::Request<AxumBody> {
    let mut request = http::Request::new(AxumBody::empty());
    *request.uri_mut() = uri.clone();
    request
}

fn compare(what: &str, path: &str, nested: bool) {
    let path = if nested {
        format!("/api{path}")
    } else {
        path.to_owned()
    };
    let uri: Uri = path.parse().expect("a path");
    let (index, app, mut axum) = (index(), ours(nested), axums(nested));
    let handler = Application::new(|_: Request| StatusCode::OK);
    let expected = if what == "nothing there" { 404 } else { 200 };
    assert_eq!(
        pollster::block_on(app.call(Request::new(Method::GET, uri.clone()))).status(),
        expected
    );
    assert_eq!(
        pollster::block_on(axum.call(axum_request(&uri)))
            .expect("it cannot fail")
            .status(),
        expected
    );
    let inner = path
        .strip_prefix("/api")
        .filter(|_| nested)
        .unwrap_or(&path)
        .to_owned();
    let mut candidates = [
        Candidate::new(|| {
            let _ = black_box(index.at(black_box(&inner)));
        }),
        Candidate::new(|| drop(black_box(Request::new(Method::GET, uri.clone())))),
        Candidate::new(|| {
            let reply = handler.call(Request::new(Method::GET, uri.clone()));
            let _ = black_box(reply.try_into_response());
        }),
        Candidate::new(|| {
            let reply = app.call(Request::new(Method::GET, uri.clone()));
            let _ = black_box(reply.try_into_response());
        }),
        Candidate::new(|| drop(black_box(axum_request(&uri)))),
        Candidate::new(|| {
            let _ = black_box(pollster::block_on(axum.call(axum_request(&uri))));
        }),
    ];
    if let Ok(calls) = std::env::var("CALLS") {
        let chosen = std::env::args()
            .nth(2)
            .and_then(|number| number.parse::<usize>().ok());
        let candidate = &mut candidates[chosen.expect("the number of a candidate")];
        for _ in 0..calls.parse().expect("a number") {
            (candidate.run)();
        }
        return;
    }
    for _ in 0..ROUNDS {
        candidates.iter_mut().for_each(Candidate::round);
    }
    let [
        matchit,
        our_request,
        our_handler,
        our_router,
        axum_request,
        axum_router,
    ] = &candidates;
    let lookup = our_router.median() - our_handler.median();
    let ours = our_router.median() - our_request.median();
    let axums = axum_router.median() - axum_request.median();
    let our_allocations = our_router.allocations - our_request.allocations;
    let axum_allocations = axum_router.allocations - axum_request.allocations;
    println!(
        "| {what}{} | {:.0} | {lookup:.0} | {ours:.0} | {axums:.0} | {:.2} | {our_allocations} | {axum_allocations} |",
        if nested { ", nested" } else { "" },
        matchit.median(),
        ours / axums,
    );
}

/// How long a router of so many routes takes to build, in milliseconds, and to find one, in nanoseconds.
fn grown(count: usize) -> (f64, f64) {
    let start = Instant::now();
    let router = (0..count).fold(Router::new(), |router, number| {
        let pattern = format!("/section{}/{{name}}/item{number}", number % 97);
        router.get(&pattern, |_: Request| StatusCode::OK)
    });
    let app = router.build().expect("all are different");
    let build = start.elapsed().as_secs_f64() * 1e3;
    let uri: Uri = format!("/section{}/x/item{}", (count / 2) % 97, count / 2)
        .parse()
        .expect("a path");
    let mut candidate = Candidate::new(|| {
        let reply = app.call(Request::new(Method::GET, uri.clone()));
        assert!(
            black_box(reply.try_into_response()).is_ok_and(|response| response.status() == 200)
        );
    });
    for _ in 0..ROUNDS {
        candidate.round();
    }
    (build, candidate.median())
}

fn main() {
    // For callgrind: `CALLS=1000 routing "one capture" 3` makes so many calls of the candidate with that number.
    if let (Some(what), true) = (std::env::args().nth(1), std::env::var_os("CALLS").is_some()) {
        let (_, path) = ASKED
            .iter()
            .find(|(name, _)| *name == what)
            .expect("a path");
        return compare(&what, path, false);
    }
    println!(
        "{} routes; nanoseconds and allocations beyond making the request",
        routes().count()
    );
    println!("| | matchit | our lookup | ours | axum | ours/axum | our allocations | axum's |");
    println!("|---|---|---|---|---|---|---|---|");
    for nested in [false, true] {
        for (what, path) in ASKED {
            compare(what, path, nested);
        }
    }
    let (_, few) = grown(100);
    let (build, many) = grown(10_000);
    println!(
        "10,000 routes: built in {build:.0} ms; one is found in {:.2} times what it takes among 100",
        many / few
    );
}
