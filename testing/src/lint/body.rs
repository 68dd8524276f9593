//! A body that is checked while it passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use enfilade_core::{Body, BodyError};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::check::bytes;
use super::finding::{Law, Side};
use super::report::Report;

/// Passes a stream on unchanged, and reports a wrong length or frames after its end.
pub(super) struct CheckedBody {
    body: Body,
    /// The side that makes this body.
    side: Side,
    report: Report,
    expected: Option<ExpectedLength>,
    passed: u64,
    progress: Progress,
    /// HTTP does not send it, so dropping it is its proper end.
    unsent: bool,
}

/// The declared length of a body, and its source.
#[derive(Clone)]
pub(super) struct ExpectedLength {
    pub(super) length: u64,
    pub(super) source: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Data,
    Trailers,
    /// It reported its end.
    Ended,
}

impl CheckedBody {
    /// Checks `body`, which `side` makes, unless it is in memory (nothing can go wrong any more) or an upgrade (it has
    /// no frames).
    pub(super) fn around(
        body: Body,
        side: Side,
        report: &Report,
        expected: Option<ExpectedLength>,
        unsent: bool,
    ) -> Body {
        if body.as_bytes().is_some() || body.is_upgrade() {
            return body;
        }
        Body::new(CheckedBody {
            body,
            side,
            report: report.clone(),
            expected,
            passed: 0,
            progress: Progress::Data,
            unsent,
        })
    }

    fn record(&self, law: Law, message: String) {
        self.report.record(law, self.side, message);
    }

    fn saw(&mut self, frame: &Frame<Bytes>) {
        let kind = if frame.is_data() { "data" } else { "trailers" };
        match self.progress {
            Progress::Data => {}
            Progress::Trailers => {
                self.record(Law::BodyEnd, format!("{kind} came after the trailers"));
            }
            Progress::Ended => {
                let message = format!("{kind} came after the body reported its end");
                self.record(Law::BodyEnd, message);
            }
        }
        if let Some(trailers) = frame.trailers_ref() {
            self.progress = Progress::Trailers;
            if self.side == Side::Application {
                let wrong = super::values::trailers(trailers);
                wrong
                    .into_iter()
                    .for_each(|wrong| self.record(Law::Values, wrong));
            }
        }
        self.passed += frame.data_ref().map_or(0, |data| data.len() as u64);
        if let Some(expected) = self
            .expected
            .take_if(|expected| expected.length < self.passed)
        {
            let (source, passed) = (expected.source, bytes(self.passed));
            self.record(
                Law::Length,
                format!("{source}, and the body has {passed} or more"),
            );
        }
    }

    fn ended(&mut self) {
        self.progress = Progress::Ended;
        // Taken, so that it is reported once.
        if let Some(expected) = self.expected.take()
            && expected.length > self.passed
        {
            let (source, passed) = (expected.source, bytes(self.passed));
            self.record(
                Law::Length,
                format!("{source}, and the body ended after {passed}"),
            );
        }
    }
}

impl HttpBody for CheckedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &next {
            Some(Ok(frame)) => {
                self.saw(frame);
                // A reader that sees that the end is reached does not poll again.
                if self.body.is_finished() {
                    self.ended();
                }
            }
            None => self.ended(),
            Some(Err(_)) => self.expected = None,
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_finished()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

impl Drop for CheckedBody {
    fn drop(&mut self) {
        if self.unsent {
            std::mem::take(&mut self.body).discard();
        }
    }
}
