//! Reads content before the application does, and leaves it in the body.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::inspect::NextFrame;
use super::{Body, Content, join};
use crate::message::error::BodyError;

/// What [`Body::read_ahead`] found.
pub(in crate::message) enum Peeked {
    Whole(Bytes),
    TooLong,
    /// The body fails; reading it returns the error.
    Failed,
}

impl Body {
    /// Reads the content into memory, up to `limit` bytes, and leaves the body as if it had not been read.
    ///
    /// For components that need the content before the application: a method in a form, a token, a signature. The next
    /// reader gets the same content, now in memory. Chunks are copied, so a peer cannot make the program keep more than
    /// the limit and one chunk.
    ///
    /// Returns `None` if the content is longer than the limit, or if reading it failed; the next reader gets the error. If
    /// the future is dropped before it is ready, the content is lost, and the next reader gets an error.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Body;
    ///
    /// # pollster::block_on(async {
    /// let mut body = Body::from_iterator(["_method=", "DELETE"]);
    /// assert_eq!(body.peek(100).await.unwrap(), "_method=DELETE");
    /// assert_eq!(body.collect(100).await.unwrap(), "_method=DELETE");
    ///
    /// let mut long = Body::from_iterator(["a long ", "letter"]);
    /// assert!(long.peek(10).await.is_none());
    /// assert_eq!(long.collect(100).await.unwrap(), "a long letter");
    /// # });
    /// ```
    pub async fn peek(&mut self, limit: usize) -> Option<Bytes> {
        match self.read_ahead(limit).await {
            Peeked::Whole(content) => Some(content),
            Peeked::TooLong | Peeked::Failed => None,
        }
    }

    /// Reads the beginning of the content into memory, up to `limit` bytes, and leaves the body as if it had not been read.
    ///
    /// As [`peek`](Body::peek), for content that may be long: a field at the start of a form with files.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Body;
    ///
    /// # pollster::block_on(async {
    /// let mut body = Body::from_iterator(["a long ", "letter"]);
    /// assert_eq!(body.peek_start(10).await, "a long let");
    /// assert_eq!(body.collect(100).await.unwrap(), "a long letter");
    /// # });
    /// ```
    pub async fn peek_start(&mut self, limit: usize) -> Bytes {
        self.join_list();
        if let Some(content) = self.as_bytes() {
            return content.slice(..content.len().min(limit));
        }
        if self.is_upgrade() {
            return Bytes::new();
        }
        let body = std::mem::replace(self, Body::interrupted());
        let kept = Kept::read(body, limit).await;
        let next = kept.next.as_ref().and_then(|next| next.as_ref().ok());
        let next = next.and_then(Frame::data_ref).map_or(&[][..], |data| data);
        let next = next.get(..next.len().min(limit - kept.start.len()));
        let start = match next.unwrap_or_default() {
            [] => kept.start.clone(),
            next => [&kept.start[..], next].concat().into(),
        };
        *self = kept.into_body();
        start
    }

    fn join_list(&mut self) {
        if let Content::List(..) = &*self.content
            && let Content::List(list, length) = self.take_content()
        {
            *self.content = Content::Full(join(list, length));
        }
    }

    /// A body whose only frame is an error: in place of one that was read in part.
    pub(in crate::message) fn interrupted() -> Body {
        Body::new(Kept {
            start: Bytes::new(),
            next: Some(Err(BodyError::new("an earlier read did not end"))),
            rest: Body::empty(),
            is_whole: false,
        })
    }

    pub(in crate::message) async fn read_ahead(&mut self, limit: usize) -> Peeked {
        if self
            .known_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Peeked::TooLong;
        }
        self.join_list();
        if let Some(content) = self.as_bytes() {
            return Peeked::Whole(content.clone());
        }
        if self.is_upgrade() {
            return Peeked::Failed;
        }
        // Who drops the future has half of the content, which must not look like all of it.
        let body = std::mem::replace(self, Body::interrupted());
        let kept = Kept::read(body, limit).await;
        let found = match (&kept.next, kept.is_whole) {
            (_, true) => Peeked::Whole(kept.start.clone()),
            (Some(Err(_)), false) => Peeked::Failed,
            (_, false) => Peeked::TooLong,
        };
        *self = kept.into_body();
        found
    }
}

/// The beginning of a body, up to a limit, and the rest of it.
///
/// The content is copied: a kept chunk would keep the whole buffer that it is a part of, and the peer controls the
/// number of chunks, including empty ones.
struct Kept {
    start: Bytes,
    /// The last frame, which is not part of the beginning: a chunk above the limit, trailers, or a failure.
    next: Option<Result<Frame<Bytes>, BodyError>>,
    rest: Body,
    is_whole: bool,
}

impl Kept {
    /// Reads a body until it ends, is longer than `limit`, or fails.
    async fn read(mut rest: Body, limit: usize) -> Kept {
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

    /// Returns the body as if it had not been read; in memory if it is complete and has no trailers.
    fn into_body(self) -> Body {
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
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
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

    fn body(frames: Vec<Result<Frame<Bytes>, BodyError>>) -> Body {
        Body::new(Frames(frames))
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
            let mut body = body(make());
            // A second component sees the same.
            for _ in 0..2 {
                let start = pollster::block_on(body.peek_start(4));
                let text = expected.split('+').next().unwrap_or_default();
                assert_eq!(start, text.get(..text.len().min(4)).unwrap_or_default());
                let found = pollster::block_on(body.peek(4));
                assert_eq!(found.as_deref(), whole.map(str::as_bytes), "{expected}");
            }
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
        let mut kept = body(vec![data("ab"), Ok(Frame::data(chunk.clone()))]);
        assert!(pollster::block_on(kept.peek(4)).is_none());
        assert_eq!(http_body::Body::size_hint(&kept).lower(), 12);
        let mut next = || pollster::block_on(kept.frame()).unwrap().unwrap();
        assert_eq!(next().into_data().unwrap(), "ab");
        assert_eq!(next().into_data().unwrap().as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn a_body_in_memory_is_not_read_and_reports_its_end_later() {
        let (sender, ends) = std::sync::mpsc::channel();
        let mut list =
            Body::from_list(["ab", "cd"]).on_end(move |end| sender.send(end.bytes()).unwrap());
        assert_eq!(pollster::block_on(list.peek(4)).unwrap(), "abcd");
        assert!(pollster::block_on(list.peek(3)).is_none());
        assert!(ends.try_recv().is_err());
        assert_eq!(pollster::block_on(list.collect(4)).unwrap(), "abcd");
        assert_eq!(ends.recv().unwrap(), 4);
    }

    #[test]
    fn half_a_body_does_not_look_whole_if_reading_ahead_is_interrupted() {
        struct Never;
        impl HttpBody for Never {
            type Data = Bytes;
            type Error = BodyError;
            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> NextFrame {
                Poll::Pending
            }
        }
        let mut body = Body::new(Never);
        {
            let mut peek = std::pin::pin!(body.peek(4));
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert!(peek.as_mut().poll(&mut context).is_pending());
        }
        assert!(pollster::block_on(body.collect(4)).is_err());
    }
}
