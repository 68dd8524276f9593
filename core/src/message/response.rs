//! Responses, and conversion into them.

use std::borrow::Cow;
use std::convert::Infallible;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use crate::message::body::Body;

/// A response: that of the crate `http`, with our [`Body`].
pub type Response = http::Response<Body>;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Types that convert into a [`Response`].
///
/// Text is sent as `text/plain; charset=utf-8`, bytes as `application/octet-stream`, a [`StatusCode`] alone with an
/// empty body. `None` becomes a 404, and `Err` the response of its error, such as [`HttpError`](crate::HttpError).
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::IntoResponse;
/// use enfilade::http::StatusCode;
///
/// let response = (StatusCode::CREATED, [("location", "/users/42")], "made").into_response();
/// assert_eq!(response.status(), 201);
/// assert_eq!(response.headers()["location"], "/users/42");
/// ```
///
/// # An error type of your own
///
/// Implement this for the error, and make the response of an [`HttpError`](crate::HttpError): logs, error pages and the
/// hooks of servers find the cause there. `From<HttpError>` lets `?` work on [`Request::param`](crate::Request::param) and
/// other functions that return one.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::http::StatusCode;
/// use enfilade::{Application, HttpError, IntoResponse, Request, Response};
///
/// enum ShopError {
///     SoldOut { left: u32 },
///     Other(HttpError),
/// }
///
/// impl IntoResponse for ShopError {
///     fn into_response(self) -> Response {
///         let error = match self {
///             ShopError::SoldOut { left } => HttpError::new(StatusCode::CONFLICT)
///                 .message("sold out")
///                 .member("left", left),
///             ShopError::Other(error) => error,
///         };
///         error.into_response()
///     }
/// }
///
/// impl<E: Into<HttpError>> From<E> for ShopError {
///     fn from(error: E) -> ShopError {
///         ShopError::Other(error.into())
///     }
/// }
///
/// let app = Application::new(|request: Request| -> Result<String, ShopError> {
///     let wanted: u32 = request.path().trim_start_matches('/').parse()?;
///     match wanted {
///         0..3 => Ok(format!("{wanted} apples")),
///         _ => Err(ShopError::SoldOut { left: 2 }),
///     }
/// });
/// let status = |target| pollster::block_on(app.call(Request::get(target))).status();
/// assert_eq!([status("/2"), status("/7"), status("/x")], [200, 409, 500]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be turned into a response",
    label = "this returns `{Self}`, or something with it inside",
    note = "text, bytes, `StatusCode`, `(StatusCode, T)`, `([(name, value); N], T)`, `Option`, `Body` and `Response` can, and a `Reply`",
    note = "for `?` on any error return `Result<_, HttpError>`; an error type of your own implements `IntoResponse`",
    note = "a future cannot: `blocking` and `around` take a closure that is not async; a handler may be async by itself",
    note = "a number is sent as text, `.to_string()`; JSON as `Json(value)`, with the feature `json`"
)]
pub trait IntoResponse {
    /// Makes the response.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(Body::empty())
    }
}

impl IntoResponse for Infallible {
    fn into_response(self) -> Response {
        match self {}
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self;
        response
    }
}

/// Implements the trait for types that are a body with a media type.
macro_rules! into_response_with_type {
    ($media_type:expr => $($kind:ty),+) => {$(
        impl IntoResponse for $kind {
            fn into_response(self) -> Response {
                let mut response = Response::new(Body::from(self));
                response.headers_mut().insert(CONTENT_TYPE, $media_type);
                response
            }
        }
    )+};
}

into_response_with_type!(TEXT => &'static str, String, Cow<'static, str>);
into_response_with_type!(BYTES => Bytes, Vec<u8>, &'static [u8]);

impl<T: IntoResponse> IntoResponse for Option<T> {
    fn into_response(self) -> Response {
        self.map_or_else(
            || StatusCode::NOT_FOUND.into_response(),
            IntoResponse::into_response,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::http_error::HttpError;

    #[test]
    fn each_kind_has_its_status_type_and_body() {
        let text = Some("text/plain; charset=utf-8");
        let bytes = Some("application/octet-stream");
        let cases: [(Response, u16, Option<&str>, &str); 13] = [
            ("a".into_response(), 200, text, "a"),
            (String::from("b").into_response(), 200, text, "b"),
            (Cow::Borrowed("c").into_response(), 200, text, "c"),
            (Bytes::from("d").into_response(), 200, bytes, "d"),
            (b"e".to_vec().into_response(), 200, bytes, "e"),
            ((&b"f"[..]).into_response(), 200, bytes, "f"),
            (StatusCode::NO_CONTENT.into_response(), 204, None, ""),
            (().into_response(), 200, None, ""),
            (Body::from("g").into_response(), 200, None, "g"),
            (None::<&str>.into_response(), 404, None, ""),
            (Some("h").into_response(), 200, text, "h"),
            ((StatusCode::CREATED, "i").into_response(), 201, text, "i"),
            (
                Err::<(), _>(HttpError::new(StatusCode::GONE)).into_response(),
                410,
                text,
                "Gone",
            ),
        ];
        for (response, status, media_type, body) in cases {
            assert_eq!(response.status(), status);
            let found = response
                .headers()
                .get(CONTENT_TYPE)
                .map(|value| value.to_str().unwrap());
            assert_eq!(found, media_type, "{body}");
            assert_eq!(response.body().as_bytes().unwrap(), body);
        }
    }

    #[test]
    fn a_header_list_replaces_then_adds() {
        let list = [
            ("content-type", "text/html"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ];
        let response = (StatusCode::OK, list, "<p>").into_response();
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html");
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
    }

    #[test]
    fn a_header_that_is_not_valid_is_a_500() {
        let response =
            (StatusCode::OK, [("x-a", "1\r\nset-cookie: forged=1")], "x").into_response();
        assert_eq!(response.status(), 500);
        assert!(response.headers().get("x-a").is_none());
        assert_eq!(([("a b", "1")], "x").into_response().status(), 500);
    }
}
