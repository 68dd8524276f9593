//! Reads the beginning of a body into memory, for components that need content before the application.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use enfilade_core::{Body, BodyError};
use http_body::{Body as HttpBody, Frame, SizeHint};

use enfilade_core::NextFrame;

/// The beginning of a body, up to a limit, and the rest of it.
///
/// The content is copied: a kept chunk would keep the whole buffer that it is a part of, and the peer controls the
/// number of chunks, including empty ones.
pub(crate) struct Kept {
    start: Bytes,
    /// The last frame, which is not part of the beginning: a chunk above the limit, trailers, or a failure.
    next: Option<Result<Frame<Bytes>, BodyError>>,
    rest: Body,
    is_whole: bool,
}

impl Kept {
    /// Reads a body until it ends, is longer than `limit`, or fails.
    pub(crate) async fn read(mut rest: Body, limit: usize) -> Kept {
        let mut start = BytesMut::new();
        let (next, is_whole) = loop {
            match rest.frame().await.map(|frame| frame.map(Frame::into_data)) {
                None => break (None, true),
                Some(Ok(Ok(data))) if data.len() <= limit - start.len() => {
                    start.extend_from_slice(&data);
                }
                Some(Ok(Ok(data))) => break (Some(Ok(Frame::data(data))), false),
                // Nothing follows trailers (RFC 9110, section 6.5).
                Some(Ok(Err(trailers))) => break (Some(Ok(trailers)), true),
                Some(Err(error)) => break (Some(Err(error)), false),
            }
        };
        Kept {
            start: start.freeze(),
            next,
            rest,
            is_whole,
        }
    }

    /// Returns the content, if it is complete.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        self.is_whole.then_some(&self.start)
    }

    /// Returns the body as if it had not been read; in memory if it is complete and has no trailers.
    pub(crate) fn into_body(self) -> Body {
        match self.is_whole && self.next.is_none() {
            true => self.start.into(),
            false => Body::new(self),
        }
    }
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> NextFrame {
        if !self.start.is_empty() {
            let start = std::mem::take(&mut self.start);
            return Poll::Ready(Some(Ok(Frame::data(start))));
        }
        match self.next.take() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_empty() && self.next.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let next = match &self.next {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        let read = (self.start.len() + next) as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + read);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + read);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    /// Chunks, and the frame that ends them.
    struct Frames(Vec<Result<Frame<Bytes>, BodyError>>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> NextFrame {
            Poll::Ready((!self.0.is_empty()).then(|| self.0.remove(0)))
        }
    }

    fn kept(frames: Vec<Result<Frame<Bytes>, BodyError>>, limit: usize) -> Kept {
        pollster::block_on(Kept::read(Body::new(Frames(frames)), limit))
    }

    fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
        Ok(Frame::data(text.into()))
    }

    #[test]
    fn a_body_is_whole_up_to_its_limit_and_the_same_afterwards() {
        let trailers = || Ok(Frame::trailers(HeaderMap::new()));
        let failure = || Err(BodyError::new("cable cut"));
        type Make<'a> = &'a dyn Fn() -> Vec<Result<Frame<Bytes>, BodyError>>;
        let cases: [(Make<'_>, Option<&str>, &str); 7] = [
            (&Vec::new, Some(""), ""),
            (
                &|| vec![data("ab"), data(""), data("cd")],
                Some("abcd"),
                "abcd",
            ),
            (&|| vec![data("ab"), data("cde")], None, "abcde"),
            (&|| vec![data("abcde"), data("f")], None, "abcdef"),
            (&|| vec![data("abcd"), data("e"), data("f")], None, "abcdef"),
            (&|| vec![data("ab"), trailers()], Some("ab"), "ab+trailers"),
            (&|| vec![data("ab"), failure()], None, "ab+failure"),
        ];
        for (make, whole, expected) in cases {
            let kept = kept(make(), 4);
            let found = kept.whole().map(|whole| String::from_utf8_lossy(whole));
            assert_eq!(found.as_deref(), whole, "{expected}");
            let mut body = kept.into_body();
            let mut found = String::new();
            while let Some(frame) = pollster::block_on(body.frame()) {
                match frame.map(Frame::into_data) {
                    Ok(Ok(data)) => found.push_str(std::str::from_utf8(&data).unwrap()),
                    Ok(Err(_)) => found.push_str("+trailers"),
                    Err(_) => found.push_str("+failure"),
                }
            }
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_chunk_that_is_too_much_is_not_copied() {
        let chunk = Bytes::from(vec![b'x'; 10]);
        let mut kept = kept(vec![data("ab"), Ok(Frame::data(chunk.clone()))], 4).into_body();
        assert_eq!(http_body::Body::size_hint(&kept).lower(), 12);
        let mut next = || pollster::block_on(kept.frame()).unwrap().unwrap();
        assert_eq!(next().into_data().unwrap(), "ab");
        assert_eq!(next().into_data().unwrap().as_ptr(), chunk.as_ptr());
    }
}
