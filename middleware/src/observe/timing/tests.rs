use std::sync::atomic::{AtomicU64, Ordering};

use enfilade_testing::laws::Check;
use enfilade_testing::{Client, Lint};

use super::*;

/// A timer on which each look takes so long.
fn ticking(step: Duration) -> impl Fn() -> Duration + Send + Sync + 'static {
    let looks = AtomicU64::new(0);
    move || step * u32::try_from(looks.fetch_add(1, Ordering::Relaxed)).unwrap()
}

fn client(app: Application, timing: Timing) -> Client {
    Client::new(app.wrap(Lint::new()).wrap(timing).wrap(Lint::new()))
}

fn hello() -> Application {
    Application::new(|_: Request| "Hello")
}

#[test]
fn both_headers_tell_the_same_time() {
    let cases = [
        (Duration::ZERO, "total;dur=0.000", "0.000000"),
        (Duration::from_nanos(1_999), "total;dur=0.001", "0.000001"),
        (Duration::from_millis(53), "total;dur=53.000", "0.053000"),
        (Duration::from_secs(90), "total;dur=90000.000", "90.000000"),
    ];
    let pending = Application::new(async |_: Request| "Hello");
    for (step, timing, runtime) in cases {
        for app in [hello(), pending.clone()] {
            let response = client(app, Timing::new().timer(ticking(step)))
                .get("/")
                .send();
            assert_eq!(response.header("server-timing"), Some(timing));
            assert_eq!(response.header("x-runtime"), Some(runtime));
        }
    }
}

#[test]
fn a_timer_that_runs_backward_measures_nothing() {
    let looks = AtomicU64::new(9);
    let timer = move || Duration::from_secs(looks.fetch_sub(1, Ordering::Relaxed));
    let response = client(hello(), Timing::new().timer(timer)).get("/").send();
    assert_eq!(response.header("x-runtime"), Some("0.000000"));
}

#[test]
fn either_header_can_be_switched_off() {
    for (server_timing, x_runtime) in [(true, false), (false, true), (false, false)] {
        let timing = Timing::new()
            .server_timing(server_timing)
            .x_runtime(x_runtime);
        let response = client(hello(), timing).head("/").send();
        assert_eq!(response.header("server-timing").is_some(), server_timing);
        assert_eq!(response.header("x-runtime").is_some(), x_runtime);
    }
}

#[test]
fn what_the_application_says_stays() {
    let own = [
        ("server-timing", "app;dur=1"),
        ("x-runtime", "0.5"),
        ("x-a", "1"),
    ];
    let app = Application::new(move |_: Request| (own, "Hello"));
    let response = client(app, Timing::new().timer(|| Duration::ZERO))
        .get("/")
        .send();
    let timings: Vec<_> = response.headers().get_all("server-timing").iter().collect();
    assert_eq!(timings, ["app;dur=1", "total;dur=0.000"]);
    let runtimes: Vec<_> = response.headers().get_all("x-runtime").iter().collect();
    assert_eq!(runtimes, ["0.5"]);
    assert_eq!(response.header("x-a"), Some("1"));
}

#[test]
fn entries_are_well_formed_whatever_they_are_made_of() {
    let name_of_64 = "x".repeat(64);
    let long = "x".repeat(200);
    let cases: [(&str, Option<&str>, Option<u64>, &str); 9] = [
        ("db", None, Some(53_200), "db;dur=53.200"),
        ("db", Some("Reads"), Some(7), "db;desc=\"Reads\";dur=0.007"),
        ("cache", Some("hit"), None, "cache;desc=\"hit\""),
        ("a b,c;d=\"é", None, Some(0), "a_b_c_d____;dur=0.000"),
        ("x", Some("\"\\"), None, r#"x;desc="\"\\""#),
        ("x", Some("a\r\nb\0é"), None, "x;desc=\"a??b??\""),
        ("x", Some(""), None, "x;desc=\"\""),
        (&long, None, None, &name_of_64),
        ("!#$%&'*+-.^_`|~", None, None, "!#$%&'*+-.^_`|~"),
    ];
    for (name, description, micros, expected) in cases {
        let mut text = String::new();
        let duration = micros.map(Duration::from_micros);
        push_entry(&mut text, name, description, duration);
        assert_eq!(text, expected);
    }
    let mut text = String::new();
    push_entry(&mut text, "x", Some(&format!("{}é", "y".repeat(127))), None);
    assert_eq!(text, format!("x;desc=\"{}\"", "y".repeat(127)));
}

#[test]
fn components_add_up_to_a_number_of_entries() {
    let app = Application::new(|request: Request| {
        let timings = ServerTiming::of(&request);
        timings.add("", Duration::ZERO);
        for at in 0..10_u64 {
            let timings = timings.clone();
            let add = move || timings.add("step", Duration::from_millis(at));
            std::thread::spawn(add).join().unwrap();
        }
        format!("{timings:?}")
    });
    let timing = Timing::new().limit(2).timer(|| Duration::ZERO);
    let response = client(app.clone(), timing).get("/").send();
    let expected = "total;dur=0.000, step;dur=0.000, step;dur=1.000";
    assert_eq!(response.header("server-timing"), Some(expected));
    assert_eq!(
        response.text(),
        "ServerTiming(step;dur=0.000, step;dur=1.000)"
    );
    let response = client(app, Timing::new().limit(0)).get("/").send();
    assert!(!response.header("server-timing").unwrap().contains("step"));
}

#[test]
fn a_stopwatch_measures_by_the_same_timer() {
    let app = Application::new(async |request: Request| {
        let timings = ServerTiming::of(&request);
        let (outer, inner) = (timings.start("outer"), timings.start("inner"));
        drop(inner);
        drop(outer);
        "Hello"
    });
    let timing = Timing::new().timer(ticking(Duration::from_millis(1)));
    let response = client(app, timing).get("/").send();
    let expected = "total;dur=5.000, inner;dur=1.000, outer;dur=3.000";
    assert_eq!(response.header("server-timing"), Some(expected));
}

#[test]
fn those_to_whom_nothing_is_shown_cost_nothing() {
    let app = Application::new(|request: Request| {
        let timings = ServerTiming::of(&request);
        timings.add("secret", Duration::ZERO);
        drop(timings.start("secret"));
        format!("{timings:?}")
    });
    let staff = |request: &Request| request.headers().contains_key("x-staff");
    let client = client(app, Timing::new().shown_to(staff));
    let response = client.get("/").send();
    assert_eq!(response.header("server-timing"), None);
    assert_eq!(response.header("x-runtime"), None);
    assert_eq!(response.text(), "ServerTiming()");
    let response = client.get("/").header("x-staff", "1").send();
    assert!(response.header("server-timing").is_some());
    assert!(response.header("x-runtime").is_some());
}

#[test]
fn of_two_each_has_its_line() {
    let app = Application::new(|request: Request| {
        ServerTiming::of(&request).add("db", Duration::ZERO);
        "Hello"
    });
    let still = || Timing::new().timer(|| Duration::ZERO);
    let app = app.wrap(still().name("inner").unwrap());
    let response = client(app, still()).get("/").send();
    let timings: Vec<_> = response.headers().get_all("server-timing").iter().collect();
    assert_eq!(
        timings,
        ["inner;dur=0.000, db;dur=0.000", "total;dur=0.000"]
    );
}

#[test]
fn one_that_sends_no_entries_leaves_them_to_the_one_outside() {
    let app = Application::new(|request: Request| {
        ServerTiming::of(&request).add("db", Duration::ZERO);
        "Hello"
    });
    let app = app.wrap(Timing::new().server_timing(false));
    let response = client(app, Timing::new().timer(|| Duration::ZERO))
        .get("/")
        .send();
    let expected = "total;dur=0.000, db;dur=0.000";
    assert_eq!(response.header("server-timing"), Some(expected));
}

#[test]
fn a_name_is_a_token() {
    for name in ["", "a b", "a;b", "é"] {
        let error = Timing::new().name(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MetricName);
        assert_eq!(error.to_string(), format!("{name:?} is not a token"));
    }
}

#[test]
fn is_described_with_its_headers() {
    fn inner(_: Request) -> &'static str {
        "x"
    }
    let app = Application::new(inner).wrap(Timing::new());
    assert_eq!(
        app.describe().to_string(),
        "Timing (headers: [server-timing, x-runtime], name: total)\n└─ inner\n"
    );
    let app = Application::new(inner).wrap(Timing::new().x_runtime(false));
    assert!(app.describe().to_string().contains("[server-timing], name"));
    assert!(app.call(Request::get("/")).is_ready());
}

#[test]
fn keeps_the_laws() {
    Check::new(Timing::new())
        .varies([SERVER_TIMING, X_RUNTIME])
        .run();
}
