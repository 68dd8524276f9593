//! The language of formats, each directive of it.

use super::*;

#[test]
fn the_common_and_combined_formats() {
    let agent: (&str, &[u8]) = ("user-agent", b"curl/8.0");
    let from: (&str, &[u8]) = ("referer", b"http://example.com/");
    let cases: [(Request, &str, &str); 13] = [
        (request("GET", "/", &[]), "GET / HTTP/1.1", r#""-" "-""#),
        (
            request("GET", "/", &[from, agent]),
            "GET / HTTP/1.1",
            r#""http://example.com/" "curl/8.0""#,
        ),
        (
            request("GET", "/a%20b%0Ac", &[]),
            "GET /a%20b%0Ac HTTP/1.1",
            r#""-" "-""#,
        ),
        (
            request("G!ET", "/hello", &[]),
            "G!ET /hello HTTP/1.1",
            r#""-" "-""#,
        ),
        (
            request("GET", "http://example.com/x?y", &[]),
            "GET http://example.com/x?y HTTP/1.1",
            r#""-" "-""#,
        ),
        (
            request("CONNECT", "example.com:443", &[]),
            "CONNECT example.com:443 HTTP/1.1",
            r#""-" "-""#,
        ),
        (
            request("OPTIONS", "*", &[]),
            "OPTIONS * HTTP/1.1",
            r#""-" "-""#,
        ),
        (
            request("GET", "/\"é", &[]),
            r#"GET /\"é HTTP/1.1"#,
            r#""-" "-""#,
        ),
        (
            request("GET", "/", &[("user-agent", b"a\\")]),
            "GET / HTTP/1.1",
            r#""-" "a\\""#,
        ),
        (
            request("GET", "/", &[("user-agent", "café".as_bytes())]),
            "GET / HTTP/1.1",
            r#""-" "café""#,
        ),
        (
            request("GET", "/", &[("referer", b"http://x/\"y")]),
            "GET / HTTP/1.1",
            r#""http://x/\"y" "-""#,
        ),
        (
            request("GET", "/", &[("referer", "\u{9b}31mred".as_bytes())]),
            "GET / HTTP/1.1",
            r#""\xc2\x9b31mred" "-""#,
        ),
        (
            request(
                "GET",
                "/",
                &[("user-agent", b"one"), ("user-agent", b"two")],
            ),
            "GET / HTTP/1.1",
            r#""-" "one, two""#,
        ),
    ];
    for (sent, line, rest) in cases {
        let head = sent.clone_head();
        let common = format!("{HEAD} \"{line}\" 200 6");
        assert_eq!(line_of(AccessLog::common(), &foobar(), head), common);
        let combined = line_of(AccessLog::combined(), &foobar(), sent);
        assert_eq!(combined, format!("{common} {rest}"));
    }
}

#[test]
fn a_request_over_http_2_has_the_line_it_would_have_had() {
    let mut sent = request("GET", "https://example.com:8080/x?y", &[]);
    *sent.version_mut() = Version::HTTP_2;
    let log = AccessLog::format("%r").unwrap();
    assert_eq!(line_of(log, &foobar(), sent), "GET /x?y HTTP/2.0");
}

#[test]
fn the_client_is_who_a_component_outside_found_out() {
    let log = AccessLog::format("%h %a %{c}a %p").unwrap();
    let mut sent = request("GET", "/", &[]);
    sent.set_client("203.0.113.5".parse().unwrap(), None);
    sent.set_scheme(Scheme::Https);
    sent.set_host("example.org").unwrap();
    let line = line_of(log, &foobar(), sent);
    assert_eq!(line, "203.0.113.5 203.0.113.5 192.0.2.7 443");
}

#[test]
fn every_directive() {
    let cases = [
        ("", ""),
        ("plain \t text é", "plain \t text é"),
        ("%%{r}a", "%{r}a"),
        ("100%%", "100%"),
        ("%h %a %{c}a", "192.0.2.7 192.0.2.7 192.0.2.7"),
        ("%l%l", "--"),
        ("%t", "[06/Nov/1994:08:49:37 +0000]"),
        ("%r", "GET /my/p%61th?foo=bar HTTP/1.1"),
        ("%m", "GET"),
        ("%U", "/my/p%61th"),
        ("%q", "?foo=bar"),
        ("%U%q %H", "/my/p%61th?foo=bar HTTP/1.1"),
        ("%v %V %p", "example.com example.com 8080"),
        ("%s %>s", "201 201"),
        ("%b %B", "1024 1024"),
        ("%{User-Agent}i", "ENFILADE"),
        ("%{user-agent}i", "ENFILADE"),
        ("%{Nope}i", "-"),
        ("%{X-Test}o %{x-twice}o %{Nope}o", "ttt 1, 2 -"),
        ("%T %{s}T %{ms}T %{us}T %D", "1 1 1500 1500042 1500042"),
        ("%X", "+"),
        ("%u", "-"),
        ("%B %h %s %m", "1024 192.0.2.7 201 GET"),
        ("%{outcome}x", "complete"),
        ("%{route}x", "/my/{*rest}"),
        ("%{id}x", "an-id"),
        ("%{error}x", "-"),
        ("%{%d/%b/%Y}t %{%H:%M:%S %z}t", "06/Nov/1994 08:49:37 +0000"),
        ("%{sec}t %{msec_frac}t", "784111777 000"),
        ("%{msec}t %{usec}t", "784111777000 784111777000000"),
        ("%{usec_frac}t", "000000"),
        ("%{begin:sec}t %{end:sec}t", "784111777 784111777"),
        ("%{rfc3339}t", "1994-11-06T08:49:37.000Z"),
        ("%{end:}t", "[06/Nov/1994:08:49:37 +0000]"),
        ("%{a}C %{b}C %{c}C %{nope}C", "1 2=3 4 -"),
        ("%{PATH_INFO}e %{HTTP_HOST}e", "/my/path example.com:8080"),
        ("%{QUERY_STRING}e %{NOPE}e", "foo=bar -"),
        // 33 + 24 + 22 + 27 + 18 + 2.
        ("%I", "118"),
        // 22 + 13 + 12 + 12 + 2 and the body.
        ("%O", "1085"),
    ];
    let app = Application::new(|_: Request| {
        let mut response = respond(201, vec![b'x'; 1024]);
        for (name, value) in [("x-test", "ttt"), ("x-twice", "1"), ("x-twice", "2")] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(name, value);
        }
        response
    });
    let app = crate::dispatch::router::Router::new()
        .get("/my/{*rest}", app)
        .build();
    let app = app.unwrap();
    for (format, expected) in cases {
        let headers: [(&str, &[u8]); 3] = [
            ("user-agent", b"ENFILADE"),
            ("cookie", b"a=1; b = 2=3 ;bad"),
            ("cookie", b"c=4; a=9"),
        ];
        let mut sent = request("GET", "/my/p%61th?foo=bar", &headers);
        let id = enfilade_core::RequestIdValue::new("an-id").unwrap();
        sent.extensions_mut().insert(id);
        let ticks = AtomicU64::new(0);
        let step = Duration::from_micros(1_500_042);
        let log = AccessLog::format(format).unwrap();
        let log =
            log.timer(move || step * u32::try_from(ticks.fetch_add(1, Ordering::Relaxed)).unwrap());
        assert_eq!(line_of(log, &app, sent), expected, "{format}");
    }
}

#[test]
fn what_is_not_there_is_a_dash_or_nobody_s_address() {
    let log = AccessLog::format("%h|%u|%U%q|%v|%p|%{x-empty}i|%b").unwrap();
    let mut sent = Request::get("/x");
    let empty = HeaderValue::from_static("");
    sent.headers_mut().insert("x-empty", empty);
    *sent.version_mut() = Version::HTTP_10;
    let app = Application::new(|_: Request| ());
    assert_eq!(line_of(log, &app, sent), "0.0.0.0|-|/x|-|80|-|-");
}

#[test]
fn the_host_is_without_its_port() {
    for (host, expected) in [
        ("example.com", "example.com"),
        ("example.com:80", "example.com"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
    ] {
        let mut sent = request("GET", "/", &[]);
        sent.headers_mut().insert("host", host.parse().unwrap());
        let log = AccessLog::format("%v").unwrap();
        assert_eq!(line_of(log, &foobar(), sent), expected);
    }
}

#[test]
fn a_mistake_in_a_format_has_its_place() {
    let cases = [
        ("%h %Z", "at byte 3: \"%Z\" is not a directive"),
        ("é%é", "at byte 2: \"%é\" is not a directive"),
        ("%h %", "at byte 3: nothing after \"%\""),
        (
            "%h \"%{Referer\"",
            "at byte 4: the brace of \"%{\" is not closed",
        ),
        ("%{Referer}", "at byte 0: no letter after \"%{Referer}\""),
        ("%{a b}i", "at byte 0: \"a b\" is not a header name"),
        ("%{}o", "at byte 0: \"\" is not a header name"),
        ("%i", "at byte 0: \"%i\" needs a header name: \"%{Name}i\""),
        ("a%{%n}t", "at byte 1: \"%n\" would break the line"),
        (
            "%C",
            "at byte 0: \"%C\" needs a cookie's name: \"%{name}C\"",
        ),
        (
            "%e",
            "at byte 0: \"%e\" needs a variable's name: \"%{name}e\"",
        ),
        ("%{}C", "at byte 0: \"%{}C\" names nothing"),
        ("%x", "at byte 0: \"%x\" needs a word: \"%{route}x\""),
        (
            "%{y}x",
            "at byte 0: \"y\" is not one of \"error\", \"route\", \"id\" and \"outcome\"",
        ),
        ("%^FA", "at byte 0: \"%^\" is not a directive"),
        ("%{tid}P", "at byte 0: \"%{tid}P\" is not a directive"),
        ("%>b", "at byte 0: \">\" stands only before \"s\""),
        (
            "%{min}T",
            "at byte 0: \"min\" is not a unit: \"s\", \"ms\" or \"us\"",
        ),
        ("%{x}h", "at byte 0: \"%{x}h\" is not a directive"),
        (
            "%h\n%b",
            "at byte 2: a control character, which would break the line",
        ),
        ("%400s", "at byte 0: \"%4\" is not a directive"),
    ];
    for (format, expected) in cases {
        let error = AccessLog::format(format).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LogFormat);
        assert_eq!(error.to_string(), format!("log format, {expected}"));
    }
}

#[test]
fn the_process_is_this_one() {
    let log = AccessLog::format("%P %{pid}P").unwrap();
    let line = line_of(log, &foobar(), request("GET", "/", &[]));
    let id = std::process::id();
    assert_eq!(line, format!("{id} {id}"));
}

#[test]
fn the_combined_format_with_hosts() {
    let line = line_of(
        AccessLog::vhost_combined(),
        &foobar(),
        request("GET", "/", &[]),
    );
    let head = format!("example.com:8080 {HEAD}");
    assert_eq!(line, format!(r#"{head} "GET / HTTP/1.1" 200 6 "-" "-""#));
}

#[test]
fn the_time_to_the_response_head_is_not_that_to_its_end() {
    let ticks = AtomicU64::new(0);
    let next = move || {
        Duration::from_micros(7) * u32::try_from(ticks.fetch_add(1, Ordering::Relaxed)).unwrap()
    };
    let log = AccessLog::format("%^FB %D").unwrap().timer(next);
    assert_eq!(line_of(log, &foobar(), request("GET", "/", &[])), "7 14");
}

#[test]
fn what_was_read_of_the_content_is_counted() {
    // 17 + 24 + 2 bytes of head.
    let cases: [(&str, Application); 3] = [
        ("43", foobar()),
        (
            "48",
            Application::new(async |mut request: Request| request.take_body().collect(9).await),
        ),
        (
            "48",
            Application::new(|mut request: Request| request.take_body()),
        ),
    ];
    for (expected, app) in cases {
        let mut sent = request("POST", "/", &[]);
        *sent.body_mut() = Body::from_iterator(["ab", "cde"]);
        sent.headers_mut().remove("user-agent");
        let log = AccessLog::format("%I").unwrap();
        assert_eq!(line_of(log, &app, sent), expected);
    }
}

#[test]
fn a_route_is_asked_for_where_the_format_has_it() {
    let asked = Application::new(|request: Request| {
        let asked = request.extensions().get::<enfilade_core::RouteWanted>();
        asked.is_some().to_string()
    });
    for (log, expected) in [
        (AccessLog::combined(), "false"),
        (AccessLog::json(), "false"),
        (AccessLog::format("%{route}x").unwrap(), "true"),
        (AccessLog::json_of([("a", "b %{route}x")]).unwrap(), "true"),
    ] {
        let client = Client::new(asked.clone().wrap(log.writer(io::sink())));
        assert_eq!(client.get("/").send().text(), expected);
    }
}

#[test]
fn an_id_is_in_the_log_wherever_it_is_made() {
    let log = || AccessLog::format("%{id}x").unwrap();
    let ids = || crate::observe::request_id::RequestId::new().generator(|| "made-here".to_owned());
    let inside = foobar().wrap(ids());
    assert_eq!(
        line_of(log(), &inside, request("GET", "/", &[])),
        "made-here"
    );
    let memory = Memory::default();
    let app = foobar().wrap(log().writer(memory.clone())).wrap(ids());
    drop(pollster::block_on(app.call(Request::get("/"))));
    drop(app);
    assert_eq!(memory.lines(), ["made-here"]);
}
