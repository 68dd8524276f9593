//! Errors that become responses.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::compose::description::OptionValue;
use crate::message::error::BodyError;
use crate::message::error::BodyErrorKind;
use crate::message::error::{BoxError, inner_kind};
use crate::message::response::IntoResponse;
use crate::message::response::Response;
use crate::message::unwind::Panic;

/// An error as a response: a status, a text for the client, and the cause for the log.
///
/// `?` converts every error into one, including boxed errors and those of the crate `anyhow`. The status is 500 with a
/// fixed text, so that nothing of the cause reaches the client. For a request body it is 400 if the body broke off, 413
/// if it is too long, and 408 if it timed out, also if such an error is the cause of another. The error itself travels
/// outward on the response, as an extension of type `Arc<HttpError>`, for logs and error pages.
///
/// An application may use an error type of its own instead: any [`IntoResponse`] works in a `Result`.
///
/// ```
/// # use enfilade_core as enfilade;
/// use std::sync::Arc;
/// use enfilade::{Application, HttpError, Request};
/// use enfilade::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
///
/// let app = Application::new(|request: Request| -> Result<String, HttpError> {
///     let number: u64 = request.path().trim_start_matches('/').parse()?;
///     let half = number.checked_div(2).ok_or(HttpError::new(StatusCode::NOT_FOUND))?;
///     Ok(half.to_string())
/// });
/// let response = pollster::block_on(app.call(Request::get("/garden")));
/// assert_eq!(response.status(), 500);
/// assert_eq!(response.body().as_bytes().unwrap(), "Internal Server Error");
/// let error = response.extensions().get::<Arc<HttpError>>().unwrap();
/// assert_eq!(error.source().unwrap().to_string(), "invalid digit found in string");
/// ```
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    message: Option<Cow<'static, str>>,
    source: Option<BoxError>,
    source_type: Option<&'static str>,
    /// Boxed because most errors have none, and an error is returned through many functions.
    more: Option<Box<More>>,
}

/// The headers and members that an error adds to its response.
#[derive(Debug, Default)]
struct More {
    headers: HeaderMap,
    members: Vec<(Cow<'static, str>, OptionValue)>,
}

impl HttpError {
    /// An error with this status; its text is the standard reason phrase.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        HttpError {
            status,
            message: None,
            source: None,
            source_type: None,
            more: None,
        }
    }

    /// A 500 for a [`Panic`], or for the error of `catch_unwind`. The text of the panic becomes the cause.
    #[must_use]
    pub fn from_panic(panic: impl Into<Panic>) -> Self {
        HttpError::new(StatusCode::INTERNAL_SERVER_ERROR).caused_by(panic.into().to_string())
    }

    /// Sets the text for the client. By default the reason phrase of the status.
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Replaces the status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a header to the response, such as `WWW-Authenticate` or `Retry-After`.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, HttpError, Request};
    /// use enfilade::http::header::WWW_AUTHENTICATE;
    /// use enfilade::http::{HeaderValue, StatusCode};
    ///
    /// let app = Application::new(|_: Request| {
    ///     let challenge = HeaderValue::from_static("Bearer");
    ///     HttpError::new(StatusCode::UNAUTHORIZED).header(WWW_AUTHENTICATE, challenge)
    /// });
    /// let response = pollster::block_on(app.call(Request::get("/")));
    /// assert_eq!(response.headers()["www-authenticate"], "Bearer");
    /// ```
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let more = self.more.get_or_insert_default();
        more.headers.append(name, value);
        self
    }

    /// Adds a member to the JSON problem that `ErrorPages` makes of the error (RFC 9457, section 3.2).
    ///
    /// `ErrorPages` sends it to a client that wants JSON. The value is text, a number, a flag, or a list of these.
    /// `type`, `title` and `instance` are standard members. `status` and `detail` are the error's status and
    /// [message](HttpError::message), so members with these names are left out. If a name is repeated, the last value
    /// counts. Clients see it: do not put a secret into it.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::HttpError;
    /// use enfilade::http::StatusCode;
    ///
    /// let error = HttpError::new(StatusCode::FORBIDDEN)
    ///     .message("your balance is 30, and that costs 50")
    ///     .member("type", "https://example.com/problems/out-of-credit")
    ///     .member("balance", 30)
    ///     .member("accounts", ["/account/12345", "/account/67890"]);
    /// assert_eq!(error.members().count(), 3);
    /// ```
    #[must_use]
    pub fn member(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<OptionValue>,
    ) -> Self {
        let members = &mut self.more.get_or_insert_default().members;
        let name = name.into();
        members.retain(|(known, _)| *known != name);
        members.push((name, value.into()));
        self
    }

    /// The members that were [added](HttpError::member), in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &OptionValue)> {
        let members = self.more.iter().flat_map(|more| &more.members);
        members.map(|(name, value)| (&**name, value))
    }

    /// Sets the cause. The client never sees it.
    #[must_use]
    pub fn caused_by<E: Into<BoxError>>(mut self, source: E) -> Self {
        self.source = Some(source.into());
        self.source_type = type_of_error(type_name::<E>());
        self
    }

    /// The text for the client, if one was [set](HttpError::message).
    #[must_use]
    pub fn client_message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The cause, for the log.
    #[must_use]
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.source.as_deref()
    }

    /// The path of the cause's type, for people, such as `std::num::ParseIntError`.
    ///
    /// `None` if the cause is text, or an error that was boxed before. It may change from one compiler to another.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::HttpError;
    ///
    /// let error = HttpError::from("x".parse::<u8>().unwrap_err());
    /// assert!(error.source_type().unwrap().ends_with("ParseIntError"));
    /// ```
    #[must_use]
    pub fn source_type(&self) -> Option<&'static str> {
        self.source_type
    }

    /// The cause, or the error itself if it has none, to become the cause of another error.
    #[must_use]
    pub fn into_cause(self) -> BoxError {
        let text = self.to_string();
        self.source.unwrap_or_else(|| text.into())
    }

    fn text(&self) -> Cow<'static, str> {
        let reason = || Cow::Borrowed(self.status.canonical_reason().unwrap_or("Error"));
        self.message.clone().unwrap_or_else(reason)
    }
}

/// Ignores types that only became errors by boxing: their names say nothing.
fn type_of_error(name: &'static str) -> Option<&'static str> {
    let is_plain = name.contains("str") && !name.contains("::")
        || name == type_name::<String>()
        || name.starts_with("alloc::borrow::Cow<")
        || name.starts_with("alloc::boxed::Box<dyn ");
    (!is_plain).then_some(name)
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.text())
    }
}

/// An application's own error chooses its response.
impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        self.map_or_else(IntoResponse::into_response, IntoResponse::into_response)
    }
}

impl<E: Into<BoxError> + 'static> From<E> for HttpError {
    fn from(error: E) -> Self {
        let source_type = type_of_error(type_name::<E>());
        let source = error.into();
        HttpError {
            status: status_for(&*source),
            message: None,
            source: Some(source),
            source_type,
            more: None,
        }
    }
}

/// The status for an error: that of the first body error among the error and its causes, or 500.
fn status_for(error: &(dyn StdError + 'static)) -> StatusCode {
    match inner_kind(error) {
        Some(BodyErrorKind::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        Some(BodyErrorKind::TimedOut) => StatusCode::REQUEST_TIMEOUT,
        Some(BodyErrorKind::Failed) => StatusCode::BAD_REQUEST,
        Some(BodyErrorKind::Panicked | BodyErrorKind::OutOfRange | BodyErrorKind::NotSliceable)
        | None => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The same [`HttpError`] that `?` makes.
impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        HttpError::from(self).into_response()
    }
}

impl IntoResponse for HttpError {
    fn into_response(mut self) -> Response {
        let mut response = (self.status, self.text().into_owned()).into_response();
        if let Some(more) = &mut self.more {
            // A name that is repeated here keeps all its values, and replaces a header of the text's own, such as its
            // type.
            response
                .headers_mut()
                .extend(std::mem::take(&mut more.headers));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_errors_blame_the_client() {
        assert_eq!(HttpError::from(BodyError::new("gone")).status(), 400);
        assert_eq!(HttpError::from(BodyError::too_large()).status(), 413);
        assert_eq!(HttpError::from(BodyError::timed_out()).status(), 408);
        assert_eq!(HttpError::from(std::io::Error::other("disk")).status(), 500);
    }

    #[test]
    fn a_body_that_is_too_long_is_the_clients_fault_wherever_it_is_in_the_chain() {
        let wrapped = || std::io::Error::other(std::io::Error::other(BodyError::too_large()));
        assert_eq!(HttpError::from(wrapped()).status(), 413);
        let boxed: BoxError = Box::new(wrapped());
        assert_eq!(HttpError::from(boxed).status(), 413);
        assert_eq!(BodyError::timed_out().into_response().status(), 408);
    }

    #[test]
    fn whatever_can_be_boxed_is_an_error_for_the_question_mark() {
        fn fails(kind: u8) -> Result<(), HttpError> {
            match kind {
                0 => Err("text")?,
                1 => Err(String::from("text"))?,
                2 => Err(BoxError::from("text"))?,
                _ => Err(HttpError::new(StatusCode::CONFLICT))?,
            }
        }
        for kind in 0..3 {
            let error = fails(kind).unwrap_err();
            assert_eq!(error.status(), 500);
            assert_eq!(error.source().unwrap().to_string(), "text");
            assert_eq!(error.source_type(), None);
        }
        assert_eq!(fails(3).unwrap_err().status(), 409);
    }

    #[test]
    fn the_type_of_a_cause_is_known_where_it_has_one() {
        let new = || HttpError::new(StatusCode::BAD_GATEWAY);
        let boxed: BoxError = "boxed".into();
        let cow = Cow::Borrowed("text");
        for error in [
            new(),
            new().caused_by("text"),
            new().caused_by(String::from("text")),
            new().caused_by(cow),
            new().caused_by(boxed),
        ] {
            assert_eq!(error.source_type(), None, "{error:?}");
        }
        let error = new().caused_by("x").caused_by(BodyError::too_large());
        assert_eq!(
            error.source_type(),
            Some("enfilade_core::message::error::BodyError")
        );
        let disk = HttpError::from(std::io::Error::other("disk"));
        assert!(disk.source_type().unwrap().ends_with("::Error"));
    }

    #[test]
    fn shows_the_message_and_hides_the_cause() {
        let error = HttpError::new(StatusCode::CONFLICT)
            .message("taken")
            .caused_by("secret");
        assert_eq!(error.to_string(), "409 taken");
        let response = error.into_response();
        assert_eq!(
            (
                response.status().as_u16(),
                &response.body().as_bytes().unwrap()[..]
            ),
            (409, &b"taken"[..])
        );
    }

    #[test]
    fn a_payload_that_panics_as_it_is_dropped_is_an_error_like_any_other() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("once more")
            }
        }
        let panic = std::panic::catch_unwind(|| std::panic::panic_any(Bomb)).unwrap_err();
        let error = HttpError::from_panic(panic);
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause, "panicked: with a value that is not text");
    }
}
