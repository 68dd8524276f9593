//! goaccess, an independent analyser, reads every line of an access log.

use std::fs;
use std::path::Path;
use std::process::Command;

use enfilade::middleware::{AccessLog, LogFile};
use enfilade::{Application, Body, Connection, RemoteUser, Request};
use enfilade_testing::Client;
use http::{HeaderValue, Method, StatusCode};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::folder::Folder;

/// Any request, with the status of its response.
fn any_request() -> impl Strategy<Value = (String, String, Vec<u8>, Vec<u8>, String, u16)> {
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"]);
    let target = "/[a-z0-9/._~!$'()*+,;=:@%\"é-]{0,40}(\\?[a-zA-Z0-9&=%+\"é]{0,30})?";
    let agent = prop_oneof![
        Just("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0".to_owned()),
        Just("curl/8.0".to_owned()),
        "[ -~é\u{9b}\u{2028}日]{1,60}",
        "[\"\\\\ ]{1,20}",
    ];
    let referer = prop_oneof![
        Just(Vec::new()),
        "https?://[a-z]{1,10}/[ -~]{0,30}".prop_map(String::into_bytes),
        prop::collection::vec(0x80..=0xff_u8, 1..20),
    ];
    let user = prop_oneof![4 => Just(String::new()), 1 => "[ -~é]{1,12}"];
    let status = prop::sample::select(vec![200_u16, 204, 206, 301, 304, 400, 404, 499, 500, 503]);
    let method = method.prop_map(str::to_owned);
    let agent = agent.prop_map(String::into_bytes);
    (method, target, agent, referer, user, status)
}

#[test]
fn goaccess_reads_a_thousand_lines() {
    let folder = Folder::new("goaccess");
    let path = folder.0.join("access.log");
    let app = Application::new(|request: Request| {
        let status = request.extensions().get::<StatusCode>().copied();
        (status.unwrap(), "x".repeat(request.uri().path().len()))
    });
    let log = AccessLog::combined().writer(LogFile::open(&path).unwrap());
    let client = Client::new(app.wrap(log)).without_gateway();
    let (mut runner, strategy) = (TestRunner::deterministic(), any_request());
    let mut sent = 0;
    while sent < 1_000 {
        let (method, target, agent, referer, user, status) =
            strategy.new_tree(&mut runner).unwrap().current();
        let (Ok(uri), Ok(agent)) = (target.parse(), HeaderValue::from_bytes(&agent)) else {
            continue;
        };
        let mut request = Request::new(Method::from_bytes(method.as_bytes()).unwrap(), uri);
        let peer = match sent % 3 {
            0 => format!("[2001:db8::{sent:x}]:1"),
            _ => format!("198.51.100.{}:1", sent % 256),
        };
        request.set_connection(Connection::default().with_peer(peer.parse().unwrap()));
        request.headers_mut().insert("user-agent", agent);
        if let Some(referer) = HeaderValue::from_bytes(&referer)
            .ok()
            .filter(|value| !value.is_empty())
        {
            request.headers_mut().insert("referer", referer);
        }
        if !user.is_empty() {
            request.extensions_mut().insert(RemoteUser::new(user));
        }
        let status = StatusCode::from_u16(status).unwrap();
        request.extensions_mut().insert(status);
        client.prepared(request).send();
        sent += 1;
    }
    drop(client);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1_000);
    assert_goaccess_reads(&path, "COMBINED", 1_000);
}

/// Ends in every way in which an exchange can end.
fn any_ending(request: Request) -> enfilade::Reply {
    match request.path() {
        "/never" => enfilade::Reply::from_future(std::future::pending::<()>()),
        // Without the hook, which would print a backtrace.
        "/panics" => std::panic::resume_unwind(Box::new("on purpose")),
        "/stream" => enfilade::Reply::new(Body::from_iterator(["ab", "cd"])),
        "/nothing" => enfilade::Reply::new(StatusCode::NO_CONTENT),
        _ => enfilade::Reply::new("whole"),
    }
}

#[test]
fn goaccess_reads_every_shape() {
    let folder = Folder::new("goaccess-shapes");
    let logs = [
        ("COMBINED", AccessLog::combined()),
        ("COMMON", AccessLog::common()),
        ("VCOMBINED", AccessLog::vhost_combined()),
    ];
    let peers = [
        "192.0.2.7:1",
        "[2001:db8::1]:1",
        "[::ffff:192.0.2.8]:1",
        "none",
    ];
    let hosts = ["example.org:81", "[::1]:8080", "example.org.", "", "none"];
    let requests = [
        ("GET", "/whole?a=b"),
        ("POST", "/never"),
        ("HEAD", "/nothing"),
        ("GET", "/stream"),
        ("DELETE", "/panics"),
        ("OPTIONS", "*"),
        ("GET", "http://example.org/x"),
        ("BREW", "/pot"),
    ];
    for (name, log) in logs {
        let path = folder.0.join(name);
        let log = log.writer(LogFile::open(&path).unwrap());
        let app = Application::new(any_ending).wrap(log);
        let mut sent = 0;
        for (peer, host) in peers
            .into_iter()
            .flat_map(|peer| hosts.map(|host| (peer, host)))
        {
            for (method, target) in requests {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let mut request = Request::new(method, target.parse().unwrap());
                if let Ok(peer) = peer.parse() {
                    request.set_connection(Connection::default().with_peer(peer));
                }
                if host != "none" {
                    request.headers_mut().insert("host", host.parse().unwrap());
                }
                // Each response is dropped before its end, a pending one before its head.
                let call = std::panic::AssertUnwindSafe(|| drop(app.call(request)));
                let _ = std::panic::catch_unwind(call);
                sent += 1;
            }
        }
        drop(app);
        let mut text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), sent, "{text}");
        // The log's message about lost lines is not a line of a request.
        text.push_str("# 12 lines dropped\n");
        fs::write(&path, text).unwrap();
        assert_goaccess_reads(&path, name, sent);
    }
}

/// Asserts that goaccess reads so many lines in this format.
fn assert_goaccess_reads(path: &Path, format: &str, lines: usize) {
    let output = Command::new("goaccess")
        .arg(path)
        .arg(format!("--log-format={format}"))
        .args(["--no-global-config", "--no-progress", "--output=json"])
        .output()
        .unwrap_or_else(|error| panic!("goaccess: {error}; `tests/peers/run` installs it"));
    let (text, trouble) = [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text))
        .into();
    assert!(output.status.success(), "goaccess: {trouble}");
    let report: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{trouble}"));
    let general = &report["general"];
    for (name, expected) in [
        ("total_requests", lines),
        ("valid_requests", lines),
        ("failed_requests", 0),
    ] {
        assert_eq!(general[name], expected, "{format}, {name}: {general}");
    }
}
