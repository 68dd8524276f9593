use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use std::pin::Pin;
use std::task::{Context, Poll};

use super::*;
use crate::message::body::source::Segment;
use crate::message::error::BodyErrorKind;

#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<(u64, Outcome)>>>);

impl Ends {
    fn watch(&self, body: Body) -> Body {
        let ends = self.clone();
        body.on_end(move |end| ends.0.lock().unwrap().push((end.bytes(), end.outcome())))
    }

    fn seen(&self) -> Vec<(u64, Outcome)> {
        self.0.lock().unwrap().clone()
    }
}

struct Chunks(Vec<Result<&'static str, &'static str>>);

impl Stream for Chunks {
    type Item = Result<&'static str, &'static str>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = (!self.0.is_empty()).then(|| self.0.remove(0));
        Poll::Ready(next)
    }
}

fn trailers() -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert("x-sum", "9".parse().unwrap());
    map
}

/// `ab` of a source.
fn file() -> Segment {
    Segment::new(Arc::new(Bytes::from("xaby")), 1..3)
}

fn every_kind() -> Vec<(&'static str, Body, Option<u64>)> {
    vec![
        ("", Body::empty(), Some(0)),
        ("", Body::from(""), Some(0)),
        ("abcd", Body::from("abcd"), Some(4)),
        ("abcd", Body::from_list(["ab", "", "cd"]), Some(4)),
        ("ab", Body::from_list(["ab", ""]), Some(2)),
        ("abcd", Body::from_iterator(["ab", "", "cd"]), None),
        (
            "abcd",
            Body::from_stream(Chunks(vec![Ok("ab"), Ok(""), Ok("cd")])),
            None,
        ),
        (
            "abcd",
            Body::from("abcd").with_trailers(trailers()),
            Some(4),
        ),
        (
            "abcd",
            Body::from_segments([file(), Segment::from("cd")]),
            Some(4),
        ),
    ]
}

#[test]
fn every_kind_tells_its_length_and_gives_its_bytes() {
    for (text, body, length) in every_kind() {
        let name = format!("{body:?}");
        assert_eq!(body.known_length(), length, "{name}");
        assert_eq!(pollster::block_on(body.collect(4)).unwrap(), text, "{name}");
    }
}

#[test]
fn collect_stops_at_the_limit() {
    for (text, body, _) in every_kind()
        .into_iter()
        .filter(|(text, ..)| text.len() == 4)
    {
        let error = pollster::block_on(body.collect(3)).unwrap_err();
        assert_eq!(error.kind(), BodyErrorKind::TooLarge, "{text}");
    }
}

#[test]
fn a_body_read_to_its_end_reports_once() {
    for (text, body, _) in every_kind() {
        let ends = Ends::default();
        let name = format!("{body:?}");
        let body = ends.watch(Body::new(ends.watch(body)));
        pollster::block_on(body.collect(4)).unwrap();
        let end = (text.len() as u64, Outcome::Complete);
        assert_eq!(ends.seen(), [end, end], "{name}");
    }
}

#[test]
fn the_end_is_reported_with_the_last_frame_where_the_reader_sees_it_coming() {
    let ends = Ends::default();
    let mut body = ends.watch(Body::from("four"));
    pollster::block_on(body.frame()).unwrap().unwrap();
    assert_eq!(ends.seen(), [(4, Outcome::Complete)]);
    assert!(pollster::block_on(body.frame()).is_none());
    drop(body);
    assert_eq!(ends.seen().len(), 1);
}

#[test]
fn a_body_dropped_early_stops_its_source_then_reports() {
    struct Source(Arc<AtomicBool>);
    impl Drop for Source {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    impl Iterator for Source {
        type Item = &'static str;
        fn next(&mut self) -> Option<&'static str> {
            Some("more")
        }
    }
    let (stopped, seen_stopped) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (flag, seen) = (stopped.clone(), seen_stopped.clone());
    let mut body = Body::from_iterator(Source(stopped)).on_end(move |end| {
        assert_eq!((end.bytes(), end.outcome()), (4, Outcome::Dropped));
        seen.store(flag.load(Ordering::SeqCst), Ordering::SeqCst);
    });
    pollster::block_on(body.frame()).unwrap().unwrap();
    drop(body);
    assert!(seen_stopped.load(Ordering::SeqCst));
}

#[test]
fn a_failing_source_is_reported_and_nothing_follows_it() {
    let ends = Ends::default();
    let mut body = ends.watch(Body::from_stream(Chunks(vec![
        Ok("ab"),
        Err("cut"),
        Ok("cd"),
    ])));
    assert_eq!(
        pollster::block_on(body.frame())
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "ab"
    );
    let error = pollster::block_on(body.frame()).unwrap().unwrap_err();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "cut"
    );
    assert!(pollster::block_on(body.frame()).is_none());
    assert_eq!(ends.seen(), [(2, Outcome::Failed)]);
}

#[test]
fn a_discarded_body_ended_well() {
    let ends = Ends::default();
    ends.watch(Body::from("never sent")).discard();
    ends.watch(Body::empty()).discard();
    assert_eq!(
        ends.seen(),
        [(0, Outcome::Complete), (0, Outcome::Complete)]
    );
}

#[test]
fn an_empty_body_that_is_not_read_is_complete() {
    let ends = Ends::default();
    drop(ends.watch(Body::empty()));
    drop(ends.watch(Body::from("unread")));
    assert_eq!(ends.seen(), [(0, Outcome::Complete), (0, Outcome::Dropped)]);
}

#[test]
fn trailers_come_last_and_join_those_of_the_content() {
    let mut body = Body::from("a")
        .with_trailers(trailers())
        .with_trailers(trailers());
    assert!(pollster::block_on(body.frame()).unwrap().unwrap().is_data());
    assert!(!body.is_finished());
    let section = pollster::block_on(body.frame())
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(section.get_all("x-sum").iter().count(), 2);
    assert!(pollster::block_on(body.frame()).is_none());
}

#[test]
fn a_body_in_memory_stays_there_through_wrapping() {
    let body = Body::new(Body::new(Body::from("still").on_end(|_| ())));
    assert_eq!(body.as_bytes().unwrap(), "still");
    assert_eq!(body.try_into_bytes().unwrap(), "still");
    assert_eq!(Body::from_list(["a", "b"]).try_into_bytes().unwrap(), "ab");
    assert!(Body::from_iterator(["a"]).try_into_bytes().is_err());
}

#[test]
fn a_source_that_panics_is_a_failure_and_is_dropped() {
    struct Held(Arc<AtomicBool>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
            panic!("once more");
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let held = Held(dropped.clone());
    let parts = (0..3).map(move |number| match number {
        0 => "begun",
        _ => panic!("with {}", held.0.load(Ordering::SeqCst)),
    });
    let ends = Ends::default();
    let mut body = ends.watch(Body::from_iterator(parts));
    let first = pollster::block_on(body.frame()).unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "begun");
    let error = pollster::block_on(body.frame()).unwrap().unwrap_err();
    assert_eq!(error.kind(), BodyErrorKind::Panicked);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "panicked: with false");
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!(ends.seen(), [(5, Outcome::Failed)]);
    assert!(pollster::block_on(body.frame()).is_none());
}

#[test]
fn a_body_in_pieces_ends_with_its_last_piece() {
    let stream = || Body::from_iterator(["abcde", "f", "ghijk"]);
    for (body, expected) in [
        (Body::empty(), &[][..]),
        (Body::from("ab"), &["ab"]),
        (Body::from("abcde"), &["ab", "cd", "e"]),
        (Body::from_list(["abc", "de", "f"]), &["ab", "c", "de", "f"]),
        (stream(), &["ab", "cd", "e", "f", "gh", "ij", "k"]),
        (
            Body::from("abc").with_trailers(http::HeaderMap::new()),
            &["ab", "c"],
        ),
        (
            Body::from_segments([Segment::from("cde"), file(), file()]),
            &["cd", "e", "ab", "ab"],
        ),
    ] {
        let (sender, ends) = std::sync::mpsc::channel();
        let name = format!("{body:?}");
        let mut body = body.on_end(move |end| sender.send(end).unwrap());
        let length = body.known_length();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut pieces = Vec::new();
        while let Poll::Ready(Some(frame)) = body.poll_piece(&mut context, 2) {
            let Ok(data) = frame.unwrap().into_data() else {
                continue;
            };
            pieces.push(data);
            if pieces.len() < expected.len() {
                assert!(ends.try_recv().is_err(), "{name}");
                assert!(!body.is_finished(), "{name}");
                let passed: usize = pieces.iter().map(Bytes::len).sum();
                let left = length.map(|length| length - passed as u64);
                assert_eq!(body.known_length(), left, "{name}");
            }
        }
        assert_eq!(pieces, expected, "{name}");
        let end = ends.try_recv().unwrap();
        let all: usize = expected.iter().map(|piece| piece.len()).sum();
        assert_eq!(
            (end.bytes(), end.outcome()),
            (all as u64, Outcome::Complete)
        );
    }
}

#[test]
fn a_body_that_is_dropped_between_pieces_is_not_complete() {
    for body in [
        Body::from("abcde"),
        Body::from_list(["abcde"]),
        Body::from_iterator(["abcde"]),
        Body::from_segments([Segment::from("abc"), file()]),
    ] {
        let (sender, ends) = std::sync::mpsc::channel();
        let mut body = body.on_end(move |end| sender.send(end).unwrap());
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(body.poll_piece(&mut context, 3).is_ready());
        drop(body);
        let end = ends.try_recv().unwrap();
        assert_eq!((end.bytes(), end.outcome()), (3, Outcome::Dropped));
    }
}

/// `Drop` of the body drops the content, which a compiler would do for a plain field.
#[test]
fn the_content_is_dropped_with_the_body_once() {
    /// Counts its drops; as the last buffer of a body, and as the source of a stream.
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            b"counted"
        }
    }

    impl Iterator for Counted {
        type Item = &'static str;

        fn next(&mut self) -> Option<&'static str> {
            Some("more")
        }
    }

    let owned = |count: &Arc<AtomicUsize>| Bytes::from_owner(Counted(count.clone()));
    let bodies: [&dyn Fn(&Arc<AtomicUsize>) -> Body; 4] = [
        &|count| Body::from(owned(count)),
        &|count| Body::from_list([Bytes::from_static(b"a"), owned(count)]),
        &|count| Body::from_iterator(Counted(count.clone())),
        &|count| Body::from_iterator(Counted(count.clone())).with_trailers(trailers()),
    ];
    for (at, body) in bodies.into_iter().enumerate() {
        let count = Arc::new(AtomicUsize::new(0));
        drop(body(&count));
        assert_eq!(count.load(Ordering::Relaxed), 1, "body {at}");
        let ends = Ends::default();
        drop(ends.watch(body(&count)));
        assert_eq!(count.load(Ordering::Relaxed), 2, "body {at}, watched");
        assert_eq!(ends.seen(), [(0, Outcome::Dropped)]);
        body(&count).discard();
        assert_eq!(count.load(Ordering::Relaxed), 3, "body {at}, discarded");
    }
}

#[test]
fn reports_are_dropped_even_if_the_content_panics_in_its_drop() {
    struct Bomb;

    impl Iterator for Bomb {
        type Item = &'static str;

        fn next(&mut self) -> Option<&'static str> {
            None
        }
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom");
        }
    }

    let kept = Arc::new(());
    let report = kept.clone();
    let body = Body::from_iterator(Bomb).on_end(move |_| drop(report));
    let dropped = crate::Panic::catch(move || drop(body));
    assert_eq!(dropped.unwrap_err().to_string(), "panicked: boom");
    assert_eq!(Arc::strong_count(&kept), 1);
}
