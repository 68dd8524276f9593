//! Multipart forms, read from requests part by part.

use bytes::{Bytes, BytesMut};
use enfilade_core::{Body, HttpError, Request};
use http::header::ACCEPT;
use http::{HeaderValue, StatusCode};

use super::boundary::{FormType, form_type};
use super::decoder::{MultipartDecoder, MultipartEvent};
use super::error::MultipartError;
use super::limits::MultipartLimits;
use super::part_head::PartHead;

const FORM_DATA: HeaderValue = HeaderValue::from_static("multipart/form-data");

/// A form with files, read part by part; nothing is kept.
///
/// The client waits while the application does: no more than one chunk of the body is in memory. To read a whole form, with its
/// files in temporary files, use [`FormData`](crate::FormData).
///
/// # Errors
///
/// 415 if the request is not `multipart/form-data`, 413 if it exceeds one of its [limits](MultipartLimits), 400 if it is
/// malformed or ends early. The text for the client says what is wrong.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Multipart, MultipartLimits};
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// async fn upload(mut request: Request) -> Result<String, HttpError> {
///     let mut multipart = Multipart::from_request(&mut request, MultipartLimits::new())?;
///     let mut sizes = String::new();
///     while let Some(mut part) = multipart.next_part().await? {
///         let mut size = 0;
///         while let Some(chunk) = part.chunk().await? {
///             size += chunk.len();
///         }
///         sizes += &format!("{}: {size} bytes\n", part.head().name());
///     }
///     Ok(sizes)
/// }
///
/// let body = "--edge\r\ncontent-disposition: form-data; name=\"room\"\r\n\r\nsalon\r\n--edge--\r\n";
/// let client = Client::new(Application::new(upload));
/// let form = client.post("/").header("content-type", "multipart/form-data; boundary=edge");
/// assert_eq!(form.body(body).send().text(), "room: 5 bytes\n");
/// assert_eq!(client.post("/").body("x").send().status(), 415);
/// ```
#[derive(Debug)]
pub struct Multipart {
    body: Body,
    decoder: MultipartDecoder,
    /// Whether a part began whose end was not read.
    in_part: bool,
    is_over: bool,
}

impl Multipart {
    /// Takes the body of a request.
    ///
    /// # Errors
    ///
    /// 415 if it is not `multipart/form-data`, 400 if its boundary is missing or invalid.
    pub fn from_request(
        request: &mut Request,
        limits: MultipartLimits,
    ) -> Result<Multipart, HttpError> {
        let boundary =
            match form_type(request.headers()).map_err(MultipartError::into_http_error)? {
                FormType::Multipart(boundary) => boundary,
                FormType::Other => return Err(unsupported()),
            };
        if request
            .body()
            .known_length()
            .is_some_and(|length| length > limits.total_bytes)
        {
            return Err(MultipartError::too_much("bytes", limits.total_bytes).into_http_error());
        }
        let decoder =
            MultipartDecoder::new(&boundary, limits).map_err(MultipartError::into_http_error)?;
        Ok(Multipart {
            body: request.take_body(),
            decoder,
            in_part: false,
            is_over: false,
        })
    }

    /// Returns the next part; `None` after the last one. What was not read of the part before is skipped.
    ///
    /// # Errors
    ///
    /// As the type's.
    pub async fn next_part(&mut self) -> Result<Option<Part<'_>>, HttpError> {
        while self.in_part {
            self.part_data().await?;
        }
        match self.next_event().await? {
            Some(MultipartEvent::Part(head)) => {
                self.in_part = true;
                Ok(Some(Part {
                    head,
                    multipart: self,
                }))
            }
            _ => Ok(None),
        }
    }

    /// Returns the next piece of the part; `None` at its end.
    async fn part_data(&mut self) -> Result<Option<Bytes>, HttpError> {
        if !self.in_part {
            return Ok(None);
        }
        match self.next_event().await? {
            Some(MultipartEvent::Data(data)) => Ok(Some(data)),
            _ => {
                self.in_part = false;
                Ok(None)
            }
        }
    }

    /// Returns the next event; `None` at the end of the body.
    async fn next_event(&mut self) -> Result<Option<MultipartEvent>, HttpError> {
        loop {
            if let Some(event) = self
                .decoder
                .next_event()
                .map_err(MultipartError::into_http_error)?
            {
                if event != MultipartEvent::End {
                    return Ok(Some(event));
                }
                continue;
            }
            if self.is_over {
                return Ok(None);
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.decoder
                            .feed(data)
                            .map_err(MultipartError::into_http_error)?;
                    }
                }
                None => {
                    self.decoder
                        .finish()
                        .map_err(MultipartError::into_http_error)?;
                    self.is_over = true;
                }
            }
        }
    }
}

/// A part of a [`Multipart`]: a field or a file.
#[derive(Debug)]
pub struct Part<'a> {
    head: PartHead,
    multipart: &'a mut Multipart,
}

impl Part<'_> {
    /// Returns its headers, with its name and file name.
    #[must_use]
    pub fn head(&self) -> &PartHead {
        &self.head
    }

    /// Returns the next piece of the content, which is never empty; `None` at its end.
    ///
    /// # Errors
    ///
    /// As for [`Multipart`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.multipart.part_data().await
    }

    /// Reads the whole content.
    ///
    /// # Errors
    ///
    /// As for [`Multipart`], and 413 if it is longer than `limit` bytes.
    pub async fn bytes(&mut self, limit: usize) -> Result<Bytes, HttpError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > limit - all.len() {
                let text = format!(
                    "the field {:?} has more than {limit} bytes",
                    self.head.name()
                );
                return Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE).message(text));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Reads the whole content as text.
    ///
    /// # Errors
    ///
    /// As for [`bytes`](Part::bytes), and 400 if it is not UTF-8.
    pub async fn text(&mut self, limit: usize) -> Result<String, HttpError> {
        let content = self.bytes(limit).await?;
        text(self.head.name(), content.into())
    }
}

/// The text of a field.
pub(super) fn text(name: &str, content: Vec<u8>) -> Result<String, HttpError> {
    String::from_utf8(content).map_err(|error| {
        let text = format!("the field {name:?} is not UTF-8");
        HttpError::new(StatusCode::BAD_REQUEST)
            .message(text)
            .caused_by(error)
    })
}

/// A 415 that names what is accepted (RFC 9110, sections 12.5.1 and 15.5.16).
fn unsupported() -> HttpError {
    HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .message("the content type must be multipart/form-data")
        .header(ACCEPT, FORM_DATA)
}
