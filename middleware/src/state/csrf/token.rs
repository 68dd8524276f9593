//! Tokens in forms, for browsers that do not say where a request comes from.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use enfilade_core::headers::MediaType;
use enfilade_core::{Application, HttpError, Reply, Request};
use http::HeaderName;
use http::header::CONTENT_TYPE;
use subtle::ConstantTimeEq;

use super::{Csrf, forbidden};
use crate::state::sessions::session::{CSRF_SECRET, Session};

const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const FIELD: &str = "csrf_token";
/// The length of a secret, in bytes.
const LENGTH: usize = 16;
/// The content in which a token is looked for by default, in bytes.
const FORM_LIMIT: usize = 64 * 1024;

/// Where tokens are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenOptions {
    form_limit: usize,
}

impl Csrf {
    /// Also requires a [`CsrfToken`] of the client's session, in the header `X-CSRF-Token` or in the form field `csrf_token`.
    ///
    /// The field is looked for in the first 64 KiB of a form ([`form_limit`](Csrf::form_limit)). In a form with files,
    /// put it before them. The application reads the form as usual. Without the token, the response is 403.
    #[cfg_attr(docsrs, doc(cfg(feature = "sessions")))]
    pub fn require_token(mut self) -> Csrf {
        self.token = Some(TokenOptions {
            form_limit: FORM_LIMIT,
        });
        self
    }

    /// Requires a token, and sets how much of a form is kept in memory to look for it, in bytes; 64 KiB by default.
    #[cfg_attr(docsrs, doc(cfg(feature = "sessions")))]
    pub fn form_limit(mut self, bytes: usize) -> Csrf {
        self.token = Some(TokenOptions { form_limit: bytes });
        self
    }
}

/// A token for a form or a script of a page: another text each time, which only this session's requests can use.
///
/// It is made from a secret in the session, with a new mask for each page: the length of a compressed page does not give
/// the secret away. [`Session::renew`] makes all earlier tokens worthless.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Csrf, CsrfToken, MemorySessions, Session, Sessions};
/// use enfilade::{Application, Html, HttpError, IntoResponse, Pipeline, Request, Response};
/// use enfilade_testing::Client;
///
/// fn pay(request: Request) -> Result<Response, HttpError> {
///     if request.method() == "POST" {
///         return Ok("paid".into_response());
///     }
///     let token = CsrfToken::of(&Session::load_now(&request)?)?;
///     Ok(Html(format!("<form method=post>{}<button>Pay</button></form>", token.field())).into_response())
/// }
///
/// let app = Pipeline::new()
///     .with(Sessions::new(MemorySessions::new(1_000)))
///     .with(Csrf::new().require_token())
///     .wrap(pay);
/// let client = Client::new(app);
///
/// let page = client.get("/").send();
/// let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
/// let token = page.text().split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
/// let form = || client.post("/").header("cookie", &cookie).header("content-type", "application/x-www-form-urlencoded");
/// assert_eq!(form().body(format!("csrf_token={token}")).send().text(), "paid");
/// assert_eq!(form().body("csrf_token=x").send().status(), 403);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CsrfToken(String);

impl CsrfToken {
    /// Makes a token for a session. The first one puts a secret into the session.
    ///
    /// # Errors
    ///
    /// 500 if the session cannot be changed any more; see [`Session`].
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    pub fn of(session: &Session) -> Result<CsrfToken, HttpError> {
        let secret = match secret_of(session)? {
            Some(secret) => secret,
            None => {
                let secret = random();
                session.insert(CSRF_SECRET, &BASE64.encode(secret))?;
                secret
            }
        };
        let mask = random();
        let masked = xor(mask, secret);
        Ok(CsrfToken(BASE64.encode([mask, masked].concat())))
    }

    /// The token as text, for the header `X-CSRF-Token` of a script's requests.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The token as a hidden field of an HTML form.
    #[must_use]
    pub fn field(&self) -> String {
        format!("<input type=\"hidden\" name=\"{FIELD}\" value=\"{self}\">")
    }
}

impl fmt::Display for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows nothing of it.
impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfToken").finish_non_exhaustive()
    }
}

impl TokenOptions {
    /// Calls the application if the request has a token of its session.
    pub(super) fn check(self, inner: &Application, mut request: Request) -> Reply {
        let inner = inner.clone();
        Reply::from_future(async move {
            let session = Session::load(&request).await?;
            let Some(secret) = secret_of(&session)? else {
                return Err(forbidden("the session has no token"));
            };
            let sent = match request.headers().get(HEADER) {
                Some(value) => value.to_str().ok().map(str::to_owned),
                None => field(&mut request, self.form_limit).await,
            };
            match sent.is_some_and(|token| is_token_of(secret, &token)) {
                true => Ok(inner.call(request).await),
                false => Err(forbidden("no token, or that of another session")),
            }
        })
    }
}

fn secret_of(session: &Session) -> Result<Option<[u8; LENGTH]>, HttpError> {
    let secret: Option<String> = session.get(CSRF_SECRET)?;
    Ok(secret.and_then(|secret| BASE64.decode(secret).ok()?.try_into().ok()))
}

fn is_token_of(secret: [u8; LENGTH], token: &str) -> bool {
    let Some(bytes) = BASE64.decode(token).ok() else {
        return false;
    };
    let parts = bytes.split_first_chunk::<LENGTH>();
    let masked = parts.and_then(|(mask, rest)| Some((*mask, <[u8; LENGTH]>::try_from(rest).ok()?)));
    masked.is_some_and(|(mask, masked)| xor(mask, masked).ct_eq(&secret).into())
}

/// The token in a form, which stays in the body.
async fn field(request: &mut Request, limit: usize) -> Option<String> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)?
        .to_str()
        .ok()?
        .to_owned();
    let media_type = MediaType::parse(&content_type)?;
    if media_type.is("application", "x-www-form-urlencoded") {
        let form = request.body_mut().peek(limit).await?;
        let mut pairs = form_urlencoded::parse(&form);
        return pairs.find_map(|(name, value)| (name == FIELD).then(|| value.into_owned()));
    }
    #[cfg(feature = "multipart")]
    if media_type.is("multipart", "form-data") {
        let start = request.body_mut().peek_start(limit).await;
        return crate::data::multipart::first_field(request.headers(), start, FIELD);
    }
    None
}

fn xor(mut one: [u8; LENGTH], other: [u8; LENGTH]) -> [u8; LENGTH] {
    one.iter_mut()
        .zip(other)
        .for_each(|(byte, other)| *byte ^= other);
    one
}

fn random() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}
