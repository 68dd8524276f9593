use enfilade_core::{Application, Connection, Request, Scheme};
use enfilade_testing::laws::Check;
use enfilade_testing::{Client, Lint, RequestBuilder};
use http::HeaderMap;
use http::header::FORWARDED;
use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

use super::XForwarded::{For, Host, Port, Prefix, Proto};
use super::*;

/// What the application saw: client, port, scheme, host, script name and path, with the socket's peer.
fn saw(request: &Request) -> String {
    let address = request.client_address().map(|address| address.to_string());
    let port = request.client_port().map(|port| port.to_string());
    let peer = request.connection().peer().map(|peer| peer.to_string());
    let parts = [
        address.as_deref().unwrap_or("-"),
        port.as_deref().unwrap_or("-"),
        request.scheme().as_str(),
        request.host().unwrap_or("-"),
        request.script_name(),
        request.path(),
        peer.as_deref().unwrap_or("-"),
    ];
    parts.join(" ")
}

fn client(fix: ProxyFix) -> Client {
    let app = Application::new(|request: Request| saw(&request));
    Client::new(app.wrap(Lint::new()).wrap(fix).wrap(Lint::new()))
}

/// Sends a request from a proxy with these header lines: `name: value`.
fn prepared(client: &Client, lines: &[&str]) -> RequestBuilder {
    let request = client
        .get("/parrot")
        .connection(Connection::new(Scheme::Http).with_local("10.0.0.1:8000".parse().unwrap()))
        .peer("10.0.0.9:4711".parse().unwrap())
        .header("host", "spam");
    lines.iter().fold(request, |request, line| {
        let (name, value) = line.split_once(": ").unwrap();
        request.header(name, value)
    })
}

fn check(fix: &ProxyFix, cases: &[(&[&str], &str)]) {
    let client = client(fix.clone());
    for (lines, expected) in cases {
        let response = prepared(&client, lines).send();
        assert_eq!(
            response.text(),
            format!("{expected} 10.0.0.9:4711"),
            "{lines:?}"
        );
    }
}

const SOCKET: &str = "10.0.0.9 4711 http spam  /parrot";

fn all_hops(hops: usize) -> ProxyFix {
    ProxyFix::trust_x_forwarded_hops(XForwarded::ALL.map(|header| (header, hops)))
}

fn networks() -> [&'static str; 2] {
    ["10.0.0.0/8", "fd00::/8"]
}

#[test]
fn what_is_not_named_is_not_believed() {
    let lines: &[&str] = &[
        "forwarded: for=192.0.2.1;proto=https;host=evil",
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: evil",
        "x-forwarded-port: 81",
        "x-forwarded-prefix: /evil",
    ];
    for fix in [
        ProxyFix::trust_x_forwarded_hops([]),
        all_hops(0),
        ProxyFix::trust_forwarded_hops(0),
        ProxyFix::trust_forwarded([""; 0]).unwrap(),
        ProxyFix::trust_forwarded(["10.0.0.8", "192.0.2.0/24"]).unwrap(),
        ProxyFix::trust_x_forwarded(networks(), []).unwrap(),
        ProxyFix::trust_x_forwarded(["192.0.2.0/24"], XForwarded::ALL).unwrap(),
    ] {
        check(&fix, &[(lines, SOCKET)]);
    }
    let one_family: [(ProxyFix, &str); 4] = [
        (ProxyFix::trust_forwarded_hops(1), lines[0]),
        (ProxyFix::trust_forwarded(networks()).unwrap(), lines[0]),
        (all_hops(1), lines[1]),
        (
            ProxyFix::trust_x_forwarded(networks(), XForwarded::ALL).unwrap(),
            lines[1],
        ),
    ];
    for (fix, own) in one_family {
        let other: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("x-") != own.starts_with("x-"))
            .copied()
            .collect();
        check(&fix, &[(&other, SOCKET)]);
        let response = prepared(&client(fix), &[own]).send();
        assert_eq!(response.text().split(' ').next(), Some("192.0.2.1"));
    }
}

#[test]
fn a_count_takes_the_value_at_its_place_from_the_right() {
    check(
        &all_hops(1),
        &[
            (&[], SOCKET),
            (
                &["x-forwarded-for: 6.6.6.6, 192.0.2.1"],
                "192.0.2.1 - http spam  /parrot",
            ),
            (
                &["x-forwarded-for: 192.0.2.1:80,,"],
                "192.0.2.1 80 http spam  /parrot",
            ),
            (
                &["x-forwarded-for: 6.6.6.6", "x-forwarded-for: 2001:db8::1"],
                "2001:db8::1 - http spam  /parrot",
            ),
            (&["x-forwarded-for: 192.0.2.1, bad"], SOCKET),
            (&["x-forwarded-for: , ,"], SOCKET),
            (
                &["x-forwarded-proto: http, HTTPS"],
                "10.0.0.9 4711 https spam  /parrot",
            ),
            (&["x-forwarded-proto: https, javascript"], SOCKET),
            (
                &["x-forwarded-host: evil, real:8443"],
                "10.0.0.9 4711 http real:8443  /parrot",
            ),
            (&["x-forwarded-host: real, evil@x"], SOCKET),
            (
                &["x-forwarded-port: 8080"],
                "10.0.0.9 4711 http spam:8080  /parrot",
            ),
            (&["x-forwarded-port: 80"], SOCKET),
            (&["x-forwarded-port: 0x50"], SOCKET),
            (
                &[
                    "x-forwarded-proto: https",
                    "x-forwarded-port: 443",
                    "x-forwarded-host: a:81",
                ],
                "10.0.0.9 4711 https a  /parrot",
            ),
            (
                &["x-forwarded-prefix: /a, /eggs/"],
                "10.0.0.9 4711 http spam /eggs /parrot",
            ),
            (&["x-forwarded-prefix: /a, //evil"], SOCKET),
        ],
    );
    let fix = ProxyFix::trust_x_forwarded_hops([(For, 2), (Proto, 1), (Host, 2), (Prefix, 2)]);
    check(
        &fix,
        &[
            (
                &["x-forwarded-for: 6.6.6.6, 192.0.2.1, 10.0.0.1"],
                "192.0.2.1 - http spam  /parrot",
            ),
            (
                &["x-forwarded-for: 6.6.6.6, 192.0.2.1, unknown"],
                "192.0.2.1 - http spam  /parrot",
            ),
            (&["x-forwarded-for: 6.6.6.6"], SOCKET),
            (
                &["x-forwarded-host: a, b", "x-forwarded-host: c"],
                "10.0.0.9 4711 http b  /parrot",
            ),
            (&["x-forwarded-port: 81", "x-forwarded-host: a"], SOCKET),
            (
                &["x-forwarded-prefix: /a, /b"],
                "10.0.0.9 4711 http spam /a /parrot",
            ),
        ],
    );
}

#[test]
fn networks_are_walked_to_the_first_address_that_is_in_none() {
    let many = format!("x-forwarded-for: 192.0.2.1{}", ", 10.0.0.1".repeat(99));
    let too_many = format!("x-forwarded-for: 192.0.2.1{}", ", 10.0.0.1".repeat(100));
    check(
        &ProxyFix::trust_x_forwarded(networks(), [For, Proto, Host, Port]).unwrap(),
        &[
            (
                &["x-forwarded-for: 192.0.2.1"],
                "192.0.2.1 - http spam  /parrot",
            ),
            (
                &["x-forwarded-for: 6.6.6.6, 192.0.2.1"],
                "192.0.2.1 - http spam  /parrot",
            ),
            (
                &[
                    "x-forwarded-for: 6.6.6.6, 192.0.2.1, 10.0.0.1",
                    "x-forwarded-for: fd00::1",
                ],
                "192.0.2.1 - http spam  /parrot",
            ),
            (
                &["x-forwarded-for: 6.6.6.6, 192.0.2.1, ::ffff:10.0.0.1"],
                "192.0.2.1 - http spam  /parrot",
            ),
            (
                &["x-forwarded-for: 10.0.0.3, 10.0.0.2:80"],
                "10.0.0.3 - http spam  /parrot",
            ),
            (
                &["x-forwarded-for: bad, 192.0.2.1"],
                "192.0.2.1 - http spam  /parrot",
            ),
            (&["x-forwarded-for: 192.0.2.1, bad"], SOCKET),
            (&["x-forwarded-for: 192.0.2.1, unknown, 10.0.0.1"], SOCKET),
            (&[&many], "192.0.2.1 - http spam  /parrot"),
            (&[&too_many], SOCKET),
            (
                &[
                    "x-forwarded-proto: http, https",
                    "x-forwarded-host: evil, a",
                    "x-forwarded-port: 81",
                ],
                "10.0.0.9 4711 https a:81  /parrot",
            ),
            (&["x-forwarded-prefix: /a"], SOCKET),
        ],
    );
}

#[test]
fn an_element_says_all_that_is_asked_of_it() {
    let whole = "for=\"[2001:db8::1]:4711\";proto=https;host=\"a:8443\";by=_me";
    let line = format!("forwarded: for=6.6.6.6;proto=http;host=evil, {whole}");
    let cases: &[(&[&str], &str)] = &[
        (&[&line], "2001:db8::1 4711 https a:8443  /parrot"),
        (
            &["forwarded: for=192.0.2.1, ,"],
            "192.0.2.1 - http spam  /parrot",
        ),
        (&["forwarded: for=192.0.2.1, ;"], SOCKET),
        (
            &["forwarded: for=unknown;proto=https"],
            "10.0.0.9 4711 https spam  /parrot",
        ),
        (
            &["forwarded: for=_hidden;host=a"],
            "10.0.0.9 4711 http a  /parrot",
        ),
        (
            &["forwarded: for=192.0.2.1;host=\"evil/x\""],
            "192.0.2.1 - http spam  /parrot",
        ),
        (
            &["forwarded: for=192.0.2.1;proto=ftp"],
            "192.0.2.1 - http spam  /parrot",
        ),
        (&["forwarded: for=192.0.2.1;host=a:81"], SOCKET),
        (&["forwarded: for=\"192.0.2.1"], SOCKET),
        (&["forwarded: for=192.0.2.1, for"], SOCKET),
        (&["forwarded: for=192.0.2.1;for=192.0.2.1"], SOCKET),
        (
            &["forwarded: for=\"evil, for=192.0.2.1"],
            "192.0.2.1 - http spam  /parrot",
        ),
        (
            &["forwarded: for=\"evil\\", "forwarded: for=192.0.2.1"],
            "192.0.2.1 - http spam  /parrot",
        ),
    ];
    check(&ProxyFix::trust_forwarded_hops(1), cases);
    check(&ProxyFix::trust_forwarded(networks()).unwrap(), cases);
}

#[test]
fn elements_are_counted_or_walked() {
    let first = "for=6.6.6.6;host=evil, for=192.0.2.1;proto=https, for=10.0.0.1;host=inside";
    let line = format!("forwarded: {first}, for=\"[fd00::1]:80\"");
    let walked = "192.0.2.1 - https spam  /parrot";
    check(&ProxyFix::trust_forwarded_hops(3), &[(&[&line], walked)]);
    let broken = &["forwarded: for=192.0.2.1, for=10.0.0.1, for=a;;b, for=10.0.0.1"];
    check(&ProxyFix::trust_forwarded_hops(3), &[(broken, SOCKET)]);
    check(&ProxyFix::trust_forwarded_hops(9), &[(&[&line], SOCKET)]);
    let client = "10.0.0.2 - http a  /parrot";
    check(
        &ProxyFix::trust_forwarded(networks()).unwrap(),
        &[
            (&[&line], walked),
            (broken, SOCKET),
            (
                &["forwarded: for=10.0.0.2;host=a, for=10.0.0.1;host=b"],
                client,
            ),
            (
                &["forwarded: for=192.0.2.1, proto=https, for=10.0.0.1"],
                "10.0.0.9 4711 https spam  /parrot",
            ),
        ],
    );
}

#[test]
fn a_unix_socket_is_trusted_where_it_is_said() {
    let fix = || ProxyFix::trust_x_forwarded(networks(), [For]).unwrap();
    for (fix, expected) in [
        (fix(), "- - http localhost  / -"),
        (
            fix().trust_unix_sockets(),
            "192.0.2.1 - http localhost  / -",
        ),
        (all_hops(1), "192.0.2.1 - http localhost  / -"),
        (
            all_hops(1).trust_unix_sockets(),
            "192.0.2.1 - http localhost  / -",
        ),
    ] {
        let response = client(fix)
            .get("/")
            .header("x-forwarded-for", "192.0.2.1")
            .send();
        assert_eq!(response.text(), expected);
    }
    let mapped = "[::ffff:10.0.0.9]:80".parse().unwrap();
    let request = client(fix())
        .get("/")
        .header("x-forwarded-for", "192.0.2.1");
    let response = request.peer(mapped).send();
    assert_eq!(
        response.text(),
        "192.0.2.1 - http localhost  / [::ffff:10.0.0.9]:80"
    );
}

#[test]
fn the_rest_of_the_stack_sees_the_client() {
    let fix = ProxyFix::trust_x_forwarded_hops([(For, 1), (Proto, 1), (Host, 1), (Prefix, 1)]);
    let app = Application::new(|mut request: Request| {
        request.mount("/parrot").unwrap();
        let environ = request.environ();
        let names = "REMOTE_ADDR wsgi.url_scheme HTTP_HOST SERVER_NAME SERVER_PORT SCRIPT_NAME";
        let values = names
            .split(' ')
            .map(|name| environ.get(name).unwrap_or_default());
        let values: Vec<_> = values.collect();
        format!(
            "{} {} {}",
            values.join(" "),
            request.url(),
            request.url_for_path("/x")
        )
    });
    let client = Client::new(app.wrap(fix));
    let lines = &[
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: example.org",
        "x-forwarded-prefix: /eggs",
    ];
    assert_eq!(
        prepared(&client, lines).send().text(),
        "192.0.2.1 https example.org example.org 443 /eggs/parrot \
         https://example.org/eggs/parrot /eggs/parrot/x"
    );
}

#[test]
fn the_host_of_a_target_is_replaced_too() {
    let fix = ProxyFix::trust_x_forwarded_hops([(Host, 1), (Port, 1)]);
    let app = Application::new(|request: Request| request.uri().to_string());
    let client = Client::new(app.wrap(fix));
    for (host, expected) in [
        ("a:82", "http://a:82/x?y"),
        ("%61", "http://spam:81/x?y"),
        ("a b", "http://spam:81/x?y"),
    ] {
        let request = client
            .get("http://spam:81/x?y")
            .header("x-forwarded-host", host);
        assert_eq!(request.send().text(), expected);
    }
    let request = client
        .get("http://spam:81/")
        .header("x-forwarded-port", "82");
    assert_eq!(request.send().text(), "http://spam:82/");
}

#[test]
fn a_target_without_a_path_gets_no_prefix() {
    // Our gateways respond to it themselves.
    let client = client(ProxyFix::trust_x_forwarded_hops([(Prefix, 1)])).without_gateway();
    let request = client.options("*").header("x-forwarded-prefix", "/eggs");
    assert_eq!(request.send().text(), "- - http localhost  * -");
}

#[test]
fn headers_are_removed_from_every_request() {
    let names = |request: &Request| {
        let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.join(" ")
    };
    let app = Application::new(move |request: Request| names(&request));
    let lines = &[
        "forwarded: for=192.0.2.1",
        "x-forwarded-for: 192.0.2.1",
        "x-forwarded-for: bad",
        "x-forwarded-proto: https",
        "x-forwarded-host: a",
        "x-forwarded-port: 81",
        "x-forwarded-prefix: /eggs",
        "x-real-ip: 192.0.2.1",
    ];
    let untrusted = ProxyFix::trust_forwarded(["192.0.2.0/24"]).unwrap();
    for fix in [all_hops(1), all_hops(0), untrusted] {
        let client = Client::new(app.clone().wrap(fix.clone()));
        assert_eq!(prepared(&client, lines).send().text(), "host x-real-ip");
        let client = Client::new(app.clone().wrap(fix.insecure_keep_headers()));
        let kept = "host forwarded x-forwarded-for x-forwarded-proto x-forwarded-host \
                    x-forwarded-port x-forwarded-prefix x-real-ip";
        assert_eq!(prepared(&client, lines).send().text(), kept);
    }
}

#[test]
fn the_description_says_who_is_believed() {
    let cases = [
        (ProxyFix::trust_forwarded_hops(2), "forwarded: 2"),
        (
            ProxyFix::trust_x_forwarded_hops([(For, 2), (Proto, 1), (Host, 0)]),
            "x-forwarded-for: 2, x-forwarded-proto: 1",
        ),
        (
            ProxyFix::trust_forwarded(["10.0.0.0/8", "::1"]).unwrap(),
            "reads: [forwarded], from: [10.0.0.0/8, ::1/128]",
        ),
        (
            ProxyFix::trust_x_forwarded(["10.0.0.1"], [Proto, For])
                .unwrap()
                .trust_unix_sockets()
                .insecure_keep_headers(),
            "reads: [x-forwarded-for, x-forwarded-proto], from: [10.0.0.1/32], \
             unix sockets: trusted, headers: kept",
        ),
    ];
    for (fix, expected) in cases {
        let described = Application::new(|_: Request| ()).wrap(fix).describe();
        let first = described.to_string();
        assert_eq!(
            first.lines().next(),
            Some(&*format!("ProxyFix ({expected})"))
        );
    }
}

#[test]
fn keeps_the_laws() {
    for fix in [
        ProxyFix::trust_forwarded_hops(1),
        all_hops(1),
        ProxyFix::trust_forwarded(["192.0.2.0/24"]).unwrap(),
        ProxyFix::trust_x_forwarded(["192.0.2.7"], XForwarded::ALL).unwrap(),
        ProxyFix::trust_forwarded(["10.0.0.0/8"]).unwrap(),
    ] {
        Check::new(fix)
            .touches(NAMES.iter().cloned())
            .cases(256)
            .run();
    }
    Check::new(all_hops(1).insecure_keep_headers())
        .cases(256)
        .run();
}

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(FORWARDED, http::HeaderValue::from_bytes(line).unwrap());
    }
    headers
}

/// Elements as `for|by|host|proto`, with `-` for what is not there; none where the header is malformed.
fn parsed(lines: &[&[u8]]) -> Option<Vec<String>> {
    let headers = headers(lines);
    let elements = parse_forwarded(&headers)?;
    let written = elements.iter().map(|element| {
        let values = [
            element.for_node(),
            element.by_node(),
            element.host(),
            element.proto(),
        ];
        values.map(|value| value.unwrap_or("-")).join("|")
    });
    Some(written.collect())
}

#[test]
fn elements_are_what_the_grammar_says() {
    let cases: [(&[u8], Option<&[&str]>); 26] = [
        (b"", Some(&[])),
        (b" , ,", Some(&[])),
        (b"for=a", Some(&["a|-|-|-"])),
        (b"FOR=a;By=b;hoST=c;PROTO=d", Some(&["a|b|c|d"])),
        (
            b"for=a, for=b,for=c",
            Some(&["a|-|-|-", "b|-|-|-", "c|-|-|-"]),
        ),
        (b";;;for=a,,", Some(&["a|-|-|-"])),
        (b"for=a ; proto=b\t;", Some(&["a|-|-|b"])),
        (b";", Some(&["-|-|-|-"])),
        (b"secret=x;secret=\"y, z\";for=a", Some(&["a|-|-|-"])),
        (b"for=\"\"", Some(&["|-|-|-"])),
        (
            b"for=\"a, b;c=d\", for=e",
            Some(&["a, b;c=d|-|-|-", "e|-|-|-"]),
        ),
        (
            b"for=\"\\\"\", for=\"\\\\\", for=\"\\a\\\\\\\"\"",
            Some(&["\"|-|-|-", "\\|-|-|-", "a\\\"|-|-|-"]),
        ),
        (b"for=\"caf\xc3\xa9\"", Some(&["caf\u{e9}|-|-|-"])),
        (b"for=\"\xff\"", None),
        (b"for", None),
        (b"for=", None),
        (b"=a", None),
        (b"for=a b", None),
        (b"for= a", None),
        (b"for =a", None),
        (b"for=2001:db8::1", None),
        (b"for=\"a\"b", None),
        (b"for=a\"b\"", None),
        (b"for=\"a", None),
        (b"for=\"a\\\"", None),
        (b"for=a;FOR=b", None),
    ];
    for (line, expected) in cases {
        let expected = expected.map(|list| list.iter().map(ToString::to_string).collect());
        let shown = String::from_utf8_lossy(line);
        assert_eq!(parsed(&[line]), expected, "{shown}");
    }
    let lines: &[&[u8]] = &[b"for=a, for=b", b"", b"for=c"];
    let expected = ["a|-|-|-", "b|-|-|-", "c|-|-|-"].map(str::to_owned);
    assert_eq!(parsed(lines), Some(expected.to_vec()));
}

#[test]
fn long_headers_take_time_in_proportion() {
    // Minutes where the work grew with the square of the length.
    let length = 1 << 17;
    for line in [
        "\"".repeat(length),
        "\\".repeat(length) + "\"",
        "\\\"".repeat(length) + "\"",
        format!("for=\"{}\"", "\\\"".repeat(length)),
        ",".repeat(length),
        ";".repeat(length),
        "for=a;".repeat(length),
        "x=a;".repeat(length),
        "for=10.0.0.1,".repeat(length),
        "10.0.0.1,".repeat(length),
        "/".repeat(length),
        "/a".repeat(length),
    ] {
        let line = http::HeaderValue::from_str(&line).unwrap();
        for fix in [
            all_hops(usize::MAX),
            ProxyFix::trust_forwarded_hops(usize::MAX),
            ProxyFix::trust_forwarded(networks()).unwrap(),
            ProxyFix::trust_x_forwarded(networks(), XForwarded::ALL).unwrap(),
        ] {
            let app = Application::new(|_: Request| ()).wrap(fix);
            let mut request = Request::get("/");
            let peer = "10.0.0.9:1".parse().unwrap();
            request.set_connection(Connection::default().with_peer(peer));
            for name in &NAMES {
                request.headers_mut().insert(name, line.clone());
            }
            assert_eq!(pollster::block_on(app.call(request)).status(), 200);
        }
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED, line);
        let _ = parse_forwarded(&headers);
    }
}

const WORDS: [&str; 12] = [
    "for=",
    "proto=https",
    "host=evil",
    "192.0.2.66",
    "\"",
    "\\",
    ",",
    ";",
    "=",
    " ",
    "[::1]",
    "unknown",
];

/// What a client may write: parts of elements, and anything.
fn junk() -> impl Strategy<Value = Vec<u8>> {
    let word = select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec());
    let noise = proptest::collection::vec(any::<u8>(), 1..4);
    let parts = proptest::collection::vec(prop_oneof![4 => word, 1 => noise], 0..16);
    let is_valid = |line: &Vec<u8>| http::HeaderValue::from_bytes(line).is_ok();
    parts
        .prop_map(|parts| parts.concat())
        .prop_filter("a header can have it", is_valid)
}

/// A value, as a quoted string with these characters escaped.
fn quoted(value: &str, escapes: &[bool]) -> String {
    let mut escapes = escapes.iter().cycle();
    let coded = value.chars().map(|shown| {
        let needs = "\"\\".contains(shown) || *escapes.next().unwrap();
        let escape = if needs { "\\" } else { "" };
        format!("{escape}{shown}")
    });
    format!("\"{}\"", coded.collect::<String>())
}

proptest! {
    #[test]
    fn nothing_before_it_changes_what_a_proxy_adds(junk in junk(), is_own_line in any::<bool>()) {
        let send = |fix: ProxyFix, name: &str, added: &[u8]| {
            let client = client(fix);
            let request = prepared(&client, &[]);
            let request = match is_own_line {
                true => request.header(name, &junk).header(name, added),
                false => request.header(name, [&junk, &b", "[..], added].concat()),
            };
            request.send().text().to_string()
        };
        let element = b"for=\"192.0.2.1:80\";proto=https;host=a";
        let expected = "192.0.2.1 80 https a  /parrot 10.0.0.9:4711";
        for fix in [
            ProxyFix::trust_forwarded_hops(1),
            ProxyFix::trust_forwarded(["10.0.0.9"]).unwrap(),
        ] {
            prop_assert_eq!(send(fix, "forwarded", element), expected);
        }
        let expected = "192.0.2.1 - http spam  /parrot 10.0.0.9:4711";
        for fix in [all_hops(1), ProxyFix::trust_x_forwarded(["10.0.0.9"], [For]).unwrap()] {
            prop_assert_eq!(send(fix, "x-forwarded-for", b"192.0.2.1"), expected);
        }
    }

    #[test]
    fn elements_are_read_as_they_were_written(
        values in proptest::collection::vec("[ -~\t]{0,12}", 0..5),
        escapes in proptest::collection::vec(any::<bool>(), 1..8),
        is_list in any::<bool>(),
    ) {
        let written = values.iter().map(|value| format!("for={};x=\",\"", quoted(value, &escapes)));
        let written: Vec<_> = written.collect();
        let joined = written.join(" , ");
        let lines: Vec<_> = match is_list {
            true => vec![joined.as_bytes()],
            false => written.iter().map(String::as_bytes).collect(),
        };
        let headers = headers(&lines);
        let found = parse_forwarded(&headers).unwrap();
        let found: Vec<_> = found.iter().map(|element| element.for_node().unwrap()).collect();
        prop_assert_eq!(found, values);
    }
}
