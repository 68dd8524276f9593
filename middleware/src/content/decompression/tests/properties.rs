//! Properties of all content, in any coding and split in any way.

use std::iter;

use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// Content with runs and noise, as it is in life.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let run = (any::<u8>(), 0..3_000_usize).prop_map(|(byte, length)| vec![byte; length]);
    let noise = proptest::collection::vec(any::<u8>(), 0..300);
    let words =
        proptest::collection::vec(proptest::sample::select(&["la ", "li, ", "lu\n"]), 0..50);
    let words = words.prop_map(|words| words.concat().into_bytes());
    let parts = proptest::collection::vec(prop_oneof![run, noise, words], 0..5);
    parts.prop_map(|parts| parts.concat())
}

fn holds<S: Strategy>(strategy: S, holds: impl Fn(S::Value)) {
    let config = Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        holds(value);
        Ok(())
    });
    outcome.unwrap();
}

/// Cuts at these places, taken around the length.
fn cut(content: &[u8], places: &[usize]) -> Vec<Bytes> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|place| place % (content.len() + 1))
        .collect();
    places.sort_unstable();
    let ends = places.iter().copied().chain([content.len()]);
    let begins = iter::once(0).chain(places.iter().copied());
    let parts = begins.zip(ends);
    parts
        .map(|(begin, end)| Bytes::copy_from_slice(&content[begin..end]))
        .collect()
}

fn places() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0..100_000_usize, 0..10)
}

#[test]
fn what_was_coded_comes_back_in_all_chunkings() {
    let client = client(Decompression::new());
    let ways = proptest::sample::select(all());
    holds((content(), ways, places()), |(content, codings, places)| {
        let body = coded_by(&codings, &content);
        let name = names(&codings);
        for body in [
            Body::from_iterator(cut(&body, &places)),
            Body::from_list(cut(&body, &places)),
            in_chunks(&body, 1),
        ] {
            assert_eq!(post(&client, &name, body), (200, content.clone().into()));
        }
    });
}

#[test]
fn what_was_coded_in_parts_comes_back_whole() {
    let client = client(Decompression::new());
    let several: Vec<Coding> = Coding::ALL
        .iter()
        .copied()
        .filter(|coding| ["gzip", "zstd"].contains(&coding.name()))
        .collect();
    let codings = proptest::sample::select(several);
    let strategy = (content(), codings, places(), places());
    holds(strategy, |(content, coding, members, places)| {
        let members = cut(&content, &members).into_iter();
        let body: Vec<u8> = members.flat_map(|part| compressed(coding, &part)).collect();
        let body = Body::from_iterator(cut(&body, &places));
        let response = post(&client, coding.name(), body);
        assert_eq!(response, (200, content.into()));
    });
}

#[test]
fn no_beginning_of_coded_content_is_taken_for_the_whole() {
    let client = client(Decompression::new());
    let ways = proptest::sample::select(all());
    let strategy = (content(), ways, 0..100_000_usize, places());
    holds(strategy, |(content, codings, length, places)| {
        let mut body = coded_by(&codings, &content);
        body.truncate(length % body.len());
        if body.is_empty() {
            return;
        }
        let body = Body::from_iterator(cut(&body, &places));
        assert_eq!(post(&client, &names(&codings), body).0, 400);
    });
}

#[test]
fn any_bytes_are_content_or_a_400() {
    let client = client(Decompression::new().limit(1_000));
    let ways = proptest::sample::select(all());
    let strategy = (content(), ways, places(), any::<u8>());
    holds(strategy, |(content, codings, places, byte)| {
        let mut body = coded_by(&codings, &content);
        for place in &places {
            let at = place % body.len();
            body[at] = byte;
        }
        let whole = post(&client, &names(&codings), body.clone());
        assert!([200, 400, 413].contains(&whole.0), "{}", whole.0);
        assert!(whole.1.len() <= 1_000);
        let by_byte = post(&client, &names(&codings), in_chunks(&body, 1));
        assert!([200, 400, 413].contains(&by_byte.0), "{}", by_byte.0);
        assert_eq!(by_byte.0 == 200, whole.0 == 200);
    });
}

#[test]
fn a_changed_byte_is_told_however_the_content_comes() {
    let client = client(Decompression::new());
    for coding in Coding::ALL.iter().copied() {
        for content in ["", "a", "abcabcabcabcabcabc"] {
            let compressed = compressed(coding, content.as_bytes());
            for (at, byte) in
                (0..compressed.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte)))
            {
                let mut body = compressed.clone();
                body[at] = byte;
                let whole = post(&client, coding.name(), body.clone());
                let by_byte = post(&client, coding.name(), in_chunks(&body, 1));
                let case = format!("{} {content:?} {at} {byte}", coding.name());
                assert_eq!(by_byte.0 == 200, whole.0 == 200, "{case}");
            }
        }
    }
}
