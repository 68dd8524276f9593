use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::Waker;

use http_body::Frame;

use super::*;
use crate::message::body::Outcome;
use crate::message::error::BodyErrorKind;

/// A source that records its reads, and takes one turn for each.
#[derive(Clone, Default)]
struct Slow {
    bytes: Bytes,
    reads: Arc<Mutex<Vec<(u64, usize)>>>,
    dropped: Arc<AtomicBool>,
}

struct Turn(bool, Arc<AtomicBool>);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

impl ReadAt for Slow {
    fn read_at(&self, offset: u64, limit: usize) -> SourceRead {
        self.reads.lock().unwrap().push((offset, limit));
        let (bytes, turn) = (self.bytes.clone(), Turn(false, self.dropped.clone()));
        SourceRead::from_future(async move {
            turn.await;
            match bytes.read_at(offset, limit).0 {
                ReadState::Ready(read) => read,
                ReadState::Pending(read) => read.await,
            }
        })
    }
}

fn slow(bytes: impl Into<Bytes>) -> Slow {
    Slow {
        bytes: bytes.into(),
        ..Slow::default()
    }
}

fn source(text: &'static str) -> Arc<dyn ReadAt> {
    Arc::new(Bytes::from(text))
}

/// All the bytes of the body, with its failure.
fn read(mut body: Body) -> (Vec<u8>, Option<BodyError>) {
    let mut all = Vec::new();
    while let Some(frame) = pollster::block_on(body.frame()) {
        match frame.map(Frame::into_data) {
            Ok(data) => all.extend_from_slice(&data.unwrap()),
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

fn mixed() -> Body {
    Body::from_segments([
        Segment::from("ab"),
        Segment::new(source("0123456789"), 3..6),
        Segment::from(""),
        Segment::new(Arc::new(slow("vwxyz")), 1..5),
        Segment::from("cd"),
    ])
}

#[test]
fn segments_are_sent_in_order_and_their_length_is_known() {
    let body = mixed();
    assert_eq!(format!("{body:?}"), "Body(11 bytes in 4 segments)");
    assert_eq!(body.known_length(), Some(11));
    assert!(!body.is_in_memory() && body.as_bytes().is_none() && !body.is_finished());
    let body = body.try_into_bytes().unwrap_err();
    assert_eq!(pollster::block_on(body.collect(11)).unwrap(), "ab345wxyzcd");
    let error = pollster::block_on(mixed().collect(10)).unwrap_err();
    assert_eq!(error.kind(), BodyErrorKind::TooLarge);
}

#[test]
fn segments_in_memory_are_a_body_in_memory() {
    let body = Body::from_segments(["ab", "", "cd"]);
    assert_eq!(body.try_into_bytes().unwrap(), "abcd");
    assert_eq!(Body::from_segments(["ab"]).as_bytes().unwrap(), "ab");
    let nothing = Body::from_segments([Segment::new(source("ab"), 1..1)]);
    assert!(nothing.is_finished() && nothing.is_in_memory());
    let reversed = Range { start: 2, end: 1 };
    assert!(Segment::new(source("ab"), reversed).is_empty());
}

#[test]
fn a_slice_is_the_same_slice_of_the_bytes() {
    let all = "ab345wxyzcd";
    for start in 0..=all.len() {
        for end in start..=all.len() {
            let range = start as u64..end as u64;
            let expected = (all.as_bytes()[start..end].to_vec(), None::<()>);
            for body in [
                mixed(),
                Body::from(all),
                Body::from_list(["ab3", "45wxy", "zcd"]),
            ] {
                let slice = body.slice(range.clone()).unwrap();
                assert_eq!(slice.known_length(), Some(range.end - range.start));
                let middle = 0..slice.known_length().unwrap() / 2;
                let again = slice.segments(middle.clone()).unwrap();
                let (bytes, failure) = read(slice);
                assert_eq!((bytes, failure.map(drop)), expected, "{range:?}");
                let half = expected.0.get(..usize::try_from(middle.end).unwrap());
                assert_eq!(Some(&*read(Body::from_segments(again)).0), half);
            }
        }
    }
}

#[test]
fn a_slice_outside_the_body_and_one_of_a_stream_are_errors() {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let outside = |range: (Bound<u64>, Bound<u64>)| {
        let error = mixed().slice(range).unwrap_err();
        assert_eq!(error.kind(), BodyErrorKind::OutOfRange, "{range:?}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the body has 11 bytes");
    };
    outside((Included(0), Excluded(12)));
    outside((Included(0), Included(11)));
    outside((Included(12), Unbounded));
    outside((Included(5), Excluded(4)));
    outside((Excluded(u64::MAX), Unbounded));
    outside((Unbounded, Included(u64::MAX)));
    let inside = mixed().slice((Excluded(8), Included(10))).unwrap();
    assert_eq!(read(inside).0, b"cd");
    assert!(mixed().slice(11..).unwrap().is_finished());
    for stream in [
        Body::from_iterator(["ab"]),
        mixed().with_trailers(http::HeaderMap::new()),
        mixed().inspect_frames(|next| next()),
    ] {
        let error = stream.slice(..).unwrap_err();
        assert_eq!(error.kind(), BodyErrorKind::NotSliceable);
    }
}

#[test]
fn a_slice_counts_from_the_next_byte_and_keeps_what_was_read() {
    let file = slow("0123456789");
    let mut body = Body::from_segments([Segment::new(Arc::new(file.clone()), 0..10)]);
    let mut context = Context::from_waker(Waker::noop());
    assert!(body.poll_piece(&mut context, 4).is_pending());
    assert!(body.poll_piece(&mut context, 4).is_ready());
    assert_eq!(body.known_length(), Some(6));
    let slice = body.slice(1..5).unwrap();
    assert_eq!(read(slice).0, b"5678");
    assert_eq!(*file.reads.lock().unwrap(), [(0, 10)]);
}

#[test]
fn a_slice_reports_the_end_of_its_body() {
    let (sender, ends) = mpsc::channel();
    let body = mixed().on_end(move |end| sender.send((end.bytes(), end.outcome())).unwrap());
    assert_eq!(read(body.slice(1..4).unwrap()).0, b"b34");
    assert_eq!(ends.iter().collect::<Vec<_>>(), [(3, Outcome::Complete)]);
    let (sender, ends) = mpsc::channel();
    let body = mixed().on_end(move |end| sender.send((end.bytes(), end.outcome())).unwrap());
    drop(body.slice(5..5).unwrap());
    assert_eq!(ends.iter().collect::<Vec<_>>(), [(0, Outcome::Complete)]);
}

#[test]
fn a_source_that_ends_early_fails_the_body_and_one_that_grew_is_cut() {
    let body = Body::from_segments([
        Segment::from("head"),
        Segment::new(source("0123"), 2..7),
        Segment::from("tail"),
    ]);
    let (sender, ends) = mpsc::channel();
    let body = body.on_end(move |end| sender.send((end.bytes(), end.outcome())).unwrap());
    let (bytes, failure) = read(body);
    assert_eq!(bytes, b"head23");
    let failure = failure.unwrap();
    assert_eq!(failure.kind(), BodyErrorKind::Failed);
    let cause = std::error::Error::source(&failure).unwrap().to_string();
    assert_eq!(cause, "its source ends at byte 4 of 7");
    assert_eq!(ends.iter().collect::<Vec<_>>(), [(6, Outcome::Failed)]);

    struct Generous;
    impl ReadAt for Generous {
        fn read_at(&self, _: u64, limit: usize) -> SourceRead {
            SourceRead::new(vec![b'x'; limit + 1])
        }
    }
    let body = Body::from_segments([Segment::new(Arc::new(Generous), 0..3), "y".into()]);
    assert_eq!(read(body).0, b"xxxy");
    let last = u64::MAX - 1..u64::MAX;
    let (bytes, failure) = read(Body::from_segments([Segment::new(source("a"), last)]));
    assert!(bytes.is_empty() && failure.is_some());
}

#[test]
fn a_source_that_fails_or_panics_fails_the_body() {
    struct Bad(fn() -> SourceRead);
    impl ReadAt for Bad {
        fn read_at(&self, _: u64, _: usize) -> SourceRead {
            self.0()
        }
    }
    let cases: [(fn() -> SourceRead, _, _); 4] = [
        (
            || SourceRead::failed("cable cut"),
            BodyErrorKind::Failed,
            "cable cut",
        ),
        (
            || SourceRead::from_future(async { Err("cable cut".into()) }),
            BodyErrorKind::Failed,
            "cable cut",
        ),
        (|| panic!("boom"), BodyErrorKind::Panicked, "panicked: boom"),
        (
            || SourceRead::from_future(async { panic!("boom") }),
            BodyErrorKind::Panicked,
            "panicked: boom",
        ),
    ];
    for (make, kind, cause) in cases {
        let body = Body::from_segments([Segment::new(Arc::new(Bad(make)), 0..3), "y".into()]);
        let (bytes, failure) = read(body);
        let failure = failure.unwrap();
        assert_eq!((bytes.len(), failure.kind()), (0, kind));
        let found = std::error::Error::source(&failure).unwrap().to_string();
        assert_eq!(found, cause);
    }
}

#[test]
fn a_body_dropped_early_stops_its_read_then_reports() {
    let file = slow("0123");
    let (dropped, (sender, ends)) = (file.dropped.clone(), mpsc::channel());
    let body = Body::from_segments([Segment::new(Arc::new(file.clone()), 0..4)]);
    let mut body = body.on_end(move |end| {
        let stopped = dropped.load(Ordering::SeqCst);
        sender.send((end.outcome(), stopped)).unwrap();
    });
    let mut context = Context::from_waker(Waker::noop());
    assert!(body.poll_piece(&mut context, 4).is_pending());
    drop(body);
    assert_eq!(ends.recv().unwrap(), (Outcome::Dropped, true));
    assert_eq!(file.reads.lock().unwrap().len(), 1);
}

#[test]
fn a_read_is_a_few_pieces_and_never_more_than_its_limit() {
    let length = 600 * 1024;
    for (limit, expected) in [
        (
            usize::MAX,
            vec![(0, READ), (READ as u64, READ), (2 * READ as u64, 90_112)],
        ),
        (
            64 * 1024,
            vec![(0, READ), (READ as u64, READ), (2 * READ as u64, 90_112)],
        ),
        (
            40 * 1024,
            (0..4)
                .map(|n| (n * 163_840, 163_840.min(length - n as usize * 163_840)))
                .collect(),
        ),
    ] {
        let file = slow(vec![7; length]);
        let mut body =
            Body::from_segments([Segment::new(Arc::new(file.clone()), 0..length as u64)]);
        let mut context = Context::from_waker(Waker::noop());
        let mut count = 0;
        while count < length {
            if let Poll::Ready(piece) = body.poll_piece(&mut context, limit) {
                let piece = piece.unwrap().unwrap().into_data().unwrap();
                assert!(piece.len() <= limit);
                count += piece.len();
            }
        }
        assert_eq!(*file.reads.lock().unwrap(), expected);
    }
}

#[test]
fn only_a_whole_file_is_one() {
    struct Named(Bytes);
    impl ReadAt for Named {
        fn read_at(&self, offset: u64, limit: usize) -> SourceRead {
            self.0.read_at(offset, limit)
        }
        fn as_file(&self) -> Option<(&Path, u64)> {
            Some((Path::new("/srv/a"), 4))
        }
    }
    let named: Arc<dyn ReadAt> = Arc::new(Named(Bytes::from("0123")));
    let file = |range| Body::from_segments([Segment::new(named.clone(), range)]);
    let path = Some(Path::new("/srv/a"));
    assert_eq!(file(0..4).whole_file(), path);
    assert_eq!(file(0..4).on_end(|_| ()).whole_file(), path);
    assert_eq!(Body::new(file(0..4)).slice(..).unwrap().whole_file(), path);
    let whole = Segment::new(named.clone(), 0..4);
    let mut begun = file(0..4);
    pollster::block_on(begun.frame()).unwrap().unwrap();
    for body in [
        file(1..4),
        file(0..3),
        Body::from_segments([whole.clone(), "a".into()]),
        Body::from_segments([Segment::new(source("0123"), 0..4)]),
        Body::from("0123"),
        file(0..4).inspect_frames(|next| next()),
        begun,
    ] {
        assert_eq!(body.whole_file(), None, "{body:?}");
    }
}

#[test]
fn a_body_of_segments_can_cross_threads_and_be_shared() {
    fn is_send_and_sync<T: Send + Sync>(_: T) {}
    is_send_and_sync(mixed());
    is_send_and_sync(Segment::from("ab"));
}
