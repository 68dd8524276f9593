//! The examples, as programs of their own, answer as they say.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which lints do not count as tests"
)]

mod support {
    pub(crate) mod process;
    #[expect(dead_code, reason = "others need more of it")]
    pub(crate) mod wire;
}

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use self::support::process::Process;
use self::support::wire::{Answer, PATIENCE, Wire};

const EXAMPLES: [&str; 9] = [
    "hello",
    "wsgi",
    "pipeline",
    "component",
    "dispatch",
    "debug_errors",
    "fastcgi",
    "tls",
    "tower",
];

/// Starts an example on a free port.
fn start(name: &str) -> Process {
    let process = Process::example(name, &["127.0.0.1:0"]);
    assert!(process.address.ip().is_loopback());
    assert_ne!(process.address.port(), 0);
    process
}

/// Sends one request and reads its answer; `line` is the method and the target, `more` are header lines.
fn ask(wire: &mut Wire, line: &str, more: &str) -> Answer {
    wire.send(format!(
        "{line} HTTP/1.1\r\nHost: h\r\nUser-Agent: test/1\r\n{more}\r\n"
    ));
    if line.starts_with("HEAD ") {
        wire.head()
    } else {
        wire.answer()
    }
}

/// Stops an example as a process manager does, and gives the lines that it wrote.
fn stop(mut process: Process) -> Vec<String> {
    process.signal("TERM");
    let (status, lines) = process.end();
    assert!(status.success(), "{status}");
    lines
}

#[test]
fn every_example_has_fewer_than_60_lines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines < 60, "{} has {lines} lines", path.display());
        found.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    found.sort();
    let mut expected = EXAMPLES;
    expected.sort_unstable();
    assert_eq!(found, expected, "an example without a test");
}

#[test]
fn hello() {
    let process = start("hello");
    let mut wire = Wire::connect(process.address);
    for line in ["GET /", "GET /anything?at=all", "POST /"] {
        let answer = ask(&mut wire, line, "");
        assert_eq!(
            (answer.status(), answer.text()),
            ("200 OK", "Hello, World!\n")
        );
        assert_eq!(
            answer.header("content-type").unwrap(),
            "text/plain; charset=utf-8"
        );
    }
    assert_eq!(stop(process), [""; 0]);
}

#[test]
fn wsgi() {
    let process = start("wsgi");
    let mut wire = Wire::connect(process.address);
    for (line, status, text) in [
        ("GET /", "200 OK", "<h1>Welcome to WSGI!</h1>"),
        ("GET /cellar", "404 Not Found", "Page not found"),
    ] {
        let answer = ask(&mut wire, line, "");
        assert_eq!((answer.status(), answer.text()), (status, text));
        assert_eq!(
            answer.header("content-type").unwrap(),
            "text/html; charset=utf-8"
        );
    }
    assert_eq!(stop(process), [""; 0]);
}

#[test]
fn dispatch() {
    let process = start("dispatch");
    let mut wire = Wire::connect(process.address);
    for (line, status, text) in [
        ("GET /shop", "200 OK", "Try /shop/items/1\n"),
        ("GET /shop/items/7", "200 OK", "Item 7\n"),
        ("GET /shop/items/x", "404 Not Found", "Nothing here\n"),
        ("GET //wiki//enfilade", "200 OK", "A draft about doors\n"),
        ("GET /wiki/other", "200 OK", "The page /other\n"),
        ("GET /nowhere", "404 Not Found", "Nothing here\n"),
    ] {
        let answer = ask(&mut wire, line, "");
        assert_eq!((answer.status(), answer.text()), (status, text), "{line}");
    }
    let moved = ask(&mut wire, "GET /article12.html?page=2", "");
    assert_eq!(moved.status(), "308 Permanent Redirect");
    assert_eq!(moved.header("location").unwrap(), "/wiki/12?page=2");
    drop(stop(process));
}

#[test]
fn tower() {
    let process = start("tower");
    let mut wire = Wire::connect(process.address);
    for (line, status, text) in [
        ("GET /", "200 OK", "The street\n"),
        ("GET /house", "200 OK", "The hall, at /house\n"),
        ("GET /house/library/shelves/3", "200 OK", "Shelf 3\n"),
        ("GET /house/cellar?x", "404 Not Found", "No such room\n"),
    ] {
        let answer = ask(&mut wire, line, "");
        assert_eq!((answer.status(), answer.text()), (status, text), "{line}");
        let house = line.contains("/house").then(|| "enfilade".to_owned());
        assert_eq!(answer.header("x-house"), house, "{line}");
    }
    process.signal("INT");
    let mut process = process;
    drop(wire);
    assert!(process.end().0.success());
}

/// A record of FastCGI for request 1.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = [1, kind, 0, 1, length[0], length[1], 0, 0];
    [&head[..], content].concat()
}

/// What a FastCGI responder answers to a GET, as a web server would get it.
fn ask_as_web_server(address: SocketAddr, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", target),
        ("SCRIPT_NAME", path),
        ("QUERY_STRING", query),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("HTTP_HOST", "h"),
    ];
    let pairs = pairs.map(|(name, value)| {
        let lengths = [name.len(), value.len()].map(|length| u8::try_from(length).unwrap());
        [&lengths[..], name.as_bytes(), value.as_bytes()].concat()
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (begin, params, stdin) = (1, 4, 5);
    let request = [
        record(begin, &[0, 1, 0, 0, 0, 0, 0, 0]),
        record(params, &pairs.concat()),
        record(params, b""),
        record(stdin, b""),
    ];
    stream.write_all(&request.concat()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let (mut output, mut rest) = (Vec::new(), &all[..]);
    while let [_, kind, _, _, high, low, padding, _, content @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == 6 {
            output.extend_from_slice(&content[..length]);
        }
        rest = &content[length + usize::from(*padding)..];
    }
    String::from_utf8(output).unwrap()
}

/// Asks the example `fastcgi` at this address.
fn ask_for_guests(address: SocketAddr) {
    let answer = ask_as_web_server(address, "/guests/Ada?x");
    assert!(answer.ends_with("\r\n\r\nGood evening, Ada\n"), "{answer}");
    let answer = ask_as_web_server(address, "/cellar");
    assert!(answer.starts_with("Status: 404 "), "{answer}");
}

#[test]
fn fastcgi() {
    let process = start("fastcgi");
    ask_for_guests(process.address);
    let lines = stop(process);
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains("\"GET /guests/Ada?x HTTP/1.1\" 200 18"),
        "{lines:?}"
    );
}

#[test]
fn fastcgi_on_the_socket_that_it_is_started_with() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut child = std::process::Command::new(Process::path("fastcgi"))
        .stdin(std::os::fd::OwnedFd::from(listener))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let asked = std::panic::catch_unwind(|| ask_for_guests(address));
    child.kill().unwrap();
    child.wait().unwrap();
    asked.unwrap();
}

#[test]
fn debug_errors() {
    let process = start("debug_errors");
    let mut wire = Wire::connect(process.address);
    for (line, status, begin) in [
        ("GET /shelves/1", "200 OK", "Travel"),
        ("GET /lend/Ada/7", "200 OK", "Ada has book 7\n"),
        (
            "GET /lend/Ada/x",
            "500 Internal Server Error",
            "500 Internal Server Error\n\n  no book was lent to \"Ada\"\n\nErrors\n",
        ),
        (
            "GET /shelves/7",
            "500 Internal Server Error",
            "500 Internal Server Error\n\n  panicked: index out of bounds: the len is 3 but the index is 7\n  \
             at examples/debug_errors.rs:",
        ),
        ("GET /cellar", "404 Not Found", ""),
    ] {
        let answer = ask(&mut wire, line, "");
        assert_eq!(answer.status(), status, "{line}");
        assert!(answer.text().starts_with(begin), "{}", answer.text());
    }
    drop(stop(process));
}

#[test]
fn component() {
    let process = start("component");
    let mut wire = Wire::connect(process.address);
    let refused = "Please do not touch\n";
    for (line, status, text, is_timed) in [
        ("GET /house", "200 OK", "The house\n", true),
        ("GET /garden", "200 OK", "The garden\n", true),
        // The clock is outside of the guard in the house, and inside in the garden.
        ("POST /house", "403 Forbidden", refused, true),
        ("POST /garden", "403 Forbidden", refused, false),
        ("GET /street", "404 Not Found", "", false),
    ] {
        let answer = ask(&mut wire, line, "");
        assert_eq!((answer.status(), answer.text()), (status, text), "{line}");
        let timing = answer.header("server-timing");
        assert_eq!(timing.is_some(), is_timed, "{line}: {timing:?}");
        if let Some(timing) = timing {
            let milliseconds = timing.strip_prefix("app;dur=").unwrap();
            assert!(milliseconds.parse::<f64>().unwrap() >= 0.0);
        }
    }
    assert_eq!(stop(process), [""; 0]);
}

const SHELF: &str = "A book on shelf 3; the entrance is /library/\n";

/// What a request to the pipeline is to be answered with.
struct Case {
    line: &'static str,
    status: &'static str,
    text: String,
    allow: Option<&'static str>,
    vary: Option<&'static str>,
}

fn case(line: &'static str, status: &'static str, text: &str) -> Case {
    Case {
        line,
        status,
        text: text.to_owned(),
        allow: None,
        vary: None,
    }
}

fn pipeline_cases() -> Vec<Case> {
    let not_allowed = |line, allow| Case {
        allow: Some(allow),
        ..case(line, "405 Method Not Allowed", "Method Not Allowed")
    };
    vec![
        case("GET /", "200 OK", "Welcome to the house\n"),
        case("POST /guests/Ada", "201 Created", "Good evening, Ada\n"),
        case("GET /library", "200 OK", "The library at /library\n"),
        case("GET /library/", "200 OK", "The library at /library\n"),
        Case {
            vary: Some("accept-encoding"),
            ..case("GET /library/shelves/3", "200 OK", &SHELF.repeat(50))
        },
        case(
            "GET /cellar?x",
            "404 Not Found",
            "There is no /cellar here\n",
        ),
        case(
            "GET /library/cellar",
            "404 Not Found",
            "There is no /library/cellar here\n",
        ),
        not_allowed("POST /", "GET, HEAD, OPTIONS"),
        not_allowed("DELETE /guests/Ada", "POST, OPTIONS"),
        not_allowed("PUT /library/shelves/3", "GET, HEAD, OPTIONS"),
    ]
}

/// The header lines, without that of the time.
fn without_date(answer: &Answer) -> Vec<&str> {
    let lines = answer.lines[1..].iter().map(String::as_str);
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

fn assert_injected(answer: &Answer, case: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(
            answer.header(name).as_deref(),
            Some(value),
            "{case}: {name}"
        );
    }
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(bytes);
    decoder.read_to_string(&mut text).unwrap();
    assert!(decoder.into_inner().is_empty());
    text
}

/// Whether `line` is the combined format's of a request, whenever it was.
fn assert_logged(line: &str, request: &str, answer: &Answer) {
    let (before, rest) = line.split_once('[').unwrap();
    let (time, after) = rest.split_once(']').unwrap();
    assert_eq!(before, "127.0.0.1 - - ", "{line}");
    let shape: String = time
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    let month = shape.get(3..6).unwrap();
    assert!(month.chars().all(char::is_alphabetic), "{line}");
    assert_eq!(
        shape.replace(month, "Mmm"),
        "00/Mmm/0000:00:00:00 +0000",
        "{line}"
    );
    let bytes = match answer.body.len() {
        0 => "-".to_owned(),
        count => count.to_string(),
    };
    let status = answer.status().split(' ').next().unwrap();
    assert_eq!(
        after,
        format!(" \"{request} HTTP/1.1\" {status} {bytes} \"-\" \"test/1\""),
        "{line}"
    );
}

#[test]
fn pipeline() {
    let process = start("pipeline");
    let mut wire = Wire::connect(process.address);
    let mut asked: Vec<(String, Answer)> = Vec::new();
    for case in pipeline_cases() {
        let line = case.line;
        let plain = ask(&mut wire, line, "");
        assert_eq!((plain.status(), plain.text()), (case.status, &*case.text));
        assert_eq!(plain.header("allow").as_deref(), case.allow, "{line}");
        assert_eq!(plain.header("vary").as_deref(), case.vary, "{line}");
        assert_eq!(plain.header("content-encoding"), None, "{line}");
        assert_injected(&plain, line);

        let coded = ask(&mut wire, line, "Accept-Encoding: gzip\r\n");
        assert_eq!(coded.status(), case.status);
        assert_eq!(coded.header("allow").as_deref(), case.allow, "{line}");
        assert_eq!(coded.header("vary").as_deref(), case.vary, "{line}");
        assert_injected(&coded, line);
        match coded.header("content-encoding").as_deref() {
            Some("gzip") => {
                assert!(coded.body.len() < plain.body.len(), "{line}");
                assert_eq!(gunzip(&coded.body), case.text, "{line}");
            }
            other => {
                assert_eq!((other, coded.text()), (None, &*case.text), "{line}");
                assert_eq!(case.vary, None, "{line}");
            }
        }
        if let Some(target) = line.strip_prefix("GET ") {
            let line = format!("HEAD {target}");
            let head = ask(&mut wire, &line, "");
            assert_eq!(head.status(), case.status);
            assert_eq!(without_date(&head), without_date(&plain), "{line}");
            asked.push((line, head));
        }
        // In the order in which they were asked for, which is that of the log.
        let at = asked.len() - usize::from(line.starts_with("GET "));
        let both = [(line.to_owned(), plain), (line.to_owned(), coded)];
        asked.splice(at..at, both);
    }
    let lines = stop(process);
    assert_eq!(lines.len(), asked.len(), "{lines:#?}");
    for (line, (request, answer)) in lines.iter().zip(&asked) {
        assert_logged(line, request, answer);
    }
}

#[test]
fn tls() {
    use std::io::Write;
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("enfilade-example-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let chain = file("cert.pem", own.cert.pem());
    let key = file("key.pem", own.signing_key.serialize_pem());
    let process = Process::example("tls", &[&chain, &key, "127.0.0.1:0"]);
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = std::net::TcpStream::connect(process.address).unwrap();
    let mut stream = StreamOwned::new(client, stream);
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.ends_with("\r\n\r\nHello over HTTP/1.1 and TLSv1.3\n"),
        "{answer}"
    );
    std::fs::remove_dir_all(folder).unwrap();
    drop(stop(process));
}
