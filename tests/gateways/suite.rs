//! The requests that every gateway is asked, and what the web servers in front change of the answers.

use crate::client::{Asked, Seen, Sent};

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
        // nginx sends nothing more of a body once the answer has begun, so what is given back as it comes is short.
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

/// What a web server does to an answer that the application did not.
pub(crate) struct Difference {
    pub(crate) doors: &'static [&'static str],
    pub(crate) reason: &'static str,
    /// Changes what was expected, or what was found, so that they are equal again.
    pub(crate) level: fn(&Asked, &mut Seen, &mut Seen),
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        doors: &["cgi"],
        reason: "lighttpd says that it serves ranges of answers that it has whole.",
        level: |_, _, found| found.headers.retain(|(name, _)| name != "accept-ranges"),
    },
    Difference {
        doors: &["cgi"],
        reason: "lighttpd says the length of a stream that has ended before it began to answer.",
        level: |_, expected, found| {
            let length = (
                String::from("content-length"),
                found.body.len().to_string().into_bytes(),
            );
            if !expected.headers.iter().any(|(name, _)| *name == length.0) {
                found.headers.retain(|header| *header != length);
            }
        },
    },
    Difference {
        doors: &["cgi"],
        reason: "lighttpd leaves headers without a value out.",
        level: |_, expected, _| expected.headers.retain(|(_, value)| !value.is_empty()),
    },
    Difference {
        doors: &["cgi"],
        reason: "lighttpd wants a POST to say its length, which RFC 9110, section 15.5.12, lets it.",
        level: |asked, expected, found| {
            if asked.method == "POST" && matches!(asked.body, Sent::None) && found.status == 411 {
                *expected = found.clone();
            }
        },
    },
    Difference {
        doors: &["fastcgi", "kept", "scgi"],
        reason: "nginx drops what it has not sent yet of an answer that breaks off, the head if need be.",
        level: |asked, expected, found| {
            if asked.target.starts_with("/broken") && !found.is_whole {
                *expected = found.clone();
            }
        },
    },
    Difference {
        doors: &["cgi"],
        reason: "A response that does not say its length has no other end than the program's.",
        level: |asked, expected, _| expected.is_whole |= asked.target == "/broken",
    },
];
