//! The laws of the contract.

use std::pin::Pin;
use std::task::{Context, Poll};

use enfilade_core::BodyError;
use enfilade_testing::laws;
use http_body::Frame;

use super::*;

/// Codes every request, in front of what decodes it again.
fn coding_requests(app: Application) -> Application {
    struct Coder {
        inner: Body,
        encoder: Option<GzEncoder<Vec<u8>>>,
        trailers: Option<HeaderMap>,
    }

    impl Coder {
        fn finish(&mut self, trailers: Option<HeaderMap>) -> Option<Bytes> {
            self.trailers = trailers;
            let encoder = self.encoder.take()?;
            Some(encoder.finish().unwrap().into())
        }
    }

    impl http_body::Body for Coder {
        type Data = Bytes;
        type Error = BodyError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            let this = &mut *self;
            let Some(encoder) = &mut this.encoder else {
                return Poll::Ready(this.trailers.take().map(|all| Ok(Frame::trailers(all))));
            };
            let last = loop {
                match std::task::ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => {
                            encoder.write_all(&data).unwrap();
                            encoder.flush().unwrap();
                            let compressed = std::mem::take(encoder.get_mut());
                            if !compressed.is_empty() {
                                return Poll::Ready(Some(Ok(Frame::data(compressed.into()))));
                            }
                        }
                        Err(frame) => break this.finish(frame.into_trailers().ok()),
                    },
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => break this.finish(None),
                }
            };
            Poll::Ready(last.map(|last| Ok(Frame::data(last))))
        }
    }

    app.wrap(enfilade_core::around(
        "Coding",
        |inner: &Application, mut request: Request| {
            request.headers_mut().remove("content-length");
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert(CONTENT_ENCODING, gzip);
            let coder = Coder {
                inner: request.take_body(),
                encoder: Some(GzEncoder::new(Vec::new(), flate2::Compression::fast())),
                trailers: None,
            };
            *request.body_mut() = Body::new(coder);
            inner.call(request)
        },
    ))
}

#[test]
fn keeps_the_laws() {
    // Some generated requests have a `Content-Encoding`, but are not encoded: if they are read, the response is replaced.
    let check = laws::Check::new(Decompression::new()).touches([CONTENT_ENCODING]);
    check
        .replaces(|response| !response.status().is_client_error())
        .run();
    // Without that header, nothing is replaced.
    let plain = |app: Application| {
        let headers = crate::headers::edit::Headers::request().remove(CONTENT_ENCODING);
        app.wrap(Decompression::new()).wrap(headers.unwrap())
    };
    laws::Check::new(plain).touches([CONTENT_ENCODING]).run();
    // And encoded content is decoded completely.
    let compressed = |app: Application| app.wrap(Decompression::new()).wrap(coding_requests);
    laws::Check::new(compressed)
        .touches([CONTENT_ENCODING])
        .run();
}
