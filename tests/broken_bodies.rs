//! Bodies that fail, or have another length than they announce, do not look complete behind any gateway.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod broken;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod frames;
    pub(crate) mod running;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::time::Duration;

use enfilade::Server;

use self::support::broken::{all, app};
use self::support::frames::{Frames, Kind};
use self::support::running::Running;
use self::support::wire::Wire;

fn serve() -> Running {
    let server = Server::bind("127.0.0.1:0").unwrap();
    Running::serve(server.shutdown_deadline(Duration::from_secs(1)), app())
}

#[test]
fn http_1_0_resets_a_body_without_an_end() {
    let running = serve();
    for (target, content, is_reset) in [
        ("/abc", "abc", false),
        ("/abc%7C.def", "abc.def", false),
        ("/abc%7C.def%7C!", "abc.def", true),
        ("/.abc%7C!", ".abc", true),
    ] {
        let mut wire = Wire::connect(running.address());
        wire.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        let (response, found) = all(wire.stream);
        assert_eq!(found, is_reset, "{target}");
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, content, "{target}");
    }
}

#[test]
fn http_1_1_shows_that_a_body_is_incomplete() {
    let running = serve();
    for (target, status, content) in [
        // Complete ones.
        ("/abc", 200, "3\r\nabc\r\n0\r\n\r\n"),
        ("/abc%7C.de?6", 200, "abc.de"),
        // Too short, at once and later: the client waits for more, and finds the end of the connection.
        ("/abc?10", 200, "abc"),
        ("/abc%7C.de?10", 200, "abc.de"),
        ("/.abc?10", 200, ".abc"),
        // Too long: the part up to the length would look complete.
        ("/abc%7Cdef?5", 200, "abc"),
        ("/abcde%7Cf?5", 200, ""),
        ("/abc%7Cde%7Cf?5", 200, "abc"),
        ("/abc%7C.de?5", 200, "abc"),
        // Failures.
        ("/abc%7C!", 200, "3\r\nabc\r\n"),
        ("/abc%7C!?3", 200, "abc"),
        // Known before the head.
        ("/?10", 500, "Internal Server Error"),
        ("/!?10", 500, "Internal Server Error"),
        ("/abcdef?5", 500, "Internal Server Error"),
        ("/abc?0", 500, "Internal Server Error"),
    ] {
        let mut wire = Wire::connect(running.address());
        wire.send(format!(
            "GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        ));
        let (response, _) = all(wire.stream);
        let (head, body) = response
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{target}"));
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{target}: {head}"
        );
        assert_eq!(body, content, "{target}");
    }
}

#[test]
fn http_2_resets_a_body_of_the_wrong_length() {
    let running = serve();
    for (target, content, is_reset) in [
        ("/abc?3", "abc", false),
        ("/abc%7C.de?6", "abc.de", false),
        ("/abc?10", "abc", true),
        ("/abc%7C.de?10", "abc.de", true),
        ("/abc%7Cdef?5", "abc", true),
        ("/abcdef?5", "Internal Server Error", false),
        ("/abcde%7Cf?5", "", true),
        ("/abcde%7C!?5", "abcde", true),
        ("/abc%7C!?3", "abc", true),
        ("/abc%7C!?10", "abc", true),
        ("/?10", "Internal Server Error", false),
    ] {
        let mut frames = Frames::connect(running.address(), 1 << 16);
        frames.get(1, target);
        let mut found = Vec::new();
        let ends_in_reset = loop {
            let frame = frames.next().unwrap();
            match frame.kind {
                Kind::DATA => found.extend(&frame.payload),
                Kind::RST_STREAM => break true,
                _ => {}
            }
            if frame.stream == 1 && frame.flags & 1 != 0 {
                break false;
            }
        };
        let found = String::from_utf8(found).unwrap();
        assert_eq!(
            (found.as_str(), ends_in_reset),
            (content, is_reset),
            "{target}"
        );
    }
}
