//! Limits the length of request bodies.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade_core::headers::content_length;
use enfilade_core::{
    Application, Body, BodyError, Description, HttpError, IntoResponse, Middleware, OptionValue,
    Reply, Request, Wrapper, wrapped,
};
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::protect::body_fault::BodyFault;

/// Returns 413 if the request body is longer than the limit.
///
/// If `Content-Length` is above the limit, the application is not called and the body is not read. Without
/// `Content-Length` (a chunked body), reading fails beyond the limit with an error of the kind
/// [`BodyTooLarge`](enfilade_core::BodyErrorKind::TooLarge), which `?` turns into a 413. If the application then
/// responds with anything but a 4xx, the response is replaced by that 413. If the application does not read so far,
/// nothing happens.
///
/// # Order
///
/// Inside a [`Decompression`](crate::Decompression), so that it counts decompressed bytes; that wrapper has a limit of
/// its own. Of two nested limits the smaller one applies, so put a route with a higher limit beside the others, not
/// inside their limit.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::BodyLimit;
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|mut request: Request| async move {
///     let content = request.take_body().collect(1_000_000).await?;
///     Ok::<_, HttpError>(content)
/// });
/// let client = Client::new(app.wrap(BodyLimit::new(5)));
/// assert_eq!(client.post("/").body("12345").send().text(), "12345");
/// assert_eq!(client.post("/").body("123456").send().status(), 413);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct BodyLimit {
    bytes: u64,
}

impl BodyLimit {
    /// Allows bodies of at most this many bytes.
    pub fn new(bytes: u64) -> Self {
        BodyLimit { bytes }
    }
}

impl Middleware for BodyLimit {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for BodyLimit {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let limit = self.bytes;
        let known = request.body().known_length();
        match content_length(request.headers()).max(known) {
            Some(length) if length > limit => {
                let cause = format!("the body has {length} bytes, the limit is {limit}");
                let error = HttpError::new(StatusCode::PAYLOAD_TOO_LARGE).caused_by(cause);
                Reply::new(error.into_response())
            }
            Some(_) if known.is_some() => inner.call(request),
            // The headers of a stream only claim a length.
            _ => {
                let body_fault = BodyFault::default();
                let body = LimitedBody {
                    body: request.take_body(),
                    left: limit,
                    body_fault: body_fault.clone(),
                };
                *request.body_mut() = Body::new(body);
                let reply = inner.call(request);
                reply.map(move |response| body_fault.override_response(response))
            }
        }
    }

    fn describe(&self) -> Description {
        Description::new("BodyLimit").option("bytes", OptionValue::size(self.bytes))
    }
}

/// A body that fails beyond a limit.
struct LimitedBody {
    body: Body,
    left: u64,
    body_fault: BodyFault,
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let next = Pin::new(&mut this.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &next {
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            match this.left.checked_sub(length) {
                Some(left) => this.left = left,
                None => {
                    // The rest is not needed, and its sender may stop.
                    this.body = Body::empty();
                    this.left = 0;
                    let status = StatusCode::PAYLOAD_TOO_LARGE;
                    this.body_fault
                        .record(status, "the body is longer than the limit");
                    return Poll::Ready(Some(Err(BodyError::too_large())));
                }
            }
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // The upper bound of a body's length is not its actual length.
        let mut hint = self.body.size_hint();
        if hint.lower() <= self.left && hint.upper().is_none_or(|upper| upper > self.left) {
            hint.set_upper(self.left);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use enfilade_testing::{Client, Lint};
    use http::HeaderValue;

    use http::header::CONTENT_LENGTH;

    use super::*;

    fn client(app: Application, limit: u64) -> Client {
        Client::new(
            app.wrap(Lint::new())
                .wrap(BodyLimit::new(limit))
                .wrap(Lint::new()),
        )
    }

    /// Responds with what it read, and with the error as `?` does if reading fails.
    fn reads() -> Application {
        Application::new(|mut request: Request| async move {
            let content = request.take_body().collect(1_000).await?;
            Ok::<_, HttpError>(content)
        })
    }

    #[test]
    fn the_limit_is_exact_whether_the_length_is_known_or_not() {
        for (content, limit, status) in [
            ("", 0, 200),
            ("x", 0, 413),
            ("12345", 5, 200),
            ("123456", 5, 413),
        ] {
            let client = client(reads(), limit);
            let streamed = Body::from_iterator(content.as_bytes().chunks(2));
            for body in [Body::from(content), streamed] {
                let response = client.post("/").body(body).send();
                assert_eq!(response.status().as_u16(), status, "{content:?} {limit}");
            }
        }
    }

    #[test]
    fn what_is_declared_too_long_is_not_read_and_never_reaches_the_application() {
        let app = Application::new(|_: Request| -> &str { panic!("it is not called") });
        let app = app.wrap(BodyLimit::new(5));
        for length in ["6", "99999999999999999999999"] {
            let mut request = Request::get("/");
            let value = HeaderValue::from_static(length);
            request.headers_mut().insert(CONTENT_LENGTH, value);
            *request.body_mut() = Body::from_iterator(std::iter::once_with(|| -> &str {
                panic!("it is not read")
            }));
            let response = pollster::block_on(app.call(request));
            assert_eq!(response.status(), 413, "{length}");
        }
    }

    #[test]
    fn a_stream_that_is_longer_than_its_header_says_is_counted() {
        let mut request = Request::get("/");
        request.headers_mut().insert(CONTENT_LENGTH, 3.into());
        *request.body_mut() = Body::from_iterator(["123", "456"]);
        let response = pollster::block_on(reads().wrap(BodyLimit::new(5)).call(request));
        assert_eq!(response.status(), 413);
    }

    #[test]
    fn an_application_that_makes_nothing_of_it_does_not_hide_it() {
        let ignores = Application::new(|mut request: Request| async move {
            match request.take_body().collect(1_000).await {
                Ok(content) => (StatusCode::OK, content),
                Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
            }
        });
        let body = || Body::from_iterator(["123", "456"]);
        let response = client(ignores, 5).post("/").body(body()).send();
        assert_eq!(response.status(), 413);
        let reads_not = Application::new(|_: Request| "fine");
        let response = client(reads_not, 5).post("/").body(body()).send();
        assert_eq!(
            (response.status().as_u16(), &*response.text()),
            (200, "fine")
        );
    }

    #[test]
    fn keeps_the_laws() {
        enfilade_testing::laws::check(BodyLimit::new(1_000_000));
    }
}
