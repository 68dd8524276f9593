//! Law 9, and law 3 for upgrades.

use enfilade_core::{Application, Body, IntoResponse, Request, Response, Upgraded};
use http::header::{CONNECTION, RANGE, VARY};
use http::{HeaderValue, StatusCode};

use super::{linted, responding};
use crate::client::Client;
use crate::lint::Lint;

type Headers = &'static [(&'static str, &'static str)];

#[test]
fn a_status_has_the_headers_that_it_requires() {
    let law = "a response has the headers that its status requires";
    let missing = |status: u16, name: &str, section: &str| {
        format!(
            "responding (inside Lint) broke law 9 ({law}): a {status} must have the header {name} \
             (RFC 9110, section {section})"
        )
    };
    let cases: [(u16, Headers, Option<String>); 9] = [
        (401, &[], Some(missing(401, "www-authenticate", "15.5.2"))),
        (401, &[("www-authenticate", "Basic realm=\"x\"")], None),
        (405, &[], Some(missing(405, "allow", "15.5.6"))),
        // RFC 9110, section 10.2.1: an empty one means that no method is allowed.
        (405, &[("allow", "")], None),
        (407, &[], Some(missing(407, "proxy-authenticate", "15.5.8"))),
        (407, &[("proxy-authenticate", "Basic")], None),
        (426, &[], Some(missing(426, "upgrade", "15.5.22"))),
        (426, &[("upgrade", "websocket")], None),
        (403, &[], None),
    ];
    for (status, headers, expected) in cases {
        let (client, findings) = linted(responding(status, headers, Body::empty));
        client.get("/").send();
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(*findings.lock().unwrap(), expected, "{status} {headers:?}");
    }
}

#[test]
fn the_connection_is_the_gateways_also_on_a_101_and_a_426() {
    let law = "responding (inside Lint) broke law 3 (hop-by-hop headers belong to the gateway)";
    let set = |name: &str| {
        format!("{law}: the response has the header {name}, which only the gateway may set")
    };
    let no_upgrade = format!(
        "{law}: the body of a 101 is not an upgrade, so no gateway can send it: use `Upgrade::respond`"
    );
    let cases: [(u16, Headers, String); 4] = [
        (101, &[], no_upgrade.clone()),
        (
            101,
            &[("connection", "upgrade"), ("upgrade", "x")],
            no_upgrade,
        ),
        (
            426,
            &[("upgrade", "x"), ("connection", "upgrade")],
            set("connection"),
        ),
        (200, &[("upgrade", "x")], set("upgrade")),
    ];
    for (status, headers, expected) in cases {
        let (client, findings) = linted(responding(status, headers, Body::empty));
        client.get("/").send();
        assert_eq!(
            *findings.lock().unwrap(),
            [expected],
            "{status} {headers:?}"
        );
    }
}

/// Changes to another protocol, with these headers.
fn upgrading(headers: Headers) -> Application {
    Application::new(move |request: Request| -> Response {
        let Some(upgrade) = request.upgrade("x") else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let mut response = upgrade.respond(async |_: Upgraded| Ok(()));
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(*name, value);
        }
        response
    })
}

#[test]
fn an_upgrade_is_a_101_without_headers_about_the_connection() {
    let law =
        "closure in upgrading (inside Lint) broke law 3 (hop-by-hop headers belong to the gateway)";
    let cases: [(Headers, Vec<String>); 2] = [
        (&[("x-a", "1")], vec![]),
        (
            &[("upgrade", "x")],
            vec![format!(
                "{law}: the response has the header upgrade, which only the gateway may set"
            )],
        ),
    ];
    for (headers, expected) in cases {
        let (client, findings) = linted(upgrading(headers));
        let (response, _) = pollster::block_on(client.get("/").upgrade("x"));
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()[CONNECTION], "upgrade");
        assert_eq!(*findings.lock().unwrap(), expected);
    }
}

/// Responds to `If-None-Match` with a 304, to `Range` with a 206, each with its `Vary` from `vary`.
fn conditional(vary: fn(StatusCode) -> &'static str) -> Application {
    Application::new(move |request: Request| {
        let headers = request.headers();
        let status = match (
            headers.contains_key("if-none-match"),
            headers.contains_key(RANGE),
        ) {
            (true, _) => StatusCode::NOT_MODIFIED,
            (_, true) => StatusCode::PARTIAL_CONTENT,
            _ => StatusCode::OK,
        };
        let mut response = status.into_response();
        if !vary(status).is_empty() {
            let vary = HeaderValue::from_static(vary(status));
            response.headers_mut().append(VARY, vary);
        }
        response
    })
}

#[test]
fn a_206_and_a_304_have_the_vary_of_their_200() {
    let found = |vary: fn(StatusCode) -> &'static str, language: &'static str| {
        let (client, findings) = linted(conditional(vary));
        for _ in 0..2 {
            client.get("/a").header("accept-language", "de").send();
            for (name, value) in [("if-none-match", "\"v\""), ("range", "bytes=0-")] {
                let request = client.get("/a").header("accept-language", language);
                request.header(name, value).send();
            }
            client.get("/b").header("range", "bytes=0-").send();
        }
        let findings = findings.lock().unwrap();
        findings.clone()
    };
    assert_eq!(found(|_| "accept-encoding, accept-language", "de"), [""; 0]);
    let partial = |status: StatusCode| match status {
        StatusCode::OK => "accept-encoding, accept-language",
        StatusCode::PARTIAL_CONTENT => "Accept-Language",
        _ => "*",
    };
    assert_eq!(
        found(partial, "de"),
        [
            "closure in conditional (inside Lint) broke law 9 (a response has the headers that its status requires): \
          the Vary of a 206 lacks accept-encoding, which the 200 to the same request has \
          (RFC 9110, section 15.3.7)"
        ]
    );
    // Another request, whose 200 was never seen.
    assert_eq!(found(partial, "fr"), [""; 0]);
    let none = |status: StatusCode| match status {
        StatusCode::OK => "accept-encoding",
        _ => "",
    };
    let findings = found(none, "de");
    assert_eq!(findings.len(), 1, "a target is reported once: {findings:?}");
    assert!(
        findings[0].contains("the Vary of a 304 lacks accept-encoding"),
        "{findings:?}"
    );
}

#[test]
fn what_changed_between_is_not_compared() {
    let app = conditional(|status| match status {
        StatusCode::OK => "origin",
        _ => "",
    });
    let client = Client::new(app.wrap(Lint::new()));
    client.get("/").send();
    client.put("/").send();
    let response = client.get("/").header("if-none-match", "\"v\"").send();
    assert_eq!(response.status(), 304);
}
