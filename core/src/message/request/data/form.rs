//! Forms and queries as values.

use bytes::Bytes;
use http::StatusCode;
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;

use super::limits::DataLimits;
use super::reading::{expect_type, read, too_long, unprocessable};

use crate::message::http_error::HttpError;
use crate::message::request::Request;

/// The content of a form that was read, in the extensions of its request.
#[derive(Clone, Debug)]
struct FormContent(Bytes);

impl Request {
    /// Reads the body as a form (`application/x-www-form-urlencoded`), up to 2 MiB and 1,000 pairs; see [`DataLimits`].
    ///
    /// Repeated names become a `Vec`. An `Option` is `None` if the name is missing, or if the value of a number is empty.
    ///
    /// The content stays with the request: a second call reads the same form, and so does an application inside that reads the
    /// body.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::http::Method;
    /// use enfilade::{HttpError, Request};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Login {
    ///     name: String,
    ///     #[serde(default)]
    ///     rooms: Vec<u32>,
    /// }
    ///
    /// async fn login(mut request: Request) -> Result<String, HttpError> {
    ///     let login: Login = request.form().await?;
    ///     Ok(format!("{} in {:?}", login.name, login.rooms))
    /// }
    ///
    /// let mut request = Request::new(Method::POST, "/".parse().unwrap());
    /// request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    /// *request.body_mut() = "name=Ada+L.&rooms=3&rooms=7".into();
    /// assert_eq!(pollster::block_on(login(request)).unwrap(), "Ada L. in [3, 7]");
    /// ```
    ///
    /// # Errors
    ///
    /// | | |
    /// |---|---|
    /// | 415 | the content type is another one |
    /// | 413 | the body is longer, or has more pairs, than the limit |
    /// | 400 | it is not UTF-8, if that is [strict](DataLimits::strict_utf8) |
    /// | 422 | it is not a `T`; the text and the member `field` name the field |
    pub async fn form<T: DeserializeOwned>(&mut self) -> Result<T, HttpError> {
        let limits = DataLimits::of(self);
        self.form_with(&limits).await
    }

    /// Reads the body as a form with these limits; see [`form`](Request::form).
    ///
    /// # Errors
    ///
    /// As for [`form`](Request::form).
    pub async fn form_with<T: DeserializeOwned>(
        &mut self,
        limits: &DataLimits,
    ) -> Result<T, HttpError> {
        let content = self.form_content(limits).await?;
        check(&content, limits, StatusCode::PAYLOAD_TOO_LARGE)?;
        deserialize(&content).map_err(|(path, error)| unprocessable(&path, error))
    }

    /// The content of the form, which stays with the request: in its body, and for when another reader has taken the body.
    async fn form_content(&mut self, limits: &DataLimits) -> Result<Bytes, HttpError> {
        expect_type(self, "application/x-www-form-urlencoded", |sent| {
            sent.is("application", "x-www-form-urlencoded")
        })?;
        if self.body().is_finished()
            && let Some(FormContent(read)) = self.extensions().get()
        {
            return match read.len() > limits.bytes {
                true => Err(too_long()),
                false => Ok(read.clone()),
            };
        }
        let content = read(self, limits.bytes).await?;
        self.extensions_mut().insert(FormContent(content.clone()));
        Ok(content)
    }

    /// Reads the query as a value, of at most 1,000 pairs; see [`DataLimits`].
    ///
    /// Repeated names become a `Vec`. An `Option` is `None` if the name is missing, or if the value of a number is empty.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Request;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Search {
    ///     q: String,
    ///     page: Option<u32>,
    /// }
    ///
    /// let search: Search = Request::get("/search?q=caf%C3%A9+noir&page=2").query().unwrap();
    /// assert_eq!((search.q.as_str(), search.page), ("café noir", Some(2)));
    /// let error = Request::get("/search?q=x&page=two").query::<Search>().err().unwrap();
    /// assert_eq!(error.client_message(), Some("page: invalid digit found in string"));
    /// ```
    ///
    /// # Errors
    ///
    /// 400 if it is not a `T`; the text and the member `field` name the parameter.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        let query = self.query_string().unwrap_or_default().as_bytes();
        check(query, &DataLimits::of(self), StatusCode::BAD_REQUEST)?;
        deserialize(query).map_err(|(path, error)| {
            unprocessable(&path, error).with_status(StatusCode::BAD_REQUEST)
        })
    }
}

fn check(content: &[u8], limits: &DataLimits, too_many: StatusCode) -> Result<(), HttpError> {
    let ends = content.iter().filter(|byte| **byte == b'&').count();
    if ends >= limits.pairs && !content.is_empty() {
        let text = format!("there are more than {} pairs", limits.pairs);
        return Err(HttpError::new(too_many).message(text));
    }
    // A name and its value are one after the other, so a character is not split between two pairs.
    if limits.is_utf8_strict && percent_decode(content).decode_utf8().is_err() {
        return Err(HttpError::new(StatusCode::BAD_REQUEST).message("the form is not UTF-8"));
    }
    Ok(())
}

/// The value, or the place and the error. The place is only looked for if there is an error.
fn deserialize<T: DeserializeOwned>(
    content: &[u8],
) -> Result<T, (String, serde_html_form::de::Error)> {
    if let Ok(value) = serde_html_form::from_bytes(content) {
        return Ok(value);
    }
    let deserializer = serde_html_form::Deserializer::from_bytes(content);
    serde_path_to_error::deserialize(deserializer)
        .map_err(|error| (error.path().to_string(), error.into_inner()))
}
