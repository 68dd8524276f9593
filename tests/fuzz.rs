//! The fuzz targets as property tests: any bytes, and bytes that look like valid input.

#[path = "../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "the file is the library of the fuzz targets"
)]
mod targets;

use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::TestRunner;

/// Parts of valid inputs; mixed with any bytes, they get past the first checks.
const WORDS: [&str; 91] = [
    "Basic ",
    "YTpiOmM=",
    "Bearer ",
    "$argon2id$v=19$m=8,t=1,p=1$",
    "c29tZXNhbHQ$",
    "__Host-session=",
    "e1.",
    "bytes=",
    "bytes=0-",
    "-5",
    "3-7",
    "18446744073709551615",
    "W/\"a\"",
    "\"a,b\"",
    "bytes 0-4/10",
    "--e\r\n",
    "\r\n--e\r\n",
    "\r\n--e--",
    "content-disposition: form-data; name=\"a\"\r\n\r\n",
    "; filename=\"b\"",
    "\r\n",
    "a=b",
    "&",
    "{\"a\":",
    "[1,",
    "]}",
    "s1.",
    "gzip",
    "deflate",
    "zstd",
    "gzip\n",
    "br\n",
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
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "-b7ad6b7169203331-",
    "a=1",
    "k@v=",
];

/// `Hello?` in gzip, zlib, br and zstd; the beginning of a gzip file; and parts of requests by FastCGI, SCGI and CGI.
const CODED: [&[u8]; 14] = [
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xf3\x48\xcd\xc9\xc9\xb7\x07\x00\x35\xf1\x25\x67\x06\x00\x00\x00",
    b"\x78\x9c\xf3\x48\xcd\xc9\xc9\xb7\x07\x00\x07\xc0\x02\x34",
    b"\x8b\x02\x80\x48\x65\x6c\x6c\x6f\x3f\x03",
    b"\x28\xb5\x2f\xfd\x20\x06\x31\x00\x00\x48\x65\x6c\x6c\x6f\x3f",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0",
    b"\x01\x04\0\x01\0\x25\0\0\x0e\x03REQUEST_METHODGET\x0b\x05REQUEST_URI/a%2F",
    b"\x01\x04\0\x01\0\0\0\0",
    b"\x01\x05\0\x01\0\x02\0\0Hi",
    b"\x01\x05\0\x01\0\0\0\0",
    b"\x01\x02\0\x01\0\0\0\0",
    b"58:CONTENT_LENGTH\x002\0SCGI\x001\0REQUEST_METHOD\0POST\0REQUEST_URI\0/\0,Hi",
    b"\nCONTENT_LENGTH=",
    b"\nSCRIPT_NAME=/a\nPATH_INFO=/b\nREQUEST_URI=",
];

fn data() -> impl Strategy<Value = Vec<u8>> {
    let word = select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec());
    let coded = select(&CODED[..]).prop_map(<[u8]>::to_vec);
    let noise = proptest::collection::vec(any::<u8>(), 1..6);
    let parts = proptest::collection::vec(prop_oneof![8 => word, 1 => coded, 2 => noise], 0..12);
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
