//! Bodies of the kinds that clients send: JSON, forms, and forms with files.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RequestBuilder;
use super::response::TestResponse;
use crate::fail::fail;

const BOUNDARY: &str = "enfilade-testing-boundary";

impl RequestBuilder {
    /// Sets a JSON body and its `Content-Type`.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, HttpError, Request};
    /// use enfilade_testing::Client;
    /// use serde_json::json;
    ///
    /// let app = Application::new(async |mut request: Request| {
    ///     Ok::<_, HttpError>(request.take_body().collect(100).await?)
    /// });
    /// let response = Client::new(app).post("/").json(&json!({"room": "salon"})).send();
    /// assert_eq!(response.json::<serde_json::Value>()["room"], "salon");
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the value cannot be serialized.
    #[track_caller]
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        let text = serde_json::to_vec(value);
        let text = text.unwrap_or_else(|error| fail(&format!("the value has no JSON: {error}")));
        self.content("application/json", text)
    }

    /// Sets the body of a form (`application/x-www-form-urlencoded`) and its `Content-Type`.
    ///
    /// The value is a list of pairs, a map, or a struct; a list in it is a name that is repeated.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, HttpError, Request};
    /// use enfilade_testing::Client;
    ///
    /// let app = Application::new(async |mut request: Request| {
    ///     Ok::<_, HttpError>(request.take_body().collect(100).await?)
    /// });
    /// let form = [("name", "Ada L."), ("room", "salon")];
    /// assert_eq!(Client::new(app).post("/").form(&form).send().text(), "name=Ada+L.&room=salon");
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the value is nested deeper.
    #[track_caller]
    pub fn form(self, value: &(impl Serialize + ?Sized)) -> Self {
        let text = serde_html_form::to_string(value);
        let text = text.unwrap_or_else(|error| fail(&format!("the value is not a form: {error}")));
        self.content("application/x-www-form-urlencoded", text)
    }

    /// Adds a name and a password (Basic, RFC 7617).
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, Request};
    /// use enfilade_testing::Client;
    ///
    /// let app = Application::new(|request: Request| request.headers()["authorization"].to_str().unwrap().to_owned());
    /// let request = Client::new(app).get("/").basic_auth("Aladdin", "open sesame");
    /// assert_eq!(request.send().text(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    /// ```
    #[track_caller]
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
        self.header("authorization", format!("Basic {credentials}"))
    }

    /// Sets the body of a form with files (`multipart/form-data`) and its `Content-Type`.
    pub fn multipart(self, form: MultipartForm) -> Self {
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.content(&content_type, form.finish())
    }

    fn content(mut self, content_type: &str, content: impl Into<Bytes>) -> Self {
        let content_type = HeaderValue::from_str(content_type).expect("visible ASCII");
        self.request
            .headers_mut()
            .insert(CONTENT_TYPE, content_type);
        self.body(content.into())
    }
}

impl TestResponse {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// Panics if it is not JSON, or not a `T`. The message has the body.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        let value = serde_json::from_slice(self.bytes());
        value.unwrap_or_else(|error| {
            fail(&format!(
                "the body is not that JSON: {error}: {}",
                self.text()
            ))
        })
    }
}

/// The parts of a form with files, for [`RequestBuilder::multipart`].
///
/// ```
/// use enfilade_testing::MultipartForm;
///
/// let form = MultipartForm::new()
///     .text("title", "The salon")
///     .file("photo", "salon.jpg", "image/jpeg", vec![0xff, 0xd8]);
/// # drop(form);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a form does nothing until it is sent"]
pub struct MultipartForm {
    body: Vec<u8>,
}

impl MultipartForm {
    /// A form without parts.
    pub fn new() -> MultipartForm {
        MultipartForm::default()
    }

    /// Adds a field.
    pub fn text(self, name: &str, value: &str) -> MultipartForm {
        let disposition = format!("form-data; name=\"{}\"", escaped(name));
        self.part(&headers(&disposition, None), value)
    }

    /// Adds a file. The name can be anything, as a client can send anything.
    pub fn file(
        self,
        name: &str,
        file_name: &str,
        content_type: &str,
        content: impl AsRef<[u8]>,
    ) -> MultipartForm {
        let disposition = format!(
            "form-data; name=\"{}\"; filename=\"{}\"",
            escaped(name),
            escaped(file_name)
        );
        self.part(&headers(&disposition, Some(content_type)), content)
    }

    /// Adds a part with any headers.
    pub fn part(mut self, headers: &HeaderMap, content: impl AsRef<[u8]>) -> MultipartForm {
        self.body
            .extend_from_slice(format!("--{BOUNDARY}\r\n").as_bytes());
        for (name, value) in headers {
            self.body.extend_from_slice(name.as_str().as_bytes());
            self.body.extend_from_slice(b": ");
            self.body.extend_from_slice(value.as_bytes());
            self.body.extend_from_slice(b"\r\n");
        }
        self.raw(b"\r\n").raw(content).raw(b"\r\n")
    }

    /// Adds bytes as they are, to test what happens to a malformed body. The boundary is `enfilade-testing-boundary`.
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> MultipartForm {
        self.body.extend_from_slice(bytes.as_ref());
        self
    }

    fn finish(mut self) -> Vec<u8> {
        self.body
            .extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.body
    }
}

/// What browsers escape in names (WHATWG HTML, "multipart form data").
fn escaped(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

#[track_caller]
fn headers(disposition: &str, content_type: Option<&str>) -> HeaderMap {
    let value = |text: &str| match HeaderValue::from_bytes(text.as_bytes()) {
        Ok(value) => value,
        Err(_) => fail(&format!("{text:?} is not a header value")),
    };
    let mut headers = HeaderMap::new();
    headers.insert("content-disposition", value(disposition));
    if let Some(content_type) = content_type {
        headers.insert("content-type", value(content_type));
    }
    headers
}

#[cfg(test)]
mod tests {
    use enfilade_core::{Application, HttpError, Request};

    use super::*;
    use crate::Client;

    fn echo() -> Client {
        Client::new(Application::new(async |mut request: Request| {
            let content_type = request.headers()["content-type"].clone();
            let body = request.take_body().collect(10_000).await?;
            Ok::<_, HttpError>((
                [(
                    "x-type",
                    content_type.to_str().unwrap_or_default().to_owned(),
                )],
                body,
            ))
        }))
    }

    #[test]
    fn a_form_with_files_is_as_browsers_write_it() {
        let form = MultipartForm::new()
            .text("a\"b", "c")
            .file("d", "e\r\n.txt", "text/plain", "f");
        let response = echo().post("/").multipart(form).send();
        assert_eq!(
            response.header("x-type"),
            Some("multipart/form-data; boundary=enfilade-testing-boundary")
        );
        assert_eq!(
            response.text(),
            "--enfilade-testing-boundary\r\ncontent-disposition: form-data; name=\"a%22b\"\r\n\r\nc\r\n\
             --enfilade-testing-boundary\r\ncontent-disposition: form-data; name=\"d\"; filename=\"e%0D%0A.txt\"\r\n\
             content-type: text/plain\r\n\r\nf\r\n--enfilade-testing-boundary--\r\n"
        );
    }

    #[test]
    #[should_panic(
        expected = "the body is not that JSON: invalid type: string \"x\", expected u8 at line 1 column 3: \"x\""
    )]
    fn json_of_another_type_shows_the_body() {
        let _: u8 = echo().post("/").json("x").send().json();
    }
}
