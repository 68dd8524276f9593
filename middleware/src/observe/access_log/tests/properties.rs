//! What holds whatever a peer sends.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Directives with everything in them that a peer can choose, each between quotes.
const PEERS: [&str; 13] = [
    "%r",
    "%U",
    "%q",
    "%m",
    "%v",
    "%u",
    "%{x-in}i",
    "%{Referer}i",
    "%{x-out}o",
    "%{a}C",
    "%{HTTP_X_IN}e",
    "%{REQUEST_URI}e",
    "%{id}x",
];

fn header() -> impl Strategy<Value = Vec<u8>> {
    let any_bytes = proptest::collection::vec(any::<u8>(), 0..40);
    let nasty = "[\"\\\\\u{9b}\u{85}\u{2028}\u{202e}é%x0a=;&a]{0,20}".prop_map(String::into_bytes);
    prop_oneof![any_bytes, nasty].prop_map(|bytes| {
        // What no header has: control characters other than a tab.
        let allowed = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        let bytes: Vec<u8> = bytes.into_iter().filter(allowed).collect();
        bytes.trim_ascii().to_vec()
    })
}

fn hostile(target: &str, value: &[u8], user: &str) -> Option<(Application, Request)> {
    let out = HeaderValue::from_bytes(value).ok()?;
    let app = Application::new(move |_: Request| {
        let mut response = "foobar".into_response();
        response.headers_mut().insert("x-out", out.clone());
        response
    });
    let mut cookie = b"a=".to_vec();
    cookie.extend_from_slice(value);
    let uri = target.parse().ok()?;
    let mut sent = request(
        "GET",
        "/",
        &[("x-in", value), ("referer", value), ("cookie", &cookie)],
    );
    sent.set_uri(uri);
    sent.extensions_mut().insert(RemoteUser::new(user));
    if let Ok(host) = HeaderValue::from_bytes(value) {
        sent.headers_mut().insert("host", host);
    }
    Some((app, sent))
}

fn written(log: AccessLog, app: Application, sent: Request) -> Vec<String> {
    let memory = Memory::default();
    let app = app.wrap(fixed(log).writer(memory.clone()));
    drop(pollster::block_on(app.call(sent)));
    drop(app);
    memory.lines()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_makes_a_second_line_or_shifts_a_field(
        target in "/[!-~é]{0,30}", value in header(), user in any::<String>(), is_redacted in any::<bool>(),
    ) {
        let format = PEERS.map(|directive| format!("\"{directive}\"")).join(" ");
        let log = AccessLog::format(&format).unwrap();
        let log = if is_redacted { log.redact_query("a") } else { log };
        if let Some((app, sent)) = hostile(&target, &value, &user) {
            let lines = written(log, app, sent);
            prop_assert_eq!(lines.len(), 1);
            prop_assert!(!lines[0].chars().any(char::is_control), "{:?}", lines[0]);
            let plain = lines[0].replace(r"\\", "").replace("\\\"", "");
            prop_assert_eq!(plain.matches('"').count(), 2 * PEERS.len(), "{}", lines[0]);
        }
    }

    #[test]
    fn no_request_makes_a_line_that_is_not_json(
        target in "/[!-~é]{0,30}", value in header(), user in any::<String>(), is_redacted in any::<bool>(),
    ) {
        let members: Vec<_> = PEERS.iter().map(|directive| (*directive, *directive)).collect();
        let all = [("all", "%r %U%q [%{x-in}i] %{x-out}o %t %X %{outcome}x")];
        let log = AccessLog::json_of(members.into_iter().chain(all)).unwrap();
        let log = if is_redacted { log.redact_query("a") } else { log };
        if let Some((app, sent)) = hostile(&target, &value, &user) {
            let lines = written(log, app, sent);
            prop_assert_eq!(lines.len(), 1);
            prop_assert!(!lines[0].chars().any(char::is_control), "{:?}", lines[0]);
            let read: Value = serde_json::from_str(&lines[0]).map_err(|error| {
                TestCaseError::fail(format!("{error}: {}", lines[0]))
            })?;
            prop_assert_eq!(read.as_object().unwrap().len(), PEERS.len() + 1);
            if !user.is_empty() {
                prop_assert_eq!(&read["%u"], &Value::from(user));
            }
            if let (Ok(text), false) = (std::str::from_utf8(&value), value.is_empty()) {
                prop_assert_eq!(&read["%{x-in}i"], &Value::from(text));
            }
        }
    }

    #[test]
    fn any_format_is_compiled_or_refused(text in "(%|\\{|\\}|[a-zA-Z]|>|\\^|.){0,12}") {
        let all = [AccessLog::format(&text), AccessLog::json_of([(text.as_str(), text.as_str())])];
        for log in all.into_iter().flatten() {
            let lines = written(log, foobar(), request("GET", "/", &[]));
            prop_assert_eq!(lines.len(), 1);
        }
    }
}
