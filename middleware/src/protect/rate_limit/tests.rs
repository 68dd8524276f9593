use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use enfilade_core::{Body, Connection, HttpError};
use enfilade_testing::laws::Check;
use enfilade_testing::{Client, Lint};
use http::Method;
use proptest::prelude::*;

use super::*;

const USER: HeaderName = HeaderName::from_static("x-user");

/// A time that the test decides, in milliseconds.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn set(&self, milliseconds: u64) {
        self.0.store(milliseconds, Ordering::SeqCst);
    }

    fn limit(&self, quota: Quota) -> RateLimit {
        let clock = self.clone();
        RateLimit::new(quota).timer(move || Duration::from_millis(clock.0.load(Ordering::SeqCst)))
    }
}

fn client(limit: RateLimit) -> Client {
    let app = Application::new(|_: Request| "x").wrap(Lint::new());
    Client::new(app.wrap(limit).wrap(Lint::new()))
}

fn status(client: &Client, headers: &[(&str, &str)]) -> u16 {
    let request = headers
        .iter()
        .fold(client.get("/"), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.send().status().as_u16()
}

fn by_peer(client: &Client, peer: &str) -> u16 {
    let request = client.get("/").peer(peer.parse().unwrap());
    request.send().status().as_u16()
}

/// The four numbers of the fields, and `Retry-After`.
fn numbers(client: &Client) -> (u16, String, Option<String>) {
    let response = client.get("/").send();
    let limit = response.header("ratelimit").unwrap().to_owned();
    let retry = response.header("retry-after").map(str::to_owned);
    (response.status().as_u16(), limit, retry)
}

#[test]
fn a_client_sends_so_many_and_then_as_they_come_back() {
    let clock = Clock::default();
    let client = client(clock.limit(Quota::per_minute(3)));
    for (at, status, limit, retry) in [
        (0, 200, "r=2;t=20", None),
        (0, 200, "r=1;t=20", None),
        (5_000, 200, "r=0;t=15", None),
        (5_000, 429, "r=0;t=15", Some("15")),
        (19_001, 429, "r=0;t=1", Some("1")),
        (19_999, 429, "r=0;t=1", Some("1")),
        (20_000, 200, "r=0;t=20", None),
        (39_999, 429, "r=0;t=1", Some("1")),
        // All came back, and no more than that.
        (1_000_000, 200, "r=2;t=20", None),
        (1_000_000, 200, "r=1;t=20", None),
        (1_000_000, 200, "r=0;t=20", None),
        (1_000_000, 429, "r=0;t=20", Some("20")),
    ] {
        clock.set(at);
        let limit = format!("\"default\";{limit}");
        let expected = (status, limit, retry.map(str::to_owned));
        assert_eq!(numbers(&client), expected, "at {at}");
    }
}

#[test]
fn quotas_and_their_fields() {
    let day = Duration::from_secs(24 * 60 * 60);
    let zero = Quota::per_second(0);
    for (quota, shown, policy, limit) in [
        (Quota::per_second(10), "10 in 1s", "q=10;w=1", "r=9;t=1"),
        (
            Quota::per_minute(100),
            "100 in 60s",
            "q=100;w=60",
            "r=99;t=1",
        ),
        (Quota::per_hour(7), "7 in 3600s", "q=7;w=3600", "r=6;t=515"),
        (
            Quota::new(1, day).unwrap(),
            "1 in 86400s",
            "q=1;w=86400",
            "r=0;t=86400",
        ),
        (
            Quota::per_second(10).burst(50),
            "10 in 1s, 50 at once",
            "q=50;w=5",
            "r=49;t=1",
        ),
        (
            Quota::per_minute(60).burst(1),
            "60 in 60s, 1 at once",
            "q=1;w=1",
            "r=0;t=1",
        ),
        (
            Quota::per_second(u32::MAX),
            "4294967295 in 1s",
            "q=4294967295;w=1",
            "r=4294967294;t=1",
        ),
        (zero, "0 in 1s", "q=0;w=1", "r=0;t=1"),
        (zero.burst(5), "0 in 1s", "q=0;w=1", "r=0;t=1"),
        (
            Quota::per_hour(9).burst(0),
            "9 in 3600s, 0 at once",
            "q=0;w=3600",
            "r=0;t=3600",
        ),
    ] {
        assert_eq!(quota.to_string(), shown);
        let response = client(RateLimit::new(quota)).get("/").send();
        let found = ["ratelimit-policy", "ratelimit"].map(|name| response.header(name).unwrap());
        assert_eq!(
            found,
            [policy, limit].map(|value| format!("\"default\";{value}"))
        );
        let status = if quota.capacity() == 0 { 429 } else { 200 };
        assert_eq!(response.status(), status, "{shown}");
    }
    for period in [Duration::ZERO, Duration::MAX, 367 * day] {
        assert_eq!(
            Quota::new(1, period).unwrap_err().kind(),
            crate::error::ErrorKind::Quota
        );
    }
    // No sum of times is too large.
    let slow = Quota::new(1, 366 * day).unwrap().burst(u32::MAX);
    assert_eq!(slow.capacity(), 72);
    assert_eq!(slow.draw(Duration::MAX).0.wait(), 366 * day);
}

#[test]
fn a_port_is_no_client_and_a_network_is_one() {
    let cases: [(u8, &[(&str, u16)]); 3] = [
        (
            64,
            &[
                ("192.0.2.1:1000", 200),
                ("192.0.2.1:1001", 429),
                ("[::ffff:192.0.2.1]:1002", 429),
                ("192.0.2.2:1000", 200),
                ("[2001:db8:0:1::1]:1", 200),
                ("[2001:db8:0:1:ffff::2]:1", 429),
                ("[2001:db8:0:2::1]:1", 200),
            ],
        ),
        (
            48,
            &[("[2001:db8:0:1::1]:1", 200), ("[2001:db8:0:2::1]:1", 429)],
        ),
        (
            128,
            &[
                ("[2001:db8::1]:1", 200),
                ("[2001:db8::2]:1", 200),
                ("[2001:db8::2]:2", 429),
            ],
        ),
    ];
    for (bits, peers) in cases {
        let client = client(RateLimit::new(Quota::per_hour(1)).ipv6_prefix(bits));
        for (peer, expected) in peers {
            assert_eq!(by_peer(&client, peer), *expected, "{peer} by /{bits}");
        }
    }
}

#[test]
fn the_client_is_who_a_proxy_named() {
    let app = Application::new(|_: Request| "x").wrap(RateLimit::new(Quota::per_hour(1)));
    let client =
        Client::new(app.wrap(crate::protect::proxy_fix::ProxyFix::trust_forwarded_hops(1)));
    for (named, expected) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 429)] {
        let forwarded = format!("for={named}");
        assert_eq!(status(&client, &[("forwarded", &forwarded)]), expected);
    }
}

#[test]
fn keys_by_header_and_by_function() {
    let by_header = client(RateLimit::new(Quota::per_hour(1)).by_header(USER));
    let long = "x".repeat(10_000);
    let other = "x".repeat(9_999) + "y";
    for (value, expected) in [
        ("1", 200),
        ("2", 200),
        ("1", 429),
        (&long, 200),
        (&other, 200),
        (&long, 429),
    ] {
        assert_eq!(status(&by_header, &[("x-user", value)]), expected);
    }
    let by_number = RateLimit::new(Quota::per_hour(1))
        .by(|request| request.path().strip_prefix('/')?.parse::<u64>().ok());
    let by_number = client(by_number);
    for (path, expected) in [
        ("/1", 200),
        ("/2", 200),
        ("/1", 429),
        ("/01", 429),
        ("/x", 200),
        ("/", 429),
    ] {
        assert_eq!(by_number.get(path).send().status(), expected, "{path}");
    }
}

#[test]
fn what_has_no_key_shares_one_unless_told_otherwise() {
    let lines: [&[(&str, &str)]; 3] = [&[], &[("x-user", "")], &[("x-user", "1"), ("x-user", "2")]];
    for (choice, expected) in [
        (WhenNoKey::Share, [200, 429, 429]),
        (WhenNoKey::Refuse, [400, 400, 400]),
        (WhenNoKey::Pass, [200, 200, 200]),
    ] {
        let limit = RateLimit::new(Quota::per_hour(1)).by_header(USER);
        let client = client(limit.when_no_key(choice));
        assert_eq!(
            lines.map(|headers| status(&client, headers)),
            expected,
            "{choice:?}"
        );
        // None of them is the key of anybody.
        for key in ["1", "2", "-", "none"] {
            assert_eq!(status(&client, &[("x-user", key)]), 200, "{key}");
        }
    }
}

#[test]
fn a_quota_for_each_key() {
    let clock = Clock::default();
    let limit = clock
        .limit(Quota::per_second(1))
        .by_header(USER)
        .quota_by(|request| {
            let user = request.headers().get(USER)?;
            (user == "slow").then_some(Quota::per_hour(1))
        });
    let client = client(limit);
    for (at, user, expected) in [
        (0, "slow", 200),
        (0, "fast", 200),
        (0, "fast", 429),
        (1_000, "fast", 200),
        (1_000, "slow", 429),
        (3_600_000, "slow", 200),
    ] {
        clock.set(at);
        assert_eq!(
            status(&client, &[("x-user", user)]),
            expected,
            "{user} at {at}"
        );
    }
    let response = client.get("/").header("x-user", "slow").send();
    assert_eq!(
        response.header("ratelimit-policy"),
        Some("\"default\";q=1;w=3600")
    );
}

#[test]
fn a_better_quota_holds_at_once() {
    let clock = Clock::default();
    let paid = Arc::new(AtomicU32::new(0));
    let plan = paid.clone();
    let limit = clock
        .limit(Quota::per_hour(1))
        .quota_by(move |_| (plan.load(Ordering::SeqCst) > 0).then_some(Quota::per_second(1)));
    let client = client(limit);
    assert_eq!([status(&client, &[]), status(&client, &[])], [200, 429]);
    paid.store(1, Ordering::SeqCst);
    assert_eq!(numbers(&client).2.as_deref(), Some("1"));
    clock.set(1_000);
    assert_eq!(status(&client, &[]), 200);
}

#[test]
fn a_refusal_is_an_error_that_pages_can_show_and_nothing_is_done_for_it() {
    let called = Arc::new(AtomicU32::new(0));
    let count = called.clone();
    let synchronous = Application::new(move |_: Request| {
        count.fetch_add(1, Ordering::SeqCst);
        "x"
    });
    let inner = synchronous.clone();
    let asynchronous = Application::new(move |request: Request| {
        let inner = inner.clone();
        async move { inner.call(request).await }
    });
    for app in [synchronous, asynchronous] {
        called.store(0, Ordering::SeqCst);
        let app = app
            .wrap(Lint::new())
            .wrap(RateLimit::new(Quota::per_minute(1)));
        let client = Client::new(app.clone().wrap(Lint::new()));
        assert_eq!(
            client.get("/").send().header("ratelimit"),
            Some("\"default\";r=0;t=60")
        );
        let mut request = Request::get("/");
        *request.body_mut() = Body::from_iterator(std::iter::once_with(|| -> &str {
            panic!("it is not read")
        }));
        let reply = app.call(request);
        // Even where the application is asynchronous.
        let response = reply.try_into_response().unwrap();
        assert_eq!(
            (response.status().as_u16(), called.load(Ordering::SeqCst)),
            (429, 1)
        );
        let error = response.extensions().get::<Arc<HttpError>>().unwrap();
        assert_eq!(error.client_message(), Some("Try again in 60 s."));
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause, "the quota of 1 in 60s is used up");
        let page = Client::new(app.wrap(crate::errors::error_pages::ErrorPages::new()));
        let page = page
            .get("/")
            .header("accept", "application/problem+json")
            .send();
        assert_eq!(page.header("retry-after"), Some("60"));
        let problem: serde_json::Value = serde_json::from_str(&page.text()).unwrap();
        assert_eq!(problem["detail"], "Try again in 60 s.");
        let head = client.request(Method::HEAD, "/").send();
        assert_eq!((head.status().as_u16(), &*head.text()), (429, ""));
    }
}

#[test]
fn fields_are_shown_as_told() {
    let limit = || RateLimit::new(Quota::per_minute(2));
    let names = [
        "ratelimit-policy",
        "ratelimit",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ];
    let policy = Some("\"default\";q=2;w=60");
    let state = Some("\"default\";r=1;t=30");
    let own = r#""a\"b\\c";q=2;w=60"#;
    for (limit, expected) in [
        (limit(), [policy, state, None, None, None]),
        (limit().fields(false), [None; 5]),
        (
            limit().legacy_fields(true),
            [policy, state, Some("2"), Some("1"), Some("30")],
        ),
        (
            limit().fields(false).legacy_fields(true),
            [None, None, Some("2"), Some("1"), Some("30")],
        ),
        (
            limit().name(r#"a"b\c"#).unwrap(),
            [Some(own), Some(r#""a\"b\\c";r=1;t=30"#), None, None, None],
        ),
    ] {
        let client = client(limit);
        let response = client.get("/").send();
        assert_eq!(names.map(|name| response.header(name)), expected);
        client.get("/").send();
        let refused = client.get("/").send();
        let shown = names.map(|name| refused.header(name).is_some());
        assert_eq!(shown, expected.map(|value| value.is_some()));
        assert_eq!(refused.header("retry-after"), Some("30"));
    }
    for name in ["", "ä", "a\nb", "\u{7f}"] {
        assert!(limit().name(name).is_err(), "{name:?}");
    }
}

#[test]
fn two_limits_each_have_their_line() {
    let clock = Clock::default();
    let limit = |quota, name| clock.limit(quota).name(name).unwrap().legacy_fields(true);
    let second = limit(Quota::per_second(2), "burst");
    let hour = limit(Quota::per_hour(10), "hour");
    let app = Application::new(|_: Request| "x").wrap(second).wrap(hour);
    let client = Client::new(app.wrap(Lint::new()));
    let response = client.get("/").send();
    let lines = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(
        lines("ratelimit-policy"),
        ["\"burst\";q=2;w=1", "\"hour\";q=10;w=3600"]
    );
    assert_eq!(
        lines("ratelimit"),
        ["\"burst\";r=1;t=1", "\"hour\";r=9;t=360"]
    );
    assert_eq!(lines("x-ratelimit-remaining"), ["1"]);
    assert_eq!(lines("x-ratelimit-limit"), ["2"]);
}

#[test]
fn only_some_requests_count() {
    let limit = RateLimit::new(Quota::per_hour(1));
    let client = client(limit.only_if(|request| request.method() == Method::POST));
    for (method, expected) in [
        ("GET", 200),
        ("POST", 200),
        ("OPTIONS", 200),
        ("POST", 429),
        ("GET", 200),
    ] {
        let response = client.request(method.parse().unwrap(), "/").send();
        assert_eq!(response.status(), expected, "{method}");
        assert_eq!(response.header("ratelimit").is_some(), method == "POST");
    }
}

#[test]
fn clones_share_what_is_left_and_others_do_not() {
    let limit = RateLimit::new(Quota::per_hour(1));
    let first = client(limit.clone());
    let second = client(limit.clone().name("other").unwrap());
    assert_eq!([status(&first, &[]), status(&second, &[])], [200, 429]);
    let inner = Application::new(|_: Request| "x").wrap(limit);
    let again = inner.map_inner(&mut |app| app);
    assert_eq!(status(&Client::new(again), &[]), 429);
    assert_eq!(
        status(&client(RateLimit::new(Quota::per_hour(1))), &[]),
        200
    );
}

#[test]
fn it_describes_itself_without_keys() {
    let limit = RateLimit::new(Quota::per_minute(100).burst(5));
    let shown = |limit: RateLimit| {
        let app = Application::new(|_: Request| "x").wrap(limit);
        let text = app.describe().to_string();
        text.lines().next().unwrap().to_owned()
    };
    assert_eq!(
        shown(limit.clone()),
        "RateLimit (requests: 100, period: 60s, burst: 5, key: client address, IPv6 prefix: 64, name: default, keys: 100000)"
    );
    let limit = limit
        .by_header(USER)
        .quota_by(|_| None)
        .store(Fixed(QuotaState::refused(Duration::ZERO)));
    assert_eq!(
        shown(limit),
        "RateLimit (requests: 100, period: 60s, burst: 5, quota by: function, key: header x-user, name: default, store: its own)"
    );
    assert_eq!(format!("{:?}", QuotaKey::from("secret")), "QuotaKey(text)");
}

/// A store that says the same each time.
#[derive(Clone)]
struct Fixed(QuotaState);

impl QuotaStore for Fixed {
    fn take(&self, _: &QuotaRequest<'_>) -> QuotaResult {
        QuotaResult::new(self.0)
    }
}

/// A store that fails, now or later.
struct Broken {
    later: bool,
}

impl QuotaStore for Broken {
    fn take(&self, _: &QuotaRequest<'_>) -> QuotaResult {
        match self.later {
            false => QuotaResult::failed("the server is gone"),
            true => QuotaResult::from_future(async { Err("the server is gone".into()) }),
        }
    }
}

#[test]
fn a_store_that_fails_does_not_open_the_door_unless_told_to() {
    for later in [false, true] {
        for (choice, expected) in [
            (WhenStoreFails::CountHere, [200, 429]),
            (WhenStoreFails::Refuse, [503, 503]),
            (WhenStoreFails::Pass, [200, 200]),
        ] {
            let told = Arc::new(Mutex::new(Vec::new()));
            let log = told.clone();
            let limit = RateLimit::new(Quota::per_hour(1))
                .store(Broken { later })
                .when_store_fails(choice)
                .on_store_error(move |error| log.lock().unwrap().push(error.to_string()));
            let client = client(limit);
            assert_eq!(
                [status(&client, &[]), status(&client, &[])],
                expected,
                "{choice:?}"
            );
            assert_eq!(*told.lock().unwrap(), ["the server is gone"; 2]);
        }
    }
    let limit = RateLimit::new(Quota::per_hour(1)).store(Broken { later: false });
    assert_eq!(
        [(); 2]
            .map(|()| limit.clone())
            .map(|limit| status(&client(limit), &[])),
        [200, 429]
    );
}

#[test]
fn a_store_is_told_all_that_it_needs() {
    type Asked = Arc<Mutex<Vec<(String, Vec<u8>, Quota, Duration)>>>;
    struct Noting(Asked);
    impl QuotaStore for Noting {
        fn take(&self, ask: &QuotaRequest<'_>) -> QuotaResult {
            let asked = (
                ask.policy().to_owned(),
                ask.key().to_bytes(),
                *ask.quota(),
                ask.now(),
            );
            self.0.lock().unwrap().push(asked);
            QuotaResult::from_future(async { Ok(QuotaState::allowed(4, Duration::from_secs(2))) })
        }
    }
    let (clock, asked) = (Clock::default(), Asked::default());
    clock.set(7_000);
    let limit = clock.limit(Quota::per_hour(1)).name("api").unwrap();
    let client = client(limit.by_header(USER).store(Noting(asked.clone())));
    let response = client.get("/").header("x-user", "7").send();
    assert_eq!(response.header("ratelimit"), Some("\"api\";r=4;t=2"));
    let expected = (
        "api".to_owned(),
        b"t7".to_vec(),
        Quota::per_hour(1),
        Duration::from_secs(7),
    );
    assert_eq!(*asked.lock().unwrap(), [expected]);
}

#[test]
fn a_request_aborted_while_the_store_works_gets_no_response() {
    struct Silent;
    impl QuotaStore for Silent {
        fn take(&self, _: &QuotaRequest<'_>) -> QuotaResult {
            QuotaResult::from_future(std::future::pending())
        }
    }
    let app = Application::new(|_: Request| -> &str { panic!("it is not called") });
    let app = app.wrap(RateLimit::new(Quota::per_hour(1)).store(Silent));
    let mut reply = Box::pin(app.call(Request::get("/")).into_future());
    let polled = reply.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending));
}

#[test]
fn a_clock_that_goes_back_neither_panics_nor_gives_more() {
    let clock = Clock::default();
    let client = client(clock.limit(Quota::per_minute(2)));
    for (at, expected) in [
        (100_000, 200),
        (50_000, 429),
        (0, 429),
        (29_999, 429),
        (30_000, 200),
        (u64::MAX, 200),
        (0, 429),
        (60_000, 200),
    ] {
        clock.set(at);
        assert_eq!(status(&client, &[]), expected, "at {at}");
    }
}

#[test]
fn a_million_keys_take_no_more_room_than_was_given() {
    for (max_keys, keys) in [
        (1, 9_000),
        (10, 9_000),
        (5_000, 90_000),
        (100_000, 1_000_000),
    ] {
        let buckets = Buckets::new(max_keys);
        let quota = Quota::per_hour(1);
        let mut most = 0;
        for key in 0..keys {
            let draw = || {
                buckets
                    .draw(&key.into(), &quota, Duration::ZERO)
                    .is_allowed()
            };
            assert!(draw(), "{key} is a new one");
            // One that was there a moment ago has not been forgotten.
            if key % 1_000 == 0 {
                assert!(!draw(), "{key} of {max_keys}");
                most = most.max(buckets.len());
            }
        }
        assert!(
            most <= max_keys && most * 10 >= max_keys * 9,
            "{most} of {max_keys}"
        );
        let bytes = buckets.bytes();
        assert!(
            bytes < 1_024 + max_keys * 200,
            "{bytes} bytes for {max_keys} keys"
        );
    }
}

#[test]
fn one_who_is_refused_again_and_again_is_not_forgotten_for_many_who_come_once() {
    let buckets = Buckets::new(1_000);
    let quota = Quota::per_hour(1);
    let mut allowed = 0;
    for key in 0..200_000_u64 {
        buckets.draw(&key.into(), &quota, Duration::ZERO);
        if key % 50 == 0 {
            let state = buckets.draw(&"busy".into(), &quota, Duration::ZERO);
            allowed += u32::from(state.is_allowed());
        }
    }
    assert_eq!(allowed, 1);
}

#[test]
fn threads_together_take_no_more_than_there_is() {
    let app = Application::new(|_: Request| "x");
    let app = app.wrap(Clock::default().limit(Quota::per_hour(500)));
    let request = |key: u16| {
        let mut request = Request::get("/");
        let peer = ([192, 0, 2, 1], key).into();
        request.set_connection(Connection::default().with_peer(peer));
        pollster::block_on(app.call(request)).status() == 200
    };
    let allowed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|at| scope.spawn(move || (0..500).filter(|_| request(at)).count()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(allowed, 500);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// In any time, no more is let through than the burst and what came back in it, whatever way the clock goes.
    #[test]
    fn no_more_than_the_burst_and_what_came_back(
        requests in 1_u32..2_000,
        period in 1_u64..100_000_000_000,
        burst in 1_u32..50,
        steps in prop::collection::vec((-3_000_i64..10_000, 0_u32..8), 1..200),
    ) {
        let quota = Quota::new(requests, Duration::from_nanos(period)).unwrap().burst(burst);
        let interval = quota.interval().as_nanos();
        let buckets = Buckets::new(10);
        // Each step is a part of an interval, forward or back, and some requests.
        let (mut now, mut forward) = (1_u128 << 60, 0_u128);
        let mut allowed: Vec<u128> = Vec::new();
        for (part, count) in steps {
            let step = interval * u128::from(part.unsigned_abs()) / 2_000;
            match part < 0 {
                true => now -= step,
                false => (now, forward) = (now + step, forward + step),
            }
            for _ in 0..count {
                let at = Duration::from_nanos(u64::try_from(now).unwrap());
                if buckets.draw(&QuotaKey::NONE, &quota, at).is_allowed() {
                    allowed.push(forward);
                }
            }
        }
        for (first, begin) in allowed.iter().enumerate() {
            for (last, end) in allowed.iter().enumerate().skip(first) {
                let most = u128::from(burst) + (end - begin) / interval;
                prop_assert!((last - first + 1) as u128 <= most);
            }
        }
    }

    /// A client that waits for `Retry-After` is allowed, and one that comes a moment before is not.
    #[test]
    fn the_wait_is_exact(
        requests in 1_u32..5_000,
        period in 1_u64..1 << 50,
        burst in 0_u32..5_000,
        debt in 0_u64..1 << 60,
    ) {
        let quota = Quota::new(requests, Duration::from_nanos(period)).unwrap().burst(burst);
        let (state, next) = quota.draw(Duration::from_nanos(debt));
        prop_assert!(state.remaining() < burst.max(1));
        prop_assert!(next <= quota.refill_time() || burst == 0);
        if burst > 0 {
            prop_assert!(!state.wait().is_zero());
            let after = |wait: Duration| quota.draw(next.saturating_sub(wait)).0;
            let more = state.remaining() + u32::from(state.is_allowed());
            let early = after(state.wait() - Duration::from_nanos(1));
            let then = after(state.wait());
            prop_assert!(then.is_allowed());
            match state.is_allowed() {
                // The one that came back is taken.
                true => prop_assert_eq!((early.is_allowed(), then.remaining() + 1), (more > 1, more)),
                false => prop_assert_eq!((early.is_allowed(), then.remaining()), (false, 0)),
            }
        }
    }
}

#[test]
fn keeps_the_laws() {
    let state = QuotaState::allowed(7, Duration::from_secs(1));
    let limit = RateLimit::new(Quota::per_second(10)).store(Fixed(state));
    enfilade_testing::laws::check(limit.clone().legacy_fields(true));
    enfilade_testing::laws::check(RateLimit::new(Quota::per_second(u32::MAX)).fields(false));
    let varies = Check::new(RateLimit::new(Quota::per_second(1_000_000)));
    varies.varies([fields::LIMIT]).run();
    let refused = QuotaState::refused(Duration::from_secs(9));
    Check::new(limit.store(Fixed(refused))).never_calls().run();
}
