//! Responses, read to their end.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use enfilade_core::{Body, BodyError, Response};
use http::response::Parts;
use http::{Extensions, HeaderMap, StatusCode, Version};

use crate::fail::fail;

/// The maximum number of body bytes read: an endless body must not use up a machine's memory.
const LIMIT: usize = 256 << 20;

/// A response that was read to its end.
///
/// A body that fails does not panic: [`bytes`](TestResponse::bytes) has what arrived before, and
/// [`body_error`](TestResponse::body_error) has the reason.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Body, Request};
/// use enfilade_testing::Client;
///
/// let mut trailers = enfilade::http::HeaderMap::new();
/// trailers.insert("x-checksum", "42".parse().unwrap());
/// let app = Application::new(move |_: Request| Body::from("content").with_trailers(trailers.clone()));
///
/// let response = Client::new(app).get("/").send();
/// assert_eq!(response.text(), "content");
/// assert_eq!(response.trailers().unwrap()["x-checksum"], "42");
/// assert!(response.body_error().is_none());
/// ```
#[derive(Debug)]
pub struct TestResponse {
    head: Parts,
    bytes: Bytes,
    trailers: Option<HeaderMap>,
    error: Option<BodyError>,
}

impl TestResponse {
    pub(crate) async fn collect(response: Response) -> TestResponse {
        let (head, mut body) = response.into_parts();
        // The client disconnects then.
        drop(body.take_upgrade());
        let mut response = TestResponse {
            head,
            bytes: Bytes::new(),
            trailers: None,
            error: None,
        };
        response.error = response.read(body).await.err();
        response
    }

    async fn read(&mut self, mut body: Body) -> Result<(), BodyError> {
        let mut all = BytesMut::new();
        let mut outcome = Ok(());
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) if data.len() > LIMIT - all.len() => {
                    outcome = Err(BodyError::too_large());
                    break;
                }
                Ok(Ok(data)) => all.extend_from_slice(&data),
                Ok(Err(frame)) => {
                    self.trailers = frame.into_trailers().ok().or(self.trailers.take())
                }
                Err(error) => outcome = Err(error),
            }
        }
        self.bytes = all.freeze();
        outcome
    }

    /// The status; it compares with numbers.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The version of HTTP.
    #[must_use]
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The first value of a header; [`headers`](TestResponse::headers) has the others.
    ///
    /// # Panics
    ///
    /// Panics if the value is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.head.headers.get(name)?;
        match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Some(text),
            Err(_) => fail(&format!("the header {name} is not text: {value:?}")),
        }
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The values that components left for components further out, by type.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.head.extensions
    }

    /// The body, as far as it arrived.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The body as text, as far as it arrived; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// The trailers, if there were any.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The reason why the body broke off; `None` if it is complete.
    ///
    /// The client aborts a body of more than 256 MiB.
    #[must_use]
    pub fn body_error(&self) -> Option<&BodyError> {
        self.error.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use enfilade_core::{Application, Request};
    use http::HeaderValue;

    use super::*;
    use crate::client::Client;

    #[test]
    fn a_failing_body_is_kept_as_far_as_it_came() {
        let app = Application::new(|_: Request| Body::new(Failing(2)));
        let response = Client::new(app).get("/").send();
        assert_eq!(response.text(), "2.1.");
        let error = response.body_error().unwrap();
        assert_eq!(
            std::error::Error::source(error).unwrap().to_string(),
            "no more"
        );
    }

    struct Failing(u8);

    impl http_body::Body for Failing {
        type Data = Bytes;
        type Error = enfilade_core::BoxError;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            let left = self.0;
            self.0 = left.saturating_sub(1);
            let data = http_body::Frame::data(format!("{left}.").into());
            std::task::Poll::Ready(Some(if left > 0 {
                Ok(data)
            } else {
                Err("no more".into())
            }))
        }
    }

    #[test]
    #[should_panic(expected = "the header x-raw is not text: \"\\xff\"")]
    fn a_header_that_is_no_text_is_not_an_absent_one() {
        let app = Application::new(|_: Request| {
            [("x-raw", HeaderValue::from_bytes(b"\xff").unwrap())]
                .into_iter()
                .fold(Response::default(), |mut response, (name, value)| {
                    response.headers_mut().insert(name, value);
                    response
                })
        });
        let _ = Client::new(app).get("/").send().header("x-raw");
    }
}
