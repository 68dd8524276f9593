//! The requests for every gateway.

use super::client::{Asked, Sent};

type Headers = &'static [(&'static str, &'static [u8])];

fn asked(method: &'static str, target: &'static str, headers: Headers, body: Sent) -> Asked {
    Asked {
        method,
        target,
        headers,
        body,
    }
}

fn get(target: &'static str) -> Asked {
    asked("GET", target, &[], Sent::None)
}

fn bytes(count: usize) -> Vec<u8> {
    (0..=250).cycle().take(count).collect()
}

/// The requests.
pub(crate) fn suite() -> Vec<Asked> {
    let mut suite: Vec<Asked> = [
        "/",
        "/?",
        "/?a=%20&b=+c",
        "/a%2Fb",
        "/a%2fb/%61",
        "/caf%C3%A9",
        "/a//b///c",
        "/a/./b/../c",
        "/a/%2E%2E/b",
        "/a;b=c,d",
        "/100%25",
        "/a?b?c/d",
        "/~user/'()*!$&",
        "/trailing/",
        "/large",
        "/binary",
        "/stream",
        "/empty-stream",
        "/trailers",
        "/headers",
        "/moved",
        "/made",
        "/nothing",
        "/reset",
        "/same",
        "/missing",
        "/busy",
        "/panic",
        "/broken",
        "/broken-measured",
    ]
    .map(get)
    .into();
    for target in ["/", "/large", "/stream", "/missing", "/headers"] {
        suite.push(asked("HEAD", target, &[], Sent::None));
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        suite.push(asked(method, "/made/here", &[], Sent::None));
    }
    let kind: Headers = &[("Content-Type", b"application/x-bytes")];
    for count in [0, 5, 300_000] {
        suite.push(asked("POST", "/echo", kind, Sent::Measured(bytes(count))));
        suite.push(asked("POST", "/echo", kind, Sent::Chunked(bytes(count))));
        // nginx sends no more of a request body after the response has begun, so the echoed body is short.
        let short = bytes(count.min(3_000));
        suite.push(asked("PUT", "/mirror", kind, Sent::Measured(short)));
    }
    suite.push(asked(
        "POST",
        "/early",
        kind,
        Sent::Measured(bytes(300_000)),
    ));
    suite.push(asked(
        "GET",
        "/echo",
        &[
            ("Cookie", b"a=1; b=2"),
            ("X-Latin", b"caf\xe9"),
            ("Proxy", b"http://evil"),
            ("X-User", b"real"),
        ],
        Sent::None,
    ));
    suite.push(asked(
        "GET",
        "/echo",
        &[("X-Many", b"1"), ("X-Many", b"2")],
        Sent::None,
    ));
    suite
}
