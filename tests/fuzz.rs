//! The fuzz targets as property tests: any bytes, and bytes that look like what is read.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is the library of the fuzz targets")]
mod targets;

use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::TestRunner;

/// What turns up in the things that are read; mixed with any bytes, it gets past the first checks.
const WORDS: [&str; 56] = [
    "gzip",
    "br",
    "*",
    "identity",
    ";q=",
    "0.5",
    "1.000",
    "x-",
    ",",
    ", ",
    ";",
    "\"",
    "\\",
    "/",
    "//",
    "/a",
    "/b",
    "%2F",
    "%66",
    "%ff",
    "%",
    "..",
    "{a}",
    "{*rest}",
    "{",
    "}",
    "?",
    "#",
    "é",
    "\n",
    "\r",
    "\t",
    "\u{9b}",
    " ",
    "200 OK",
    "404 ",
    "X-A:",
    "Connection:",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 ",
    "08:49:37",
    " GMT",
    "http://h/",
    "[::1]:80",
    "[::",
    "]",
    ":",
    ".",
    "example.org",
    "for=",
    "host=",
    "proto=https",
    "unknown",
    "_x",
    "192.0.2.1",
    "\\\"",
];

fn data() -> impl Strategy<Value = Vec<u8>> {
    let word = select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec());
    let noise = proptest::collection::vec(any::<u8>(), 1..6);
    let parts = proptest::collection::vec(prop_oneof![4 => word, 1 => noise], 0..12);
    parts.prop_map(|parts| parts.concat())
}

#[test]
fn every_target_holds_for_any_bytes() {
    for (name, target) in targets::TARGETS {
        let config = ProptestConfig {
            cases: 1_000,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let outcome = TestRunner::new(config).run(&data(), |data| {
            target(&data);
            Ok(())
        });
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

#[test]
fn every_target_holds_for_its_corpus() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let files: Vec<_> = std::fs::read_dir(root.join(name)).unwrap().collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            target(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}
