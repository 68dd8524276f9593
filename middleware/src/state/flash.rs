//! Messages for the next page.

use enfilade_core::HttpError;

use super::sessions::session::Session;

/// The name of the messages in a session.
const NAME: &str = "_flash";
/// How many messages wait; the oldest make room.
const MOST: usize = 16;

/// The kind and the text, as they are kept.
type Pair = (String, String);

/// A message for the next page that a user sees, such as "Saved." after a redirect. It is kept in the [`Session`].
///
/// The page that [takes](Flash::take) the messages shows them, and they are removed when its response is returned. They stay
/// if that response is no page: a redirect, a 304 or an error of the server; and if the browser does not show it: for HEAD and
/// for a page that it loads ahead (`Sec-Purpose: prefetch`). Messages that no page takes wait; at most 16.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Flash, MemorySessions, Session, Sessions};
/// use enfilade::{Application, HttpError, IntoResponse, Redirect, Request, Response};
/// use enfilade_testing::Client;
///
/// async fn notes(request: Request) -> Result<Response, HttpError> {
///     let session = Session::load(&request).await?;
///     if request.method() == "POST" {
///         Flash::new("success", "Saved.").add_to(&session)?;
///         return Ok(Redirect::see_other(&request, "/").into_response());
///     }
///     let messages = Flash::take(&session)?;
///     Ok(messages.iter().map(|flash| flash.text()).collect::<Vec<_>>().join(" ").into_response())
/// }
///
/// let client = Client::new(Application::new(notes).wrap(Sessions::new(MemorySessions::new(1_000))));
/// let saved = client.post("/").send();
/// let cookie = saved.header("set-cookie").unwrap().split(';').next().unwrap();
/// let page = || client.get("/").header("cookie", cookie);
/// assert_eq!(page().header("sec-purpose", "prefetch").send().text(), "Saved.");
/// assert_eq!(page().send().text(), "Saved.");
/// assert_eq!(page().send().text(), "");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a message does nothing until it is added to a session"]
pub struct Flash {
    kind: String,
    text: String,
}

impl Flash {
    /// A message of a kind, such as `success` or `error`, which a page may show in different ways.
    pub fn new(kind: impl Into<String>, text: impl Into<String>) -> Flash {
        Flash {
            kind: kind.into(),
            text: text.into(),
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The text, which is not HTML: escape it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds it to the messages of a session.
    ///
    /// # Errors
    ///
    /// As for [`Session::insert`].
    pub fn add_to(self, session: &Session) -> Result<(), HttpError> {
        let add = move |waiting: Option<Vec<Pair>>| {
            let mut all = waiting.unwrap_or_default();
            all.push((self.kind.clone(), self.text.clone()));
            let first = all.len().saturating_sub(MOST);
            all.split_off(first)
        };
        session.update(NAME, add).map(drop)
    }

    /// Returns the messages of a session, in order, to be shown by this response. A second call for the same request returns
    /// none.
    ///
    /// # Errors
    ///
    /// As for [`Session::get`].
    pub fn take(session: &Session) -> Result<Vec<Flash>, HttpError> {
        let messages: Vec<Pair> = session.get(NAME)?.unwrap_or_default();
        let shown = messages.clone();
        // What other requests added or showed meanwhile is left to them.
        let is_first = messages.is_empty()
            || session.after_page(NAME, move |now: Option<Vec<Pair>>| {
                let mut rest = now?;
                for pair in &shown {
                    if let Some(at) = rest.iter().position(|found| found == pair) {
                        rest.remove(at);
                    }
                }
                (!rest.is_empty()).then_some(rest)
            })?;
        let messages = messages.into_iter().filter(|_| is_first);
        Ok(messages.map(|(kind, text)| Flash { kind, text }).collect())
    }
}
