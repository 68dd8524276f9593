//! The body as it is polled.

use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};

use enfilade_core::BodyError;
use http_body::{Body as _, Frame};

use super::super::chain::PIECE;
use super::*;

/// A body that plays back what it is given; `None` is a pause.
struct Script(Vec<Option<Result<Bytes, BodyError>>>, Arc<AtomicBool>);

impl http_body::Body for Script {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        match self.0.remove(0) {
            None => Poll::Pending,
            Some(next) => Poll::Ready(Some(next.map(Frame::data))),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

const BOUNDS: Bounds = Bounds {
    limit: 1 << 30,
    ratio: 2_000,
};

fn decoded(
    coding: Coding,
    script: Vec<Option<Result<Bytes, BodyError>>>,
) -> (Body, BodyFault, Arc<AtomicBool>) {
    let (dropped, body_fault) = (Arc::new(AtomicBool::new(false)), BodyFault::default());
    let inner = Body::new(Script(script, dropped.clone()));
    let codings = Codings {
        first: coding,
        then: None,
    };
    let body = Body::new(DecompressedBody::new(
        inner,
        codings,
        BOUNDS,
        body_fault.clone(),
    ));
    (body, body_fault, dropped)
}

fn part(content: &[u8]) -> Option<Result<Bytes, BodyError>> {
    Some(Ok(Bytes::copy_from_slice(content)))
}

fn poll(body: &mut Body) -> Poll<Option<Result<Bytes, BodyErrorKind>>> {
    let mut context = Context::from_waker(Waker::noop());
    let next = Pin::new(body).poll_frame(&mut context);
    next.map(|next| {
        let data = |frame: Frame<Bytes>| frame.into_data().unwrap();
        next.map(|frame| frame.map(data).map_err(|error| error.kind()))
    })
}

#[test]
fn what_came_so_far_arrives_when_the_stream_pauses() {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(b"one,").unwrap();
    encoder.flush().unwrap();
    let length = encoder.get_ref().len();
    encoder.write_all(b"two").unwrap();
    let all = encoder.finish().unwrap();
    let (first, second) = all.split_at(length);
    let script = vec![part(first), None, None, part(second), None];
    let (mut body, body_fault, _) = decoded(Coding::Gzip, script);
    assert_eq!(poll(&mut body), Poll::Ready(Some(Ok("one,".into()))));
    assert_eq!(poll(&mut body), Poll::Pending);
    assert_eq!(poll(&mut body), Poll::Ready(Some(Ok("two".into()))));
    assert_eq!(poll(&mut body), Poll::Ready(None));
    assert!(body_fault.status().is_none());
}

#[test]
fn a_body_that_fails_or_is_dropped_drops_what_feeds_it() {
    let good = compressed(Coding::Gzip, TEXT);
    let (mut body, body_fault, dropped) = decoded(Coding::Gzip, vec![part(b"garbage"), None]);
    assert_eq!(
        poll(&mut body),
        Poll::Ready(Some(Err(BodyErrorKind::Failed)))
    );
    assert_eq!(body_fault.status().map(|status| status.as_u16()), Some(400));
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!(poll(&mut body), Poll::Ready(None));

    let (mut body, _, dropped) = decoded(Coding::Gzip, vec![part(&good[..15]), None, None]);
    assert!(poll(&mut body).is_ready());
    assert!(!dropped.load(Ordering::SeqCst));
    drop(body);
    assert!(dropped.load(Ordering::SeqCst));

    // Not a fault of the content, so the response is not replaced.
    let cut = Some(Err(BodyError::new("cut")));
    let (mut body, body_fault, dropped) = decoded(Coding::Gzip, vec![part(&good[..15]), cut]);
    assert_eq!(
        poll(&mut body),
        Poll::Ready(Some(Err(BodyErrorKind::Failed)))
    );
    assert!(body_fault.status().is_none());
    assert!(dropped.load(Ordering::SeqCst));

    let large = Some(Err(BodyError::too_large()));
    let (mut body, body_fault, _) = decoded(Coding::Gzip, vec![large]);
    let expected = Poll::Ready(Some(Err(BodyErrorKind::TooLarge)));
    assert_eq!(poll(&mut body), expected);
    assert!(body_fault.status().is_none());
}

#[test]
fn pieces_are_bounded_and_small_ones_are_put_together() {
    for coding in Coding::ALL {
        let body = compressed(*coding, &vec![7; 100_000]);
        let script = body.iter().map(|byte| part(&[*byte])).collect();
        let (mut body, ..) = decoded(*coding, script);
        let mut lengths = Vec::new();
        loop {
            match poll(&mut body) {
                Poll::Ready(Some(piece)) => lengths.push(piece.unwrap().len()),
                Poll::Ready(None) => break,
                Poll::Pending => {}
            }
        }
        let rest = 100_000 % PIECE;
        assert_eq!(lengths.pop(), Some(rest), "{coding:?}");
        assert_eq!(lengths, [PIECE; 100_000 / PIECE], "{coding:?}");
    }
}

#[test]
fn others_have_their_turn_while_much_is_decoded() {
    #[derive(Default)]
    struct Counting(AtomicUsize);
    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let much = compressed(Coding::Gzip, &vec![0; 8 << 20]);
    let empty = compressed(Coding::Gzip, b"").repeat(10_000);
    for (content, least) in [(much, 32), (empty, 39)] {
        let woken = Arc::new(Counting::default());
        let waker = Waker::from(woken.clone());
        let (mut body, ..) = decoded(Coding::Gzip, vec![part(&content)]);
        let mut pending = 0;
        loop {
            match Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker)) {
                Poll::Ready(None) => break,
                Poll::Ready(Some(frame)) => drop(frame.unwrap()),
                Poll::Pending => pending += 1,
            }
        }
        assert!(pending >= least, "{pending}");
        assert_eq!(woken.0.load(Ordering::SeqCst), pending);
    }
}
