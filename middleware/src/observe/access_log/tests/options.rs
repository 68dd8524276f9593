//! What is written, and what is left out.

use super::*;

#[test]
fn a_client_that_is_gone_has_nginx_s_status_where_that_is_asked_for() {
    let app = Application::new(|request: Request| match request.path() {
        "/never" => enfilade_core::Reply::from_future(std::future::pending::<()>()),
        "/fails" => Body::new(Chunks(vec![Ok("abc"), Err("cut")]))
            .into_response()
            .into(),
        _ => enfilade_core::Reply::new("whole"),
    });
    for (is_asked, expected) in [
        (
            false,
            [
                "200 X gone 0",
                "499 X gone 0",
                "200 X failed 3",
                "200 + complete 5",
            ],
        ),
        (
            true,
            [
                "499 X gone 0",
                "499 X gone 0",
                "200 X failed 3",
                "200 + complete 5",
            ],
        ),
    ] {
        let memory = Memory::default();
        let log = AccessLog::format("%s %X %{outcome}x %B").unwrap();
        let log = if is_asked {
            log.client_gone_as_499()
        } else {
            log
        };
        let app = app.clone().wrap(log.writer(memory.clone()));
        drop(pollster::block_on(app.call(Request::get("/"))));
        drop(app.call(Request::get("/never")));
        for target in ["/fails", "/"] {
            let body = pollster::block_on(app.call(Request::get(target))).into_body();
            drop(pollster::block_on(body.collect(100)));
        }
        drop(app);
        assert_eq!(memory.lines(), expected);
    }
}

#[test]
fn what_is_redacted_is_not_in_the_line() {
    let format = "%r|%q|%{Referer}i|%{Cookie}i|%{Authorization}i|%{X-Key}i|%{Location}o|%{Set-Cookie}o|%{a}C|\
                  %{HTTP_COOKIE}e|%{QUERY_STRING}e|%{REQUEST_URI}e|%{Proxy-Authorization}i";
    let app = Application::new(|_: Request| {
        (
            [("location", "/x?token=3#token=4"), ("set-cookie", "a=5")],
            "",
        )
    });
    let headers: [(&str, &[u8]); 5] = [
        ("referer", b"http://h/?token=2&x=y"),
        ("cookie", b"a=6"),
        ("authorization", b"Basic 7"),
        ("x-key", b"8"),
        ("x-key", b"9"),
    ];
    let sent = || request("GET", "/?x=1&token=s", &headers);
    let log = || AccessLog::format(format).unwrap();
    assert_eq!(
        line_of(log(), &app, sent()),
        "GET /?x=1&token=s HTTP/1.1|?x=1&token=s|http://h/?token=2&x=y|***|***|8, 9|/x?token=3#token=4|***|6|***|\
         x=1&token=s|/?x=1&token=s|-"
    );
    let log = || {
        log()
            .redact_query("token")
            .redact_header(HeaderName::from_static("x-key"))
    };
    assert_eq!(
        line_of(
            log().insecure_show_header(&http::header::COOKIE),
            &app,
            sent()
        ),
        "GET /?x=1&token=*** HTTP/1.1|?x=1&token=***|http://h/?token=***&x=y|a=6|***|***|/x?token=***#token=***|***|6|\
         a=6|x=1&token=***|/?x=1&token=***|-"
    );
    let absolute = request("GET", "http://h/?token=s", &[]);
    let log = AccessLog::format("%r").unwrap().redact_query("token");
    assert_eq!(
        line_of(log, &app, absolute),
        "GET http://h/?token=*** HTTP/1.1"
    );
    let log = AccessLog::json_of([("target", "%U%q")])
        .unwrap()
        .redact_query("token");
    assert_eq!(
        line_of(log, &app, sent()),
        r#"{"target":"/?x=1&token=***"}"#
    );
}

#[test]
fn the_user_of_basic_credentials_is_shown_where_that_is_asked_for() {
    let aladdin: (&str, &[u8]) = ("authorization", b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    let forged: (&str, &[u8]) = ("authorization", b"Basic YSIgYltjCmQ6eA==");
    let format = || AccessLog::format("%u").unwrap();
    for (log, header, inputs, expected) in [
        (format(), aladdin, None, "-"),
        (format().unverified_basic_user(), aladdin, None, "Aladdin"),
        (
            format().unverified_basic_user(),
            aladdin,
            Some("ada"),
            "ada",
        ),
        (
            format().unverified_basic_user(),
            forged,
            None,
            r#"a\"\x20b\x5bc\x0ad"#,
        ),
        (
            format().unverified_basic_user(),
            ("accept", b"x"),
            None,
            "-",
        ),
    ] {
        for is_outer in [true, false] {
            let inputs = inputs.map(RemoteUser::new);
            let mut sent = request("GET", "/", &[header]);
            if let Some(user) = inputs.clone().filter(|_| is_outer) {
                sent.extensions_mut().insert(user);
            }
            let app = Application::new(move |_: Request| {
                let mut response = "foobar".into_response();
                if let Some(user) = inputs.clone().filter(|_| !is_outer) {
                    response.extensions_mut().insert(user);
                }
                response
            });
            assert_eq!(line_of(log.clone(), &app, sent), expected);
        }
    }
}

#[test]
fn an_error_is_shown_with_its_causes() {
    fn panics() -> &'static str {
        panic!("boom\nforged")
    }
    let io = |text: &'static str| std::io::Error::other(text);
    let failing = |error: HttpError| {
        let error = std::sync::Mutex::new(Some(error));
        Application::new(move |_: Request| error.lock().unwrap().take().unwrap())
    };
    let not_found = HttpError::new(StatusCode::NOT_FOUND).message("no such shelf");
    for (app, expected) in [
        (foobar(), "-"),
        (
            Application::new(|_: Request| panics())
                .wrap(crate::errors::catch_panic::CatchPanic::new()),
            r"panicked: boom\x0aforged",
        ),
        (failing(HttpError::from(io("disk full"))), "disk full"),
        (
            failing(HttpError::from(std::io::Error::other(Outer(io(
                "disk full",
            ))))),
            "cannot save: disk full",
        ),
        (failing(not_found), "404 no such shelf"),
    ] {
        let log = AccessLog::format("%{error}x").unwrap();
        let line = line_of(log, &app, request("GET", "/", &[]));
        assert_eq!(line, expected);
    }
}

/// An error with a cause.
#[derive(Debug)]
struct Outer(io::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot save")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn statuses() -> Application {
    Application::new(|request: Request| {
        let status = request.path().trim_start_matches('/').parse().ok();
        StatusCode::from_u16(status.unwrap_or(200)).unwrap()
    })
}

#[test]
fn requests_are_left_out_by_status() {
    let log = AccessLog::format("%s")
        .unwrap()
        .filter_status(|status| status.is_server_error());
    let requests = ["/200", "/404", "/500", "/503"].map(|target| request("GET", target, &[]));
    assert_eq!(lines_of(log, &statuses(), requests.into()), ["500", "503"]);
}

#[test]
fn health_checks_are_left_out_by_one_word() {
    let log = AccessLog::format("%U%q %s")
        .unwrap()
        .without_health_checks();
    let app = Application::new(|request: Request| match request.path() {
        "/readyz" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    });
    let targets = ["/healthz", "/readyz", "/healthz?x", "/livez", "/"];
    let requests = targets.map(|target| request("GET", target, &[]));
    let lines = lines_of(log, &app, requests.into());
    assert_eq!(lines, ["/readyz 503", "/healthz?x 200", "/ 200"]);
}

#[test]
fn a_share_of_the_requests_is_kept() {
    let memory = Memory::default();
    let log = AccessLog::common().sample(0.1).writer(memory.clone());
    let app = foobar().wrap(log.when_full(WhenFull::Wait));
    for _ in 0..1_000 {
        drop(pollster::block_on(app.call(Request::get("/"))));
    }
    drop(app);
    assert!((70..130).contains(&memory.lines().len()));
}

#[test]
fn is_described_with_its_options() {
    let log = AccessLog::json()
        .without_health_checks()
        .sample(0.5)
        .filter(|_| true)
        .client_gone_as_499()
        .unverified_basic_user()
        .when_full(WhenFull::Wait)
        .redact_query("secret name")
        .utc_offset(UtcOffset::from_hms(5, 30, 0).unwrap());
    assert!(!format!("{log:?}").is_empty());
    assert_eq!(
        foobar().wrap(log).describe().to_string().lines().next(),
        Some(
            "AccessLog (format: json, offset: +05:30:00, sample: 0.5, filter: function, health checks: no, client gone: 499, \
             basic user: unverified, when full: wait)"
        )
    );
}

#[test]
fn a_line_that_waits_is_not_lost() {
    struct Slow(Memory);
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(20));
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let memory = Memory::default();
    let log = AccessLog::common().when_full(WhenFull::Wait);
    let log = log.writer(Slow(memory.clone()));
    let dropped = log.dropped();
    let app = foobar().wrap(log);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    drop(pollster::block_on(app.call(Request::get("/"))));
                }
            });
        }
    });
    drop(app);
    assert_eq!((dropped.count(), memory.lines().len()), (0, 20_000));
}

#[test]
fn a_writer_that_is_gone_holds_nobody_up_who_would_wait() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("a broken writer")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let log = AccessLog::common().when_full(WhenFull::Wait).writer(Broken);
    let dropped = log.dropped();
    let app = foobar().wrap(log);
    for _ in 0..10_000 {
        drop(pollster::block_on(app.call(Request::get("/"))));
    }
    assert!(dropped.count() > 5_000);
}

#[test]
fn trouble_is_told_and_counted() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let told = Memory::default();
    let log = AccessLog::json().writer(Full).error_log(told.clone());
    let dropped = log.dropped();
    let app = foobar().wrap(log);
    for _ in 0..3 {
        drop(pollster::block_on(app.call(Request::get("/"))));
        let before = dropped.count();
        while dropped.count() == before && dropped.count() < 1 {
            std::thread::yield_now();
        }
    }
    drop(app);
    assert_eq!(dropped.count(), 3);
    // Once a minute.
    assert_eq!(told.lines(), ["access log: 1 lines lost: no storage space"]);
}
