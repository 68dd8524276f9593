//! The body of a request, as it arrives from a web server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use enfilade_core::Body;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many parts of a body may wait for the application; further parts wait at the web server.
const WAITING: usize = 1;

/// Takes the parts of a body from a gateway: all of them, and an empty one at the end.
pub(crate) type Feed = Sender<Bytes>;

/// A body of parts that arrive, of a known length or not.
///
/// A length other than the declared one is an error, so an incomplete body never looks complete.
struct ChannelBody {
    parts: Receiver<Bytes>,
    /// Starts to feed the body, once it is read.
    start: Option<(Box<dyn FnOnce(Feed) + Send>, Feed)>,
    left: Option<u64>,
    is_over: bool,
}

/// A body of `length` bytes, and its feed.
#[cfg(any(test, feature = "fastcgi", feature = "scgi"))]
pub(crate) fn received(length: Option<u64>) -> (Body, Feed) {
    let (feed, parts) = channel(WAITING);
    let body = ChannelBody {
        parts,
        start: None,
        left: length,
        is_over: length == Some(0),
    };
    (Body::new(body), feed)
}

/// A body of `length` bytes that is not read from its source before the application reads it.
pub(super) fn on_demand(length: u64, start: impl FnOnce(Feed) + Send + 'static) -> Body {
    let (feed, parts) = channel(WAITING);
    Body::new(ChannelBody {
        parts,
        start: Some((Box::new(start), feed)),
        left: Some(length),
        is_over: length == 0,
    })
}

impl ChannelBody {
    fn count(&mut self, part: Option<Bytes>) -> Option<Result<Frame<Bytes>, io::Error>> {
        let is_end = part.as_ref().is_none_or(Bytes::is_empty);
        match (part, self.left) {
            // If the length is unknown, the end must be sent.
            (Some(_), None | Some(0)) if is_end => None,
            (None, None) => Some(Err(broken_off())),
            (_, Some(left)) if is_end && left > 0 => Some(Err(broken_off())),
            (Some(part), Some(left)) if part.len() as u64 > left => {
                let text = "the body is longer than CONTENT_LENGTH";
                Some(Err(io::Error::new(io::ErrorKind::InvalidData, text)))
            }
            (part, left) => {
                let part = part?;
                self.left = left.map(|left| left - part.len() as u64);
                Some(Ok(Frame::data(part)))
            }
        }
    }
}

fn broken_off() -> io::Error {
    let text = "the web server sent only part of the body";
    io::Error::new(io::ErrorKind::ConnectionAborted, text)
}

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some((start, feed)) = self.start.take() {
            start(feed);
        }
        let part = ready!(self.parts.poll_recv(context));
        let next = self.count(part);
        self.is_over = !matches!(next, Some(Ok(_))) || self.left == Some(0);
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of a body of `length`, fed with these parts.
    fn fed(length: Option<u64>, parts: &[&'static str]) -> Result<Bytes, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (body, feed) = received(length);
            let parts = parts.to_vec();
            tokio::spawn(async move {
                for part in parts {
                    let _ = feed.send(part.into()).await;
                }
            });
            let error = |error: enfilade_core::BodyError| {
                std::error::Error::source(&error).unwrap().to_string()
            };
            body.collect(100).await.map_err(error)
        })
    }

    /// The declared length, the parts that arrive, and the result of reading.
    type Case = (
        Option<u64>,
        &'static [&'static str],
        Result<&'static str, &'static str>,
    );

    #[test]
    fn a_body_is_whole_or_an_error() {
        let cut = "the web server sent only part of the body";
        let long = "the body is longer than CONTENT_LENGTH";
        let cases: [Case; 11] = [
            (Some(0), &[], Ok("")),
            (Some(0), &["", "x"], Ok("")),
            (Some(4), &["ab", "cd"], Ok("abcd")),
            (Some(4), &["ab", "cd", ""], Ok("abcd")),
            (Some(4), &["ab"], Err(cut)),
            (Some(4), &["ab", ""], Err(cut)),
            (Some(4), &["ab", "cde"], Err(long)),
            (None, &["ab", "cd", ""], Ok("abcd")),
            (None, &[""], Ok("")),
            (None, &["ab"], Err(cut)),
            (None, &[], Err(cut)),
        ];
        for (length, parts, expected) in cases {
            let found = fed(length, parts);
            assert_eq!(
                found,
                expected.map(Bytes::from).map_err(str::to_owned),
                "{length:?} {parts:?}"
            );
        }
    }

    #[test]
    fn the_length_is_known_where_it_was_said() {
        assert_eq!(received(Some(4)).0.known_length(), Some(4));
        assert_eq!(received(None).0.known_length(), None);
        assert!(received(Some(0)).0.is_finished());
    }
}
