//! The system's `gzip` reads our compressed bodies.

use std::io::Write;
use std::process::{Command, Stdio};

use enfilade::middleware::{Coding, Compression};
use enfilade::{Application, Body, Request};
use enfilade_testing::Client;
use proptest::prelude::*;

/// Returns the output of `gzip -dc`.
fn gunzip(coded: &[u8]) -> std::io::Result<Vec<u8>> {
    let piped = || Stdio::piped();
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(piped())
        .stdout(piped())
        .spawn()?;
    let (input, coded) = (gzip.stdin.take(), coded.to_vec());
    let writer = std::thread::spawn(move || input.map(|mut input| input.write_all(&coded)));
    let output = gzip.wait_with_output()?;
    writer.join().expect("writing does not panic").transpose()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(std::io::Error::other(format!("{}", output.status))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gzip_reads_our_compressed_bodies(
        pieces in proptest::collection::vec("[a-f ]{0,40}|.{0,2000}", 1..40),
        level in 1..=9_u32,
        is_stream in any::<bool>(),
    ) {
        let content = pieces.concat();
        let app = Application::new(move |_: Request| match is_stream {
            true => Body::from_iterator(pieces.clone()),
            false => pieces.concat().into(),
        });
        let compression = Compression::new().level(Coding::Gzip, level).min_size(0).only_if(|_| true);
        let client = Client::new(app.wrap(compression));
        let response = client.get("/").header("accept-encoding", "gzip").send();
        match response.header("content-encoding") {
            Some("gzip") => {
                prop_assert_eq!(gunzip(response.bytes())?, content.as_bytes())
            },
            // Empty bodies are never compressed.
            other => prop_assert!(other.is_none() && content.is_empty(), "{:?}", other),
        }
    }
}
