//! Routing alone: three sets of routes through `matchit`, our router and axum's, in one run.
//!
//! Each gets the same requests in interleaved rounds. The output has medians, ratios within a round, and exact counts
//! of allocations. The cost of making the request is measured separately and subtracted.

use std::hint::black_box;
use std::time::Instant;

use axum::body::Body as AxumBody;
use enfilade::middleware::Router;
use enfilade::{Application, Request};
use http::{Method, StatusCode, Uri};
use tower_service::Service;

/// Routes, one on each line, and the requests for them: a name, and a path.
struct Set {
    name: &'static str,
    routes: &'static str,
    asked: &'static [(&'static str, &'static str)],
}

/// A small application, a shop whose captures have constraints, and the GitHub REST API.
const SETS: [Set; 3] = [
    Set {
        name: "small",
        routes: include_str!("../small.txt"),
        asked: &[
            ("static", "/users"),
            ("one capture", "/users/42"),
            ("the rest", "/static/css/main.css"),
            (NOTHING, "/nothing/at/all"),
        ],
    },
    Set {
        name: "shop",
        routes: include_str!("../shop.txt"),
        asked: &[
            ("static", "/account/orders"),
            ("one capture", "/account/orders/1347"),
            ("two captures", "/feeds/news/atom"),
            ("the rest", "/media/2024/05/door.webp"),
            (NOTHING, "/nothing/at/all"),
        ],
    },
    Set {
        name: "github",
        routes: include_str!("../github.txt"),
        asked: &[
            ("static", "/user/repos"),
            ("one capture", "/gists/42"),
            ("three captures", "/repos/enfilade/doors/issues/1347"),
            (NOTHING, "/nothing/at/all"),
        ],
    },
];
const NOTHING: &str = "nothing there";
/// The name of the case that requests every route once.
const EACH: &str = "each route once";
const ROUNDS: usize = 101;
const REQUESTS: usize = 4_540;

impl Set {
    fn routes(&self) -> impl Iterator<Item = (Method, &'static str)> {
        self.routes.lines().map(|line| {
            let (method, pattern) = line.split_once(' ').expect("a method and a pattern");
            (method.parse().expect("a method"), pattern)
        })
    }

    fn ours(&self, nested: bool) -> Application {
        let flat = self
            .routes()
            .fold(Router::new(), |router, (method, pattern)| {
                router.on(&[method], pattern, |_: Request| StatusCode::OK)
            });
        let router = if nested {
            Router::new().nest("/api", flat)
        } else {
            flat
        };
        router.build().expect("no two of them are the same")
    }

    fn axums(&self, nested: bool) -> axum::Router {
        let flat = self
            .routes()
            .fold(axum::Router::new(), |router, (method, pattern)| {
                let filter = method.try_into().expect("a method that axum knows");
                let handler = axum::routing::on(filter, || async { StatusCode::OK });
                router.route(&unconstrained(pattern), handler)
            });
        if nested {
            axum::Router::new().nest("/api", flat)
        } else {
            flat
        }
    }

    fn index(&self) -> matchit::Router<usize> {
        let mut index = matchit::Router::new();
        for (number, (_, pattern)) in self.routes().enumerate() {
            // Several methods of one path are one entry.
            let _ = index.insert(unconstrained(pattern), number);
        }
        index
    }

    /// Returns the requests of this name: each route once, or one path.
    fn asked(&self, what: &str, nested: bool) -> Vec<Asked> {
        let path = self.asked.iter().find(|(name, _)| *name == what);
        match path {
            Some((_, path)) => vec![Asked::new(Method::GET, path, nested)],
            None => self
                .routes()
                .map(|(method, pattern)| Asked::new(method, &filled(pattern), nested))
                .collect(),
        }
    }
}

/// Returns the pattern without the constraints, which only our router has.
fn unconstrained(pattern: &str) -> String {
    pattern.replace(":int", "").replace(":slug", "")
}

/// Returns a path that matches the pattern: the names of its captures are their values.
fn filled(pattern: &str) -> String {
    let numbers = pattern.replace("{id:int}", "7").replace("{line:int}", "7");
    unconstrained(&numbers).replace(['{', '}', '*'], "")
}

/// A candidate, with its nanoseconds per call in each round, and its allocations per call.
struct Candidate<'a> {
    run: Box<dyn FnMut(&Asked) + 'a>,
    asked: &'a [Asked],
    nanoseconds: Vec<f64>,
    /// Of all requests.
    allocations: u64,
}

/// A request, and the path that is looked up below the prefix of a mount.
struct Asked {
    method: Method,
    uri: Uri,
    inner: String,
}

impl Asked {
    fn new(method: Method, path: &str, nested: bool) -> Asked {
        let prefix = if nested { "/api" } else { "" };
        Asked {
            method,
            uri: format!("{prefix}{path}").parse().expect("a path"),
            inner: path.to_owned(),
        }
    }

    fn request(&self) -> Request {
        Request::new(self.method.clone(), self.uri.clone())
    }

    fn axums(&self) -> http::Request<AxumBody> {
        let mut request = http::Request::new(AxumBody::empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        request
    }
}

impl<'a> Candidate<'a> {
    fn new(asked: &'a [Asked], mut run: impl FnMut(&Asked) + 'a) -> Candidate<'a> {
        asked.iter().for_each(&mut run);
        let allocations =
            allocation_counter::measure(|| asked.iter().for_each(&mut run)).count_total;
        Candidate {
            run: Box::new(run),
            asked,
            nanoseconds: Vec::new(),
            allocations,
        }
    }

    fn round(&mut self) {
        let times = REQUESTS / self.asked.len();
        let start = Instant::now();
        for _ in 0..times {
            self.asked.iter().for_each(&mut self.run);
        }
        let calls = times * self.asked.len();
        self.nanoseconds
            .push(start.elapsed().as_nanos() as f64 / calls as f64);
    }

    fn median(&self) -> f64 {
        median(self.nanoseconds.iter().copied())
    }

    /// Returns how much longer each round took than the other's.
    fn beyond(&self, other: &Candidate<'_>) -> impl Iterator<Item = f64> {
        let pairs = self.nanoseconds.iter().zip(&other.nanoseconds);
        pairs.map(|(all, other)| all - other)
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The median of the ratios within each round.
fn ratio(values: impl Iterator<Item = f64>, to: impl Iterator<Item = f64>) -> f64 {
    median(values.zip(to).map(|(value, to)| value / to))
}

fn compare(set: &Set, what: &str, nested: bool) {
    let asked = &set.asked(what, nested)[..];
    let (index, app, mut axum) = (set.index(), set.ours(nested), set.axums(nested));
    let handler = Application::new(|_: Request| StatusCode::OK);
    let expected = if what == NOTHING { 404 } else { 200 };
    for asked in asked {
        let ours = pollster::block_on(app.call(asked.request()));
        assert_eq!(ours.status(), expected);
        let axums = pollster::block_on(axum.call(asked.axums())).expect("it cannot fail");
        assert_eq!(axums.status(), expected);
    }
    let mut candidates = [
        Candidate::new(asked, |asked| {
            let _ = black_box(index.at(black_box(&asked.inner)));
        }),
        Candidate::new(asked, |asked| drop(black_box(asked.request()))),
        Candidate::new(asked, |asked| {
            let _ = black_box(handler.call(asked.request()).try_into_response());
        }),
        Candidate::new(asked, |asked| {
            let _ = black_box(app.call(asked.request()).try_into_response());
        }),
        Candidate::new(asked, |asked| drop(black_box(asked.axums()))),
        Candidate::new(asked, |asked| {
            let _ = black_box(pollster::block_on(axum.call(asked.axums())));
        }),
    ];
    if let Ok(calls) = std::env::var("CALLS") {
        let chosen = std::env::args()
            .nth(3)
            .and_then(|number| number.parse::<usize>().ok());
        let candidate = &mut candidates[chosen.expect("the number of a candidate")];
        let calls = calls.parse().expect("a number");
        for asked in asked.iter().cycle().take(calls) {
            (candidate.run)(asked);
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
    let lookup = || our_router.beyond(our_handler);
    let ours = || our_router.beyond(our_request);
    let axums = || axum_router.beyond(axum_request);
    let count = asked.len() as f64;
    let allocations = |all: &Candidate<'_>, request: &Candidate<'_>| {
        (all.allocations - request.allocations) as f64 / count
    };
    println!(
        "| {}: {what}{} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} |",
        set.name,
        if nested { ", nested" } else { "" },
        matchit.median(),
        median(lookup()),
        ratio(lookup(), matchit.nanoseconds.iter().copied()),
        median(ours()),
        median(axums()),
        ratio(ours(), axums()),
        allocations(our_router, our_request),
        allocations(axum_router, axum_request),
    );
}

/// Returns how long a router of so many routes takes to build, in milliseconds, and to find one, in nanoseconds.
fn grown(count: usize) -> (f64, f64) {
    let start = Instant::now();
    let router = (0..count).fold(Router::new(), |router, number| {
        let pattern = format!("/section{}/{{name}}/item{number}", number % 97);
        router.get(&pattern, |_: Request| StatusCode::OK)
    });
    let app = router.build().expect("all are different");
    let build = start.elapsed().as_secs_f64() * 1e3;
    let path = format!("/section{}/x/item{}", (count / 2) % 97, count / 2);
    let asked = [Asked::new(Method::GET, &path, false)];
    let mut candidate = Candidate::new(&asked, |asked| {
        let reply = app.call(asked.request());
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
    // For callgrind: `CALLS=1000 routing github "one capture" 3` only makes that many calls of the candidate with that
    // number.
    if std::env::var_os("CALLS").is_some() {
        let argument = |number| std::env::args().nth(number).expect("a set and a request");
        let set = SETS.iter().find(|set| set.name == argument(1));
        return compare(set.expect("a set"), &argument(2), false);
    }
    println!("nanoseconds and allocations beyond making the request");
    println!(
        "| | matchit | our lookup | lookup/matchit | ours | axum | ours/axum | our allocations | axum's |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    // The last set also below a prefix.
    let nested = SETS.iter().rev().take(1).map(|set| (set, true));
    for (set, nested) in SETS.iter().map(|set| (set, false)).chain(nested) {
        let named = set.asked.iter().map(|(name, _)| *name);
        named
            .chain([EACH])
            .for_each(|what| compare(set, what, nested));
    }
    let (_, few) = grown(100);
    let (build, many) = grown(10_000);
    println!(
        "10,000 routes: built in {build:.0} ms; one is found in {:.2} times what it takes among 100",
        many / few
    );
}
