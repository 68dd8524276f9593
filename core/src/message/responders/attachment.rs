//! Content to be saved as a file.

use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::message::body::Body;
use crate::message::response::{IntoResponse, Response};
use crate::rules::unprintable::is_unprintable;

/// All but `attr-char` (RFC 8187, section 3.2.1).
const NOT_ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Content that a browser saves under a file name (`Content-Disposition`, RFC 6266).
///
/// A name that is not ASCII is sent twice, as RFC 8187 says, and for old clients with `_` in place of other characters. Of a path
/// only the last part is sent, and characters that are [unprintable](crate::is_unprintable) are left out.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::http::HeaderValue;
/// use enfilade::{Application, Attachment, Request};
///
/// let csv = HeaderValue::from_static("text/csv; charset=utf-8");
/// let app = Application::new(move |_: Request| Attachment::new("café.csv", "1,2\n").content_type(csv.clone()));
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(
///     response.headers()["content-disposition"],
///     "attachment; filename=\"caf_.csv\"; filename*=UTF-8''caf%C3%A9.csv"
/// );
/// ```
#[derive(Debug)]
#[must_use = "a response does nothing until it is returned"]
pub struct Attachment {
    kind: &'static str,
    name: String,
    body: Body,
    content_type: HeaderValue,
}

impl Attachment {
    /// Content of the type `application/octet-stream`, and its file name.
    pub fn new(name: &str, body: impl Into<Body>) -> Attachment {
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        Attachment {
            kind: "attachment",
            name: name
                .chars()
                .filter(|&character| !is_unprintable(character))
                .collect(),
            body: body.into(),
            content_type: HeaderValue::from_static("application/octet-stream"),
        }
    }

    /// Sets the content type.
    pub fn content_type(mut self, content_type: HeaderValue) -> Attachment {
        self.content_type = content_type;
        self
    }

    /// Lets a browser show the content, and use the name if the user saves it.
    ///
    /// Content from users can be a page with scripts: show it only from a host of its own, or as an attachment.
    pub fn inline(mut self) -> Attachment {
        self.kind = "inline";
        self
    }
}

impl IntoResponse for Attachment {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type);
        if let Ok(disposition) = HeaderValue::try_from(disposition(self.kind, &self.name)) {
            headers.insert(CONTENT_DISPOSITION, disposition);
        }
        response
    }
}

/// `attachment; filename="a"; filename*=UTF-8''a`. Clients disagree about backslashes and percent signs in `filename`
/// (RFC 6266, appendix D), so a name with them is ASCII only in its second form.
fn disposition(kind: &str, name: &str) -> String {
    if name.is_empty() {
        return kind.to_owned();
    }
    let is_plain =
        |character: &char| matches!(character, ' '..='~') && !"\"\\%".contains(*character);
    let plain: String = name
        .chars()
        .map(|character| if is_plain(&character) { character } else { '_' })
        .collect();
    match plain == name {
        true => format!("{kind}; filename=\"{name}\""),
        false => {
            let encoded = utf8_percent_encode(name, NOT_ATTRIBUTE);
            format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
        }
    }
}
