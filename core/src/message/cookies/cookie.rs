//! A cookie of a response.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderValue;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::message::http_error::HttpError;
use crate::message::response::{IntoResponse, Response};
use crate::rules::headers::is_token;

/// The maximum length of a name and its value together, in bytes, and of an attribute (RFC 6265bis, section 5.6).
const MOST_BYTES: usize = 4096;
const MOST_ATTRIBUTE_BYTES: usize = 1024;

/// All but `cookie-octet` (RFC 6265bis, section 4.1.1), and the percent sign.
const NOT_IN_VALUES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b',')
    .add(b';')
    .add(b'\\');

/// A cookie to set with a response (`Set-Cookie`, RFC 6265bis).
///
/// By default it is `Secure`, `HttpOnly`, `SameSite=Lax` and `Path=/`, and lives as long as the browser's session. Start its
/// name with `__Host-`, so that no other host, and no page over HTTP, can set it.
///
/// ```
/// # use enfilade_core as enfilade;
/// use std::time::Duration;
///
/// use enfilade::{Application, Cookie, Redirect, Request};
///
/// let app = Application::new(|request: Request| {
///     let theme = Cookie::new("__Host-theme", "dark").max_age(Duration::from_secs(86_400));
///     (theme, Redirect::see_other(&request, "/"))
/// });
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(
///     response.headers()["set-cookie"],
///     "__Host-theme=dark; Path=/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax"
/// );
/// ```
///
/// As a part of a response, `(cookie, response)`, a cookie that is not valid is a 500; [`set_on`](Cookie::set_on) returns the
/// error. A response with a cookie and without `Cache-Control` gets `Cache-Control: private`, as shared caches store
/// cookies with responses (RFC 9111, section 7.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a cookie does nothing until it is set on a response"]
pub struct Cookie {
    name: String,
    value: String,
    path: Option<String>,
    domain: Option<String>,
    max_age: Option<Duration>,
    expires: Option<String>,
    is_secure: bool,
    is_http_only: bool,
    same_site: Option<SameSite>,
    is_partitioned: bool,
}

/// Which requests from other sites have a cookie (RFC 6265bis, section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// None.
    Strict,
    /// Those by which the user comes here, such as a link.
    Lax,
    /// All; the cookie is `Secure` then, as browsers require.
    None,
}

/// The error of a cookie that browsers would reject, or that would be something else on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieError(String);

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CookieError {}

impl Cookie {
    /// A cookie with this value, which may have ASCII only, without spaces, quotes, commas, semicolons and backslashes.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Cookie {
        Cookie {
            name: name.into(),
            value: value.into(),
            path: Some("/".to_owned()),
            domain: None,
            max_age: None,
            expires: None,
            is_secure: true,
            is_http_only: true,
            same_site: Some(SameSite::Lax),
            is_partitioned: false,
        }
    }

    /// A cookie with any text, which is percent-encoded; [`Cookies::get_decoded`](crate::Cookies::get_decoded) reads it.
    pub fn encoded(name: impl Into<String>, value: &str) -> Cookie {
        Cookie::new(name, utf8_percent_encode(value, NOT_IN_VALUES).to_string())
    }

    /// Sets the path below which the browser sends it; `/` by default.
    ///
    /// A path protects from nothing: pages of one host can read each other's cookies.
    pub fn path(mut self, path: impl Into<String>) -> Cookie {
        self.path = Some(path.into());
        self
    }

    /// Leaves the path out: the browser takes the directory of the request's path.
    pub fn without_path(mut self) -> Cookie {
        self.path = None;
        self
    }

    /// Sets the domain that gets it, with all hosts below; by default this host alone. A dot at its start is left out.
    pub fn domain(mut self, domain: &str) -> Cookie {
        self.domain = Some(domain.strip_prefix('.').unwrap_or(domain).to_owned());
        self
    }

    /// Sets how long it lives, in whole seconds, rounded up; by default until the browser's session ends.
    pub fn max_age(mut self, duration: Duration) -> Cookie {
        self.max_age = Some(duration);
        self
    }

    /// Sets when it expires, by the client's clock; [`max_age`](Cookie::max_age) has precedence.
    #[cfg(feature = "time")]
    #[cfg_attr(docsrs, doc(cfg(feature = "time")))]
    pub fn expires(mut self, time: time::OffsetDateTime) -> Cookie {
        self.expires = Some(crate::rules::headers::format_http_date(time));
        self
    }

    /// Lets scripts of the page read it. By default they cannot.
    pub fn readable_by_scripts(mut self) -> Cookie {
        self.is_http_only = false;
        self
    }

    /// Sends it over HTTP without TLS too. By default it is not, except to `localhost`.
    pub fn insecure_without_tls(mut self) -> Cookie {
        self.is_secure = false;
        self
    }

    /// Sets which requests from other sites have it; [`SameSite::Lax`] by default. `None` leaves it to the browser.
    pub fn same_site(mut self, same_site: impl Into<Option<SameSite>>) -> Cookie {
        self.same_site = same_site.into();
        self
    }

    /// Keeps one for each site that embeds this one (`Partitioned`). It is `Secure` then, as browsers
    /// require.
    pub fn partitioned(mut self) -> Cookie {
        self.is_partitioned = true;
        self
    }

    /// Sets another value; the attributes stay. What a cookie cannot have is an error when it is [written](Cookie::header_value).
    pub fn value(mut self, value: impl Into<String>) -> Cookie {
        self.value = value.into();
        self
    }

    /// The cookie that removes this one: of the same name, path and domain, as browsers tell cookies apart by these.
    pub fn removal(mut self) -> Cookie {
        self.value.clear();
        self.max_age = Some(Duration::ZERO);
        // For clients without `Max-Age`.
        self.expires = Some("Thu, 01 Jan 1970 00:00:00 GMT".to_owned());
        self
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds it to a response.
    ///
    /// # Errors
    ///
    /// As for [`header_value`](Cookie::header_value); the response is unchanged then.
    pub fn set_on(&self, response: &mut Response) -> Result<(), CookieError> {
        let value = self.header_value()?;
        let headers = response.headers_mut();
        headers.append(SET_COOKIE, value);
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        Ok(())
    }

    /// Makes the value of its `Set-Cookie` header.
    ///
    /// # Errors
    ///
    /// If the name is not a token, the value has a character that it cannot have, both are longer than 4,096 bytes, an attribute
    /// has a control character or a semicolon or is longer than 1,024 bytes, the domain is not the name of a host, or browsers would reject the cookie: `__Secure-` needs
    /// `Secure`; `__Host-` needs `Secure`, `Path=/` and no domain.
    pub fn header_value(&self) -> Result<HeaderValue, CookieError> {
        self.check()?;
        let mut text = format!("{}={}", self.name, self.value);
        let mut add = |name: &str, value: Option<&dyn fmt::Display>| {
            if let Some(value) = value {
                write!(text, "; {name}={value}").expect("memory takes all that is written");
            }
        };
        add("Path", self.path.as_ref().map(|path| path as _));
        add("Domain", self.domain.as_ref().map(|domain| domain as _));
        add("Expires", self.expires.as_ref().map(|date| date as _));
        let round_up = |age: Duration| age.as_secs() + u64::from(age.subsec_nanos() > 0);
        let seconds = self.max_age.map(round_up);
        add("Max-Age", seconds.as_ref().map(|seconds| seconds as _));
        for (is_set, flag) in [
            (self.is_secure(), "Secure"),
            (self.is_http_only, "HttpOnly"),
        ] {
            text.push_str(if is_set { "; " } else { "" });
            text.push_str(if is_set { flag } else { "" });
        }
        if let Some(same_site) = self.same_site {
            write!(text, "; SameSite={same_site:?}").expect("memory takes all that is written");
        }
        if self.is_partitioned {
            text.push_str("; Partitioned");
        }
        HeaderValue::try_from(text).map_err(|_| CookieError("the cookie is not ASCII".to_owned()))
    }

    fn is_secure(&self) -> bool {
        self.is_secure || self.is_partitioned || self.same_site == Some(SameSite::None)
    }

    fn check(&self) -> Result<(), CookieError> {
        let Cookie { name, value, .. } = self;
        if !is_token(name) {
            return Err(CookieError(format!(
                "the cookie name {name:?} is not a token (RFC 9110, section 5.6.2)"
            )));
        }
        if !is_value(value) {
            return Err(CookieError(format!(
                "the value of the cookie {name:?} has a character that a cookie cannot have: use Cookie::encoded"
            )));
        }
        if name.len() + value.len() > MOST_BYTES {
            return Err(CookieError(format!(
                "the cookie {name:?} is longer than {MOST_BYTES} bytes"
            )));
        }
        self.check_attribute("path", self.path.as_deref(), |path| path.starts_with('/'))?;
        self.check_attribute("domain", self.domain.as_deref(), |domain| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_allowed);
            domain.split('.').all(is_label)
        })?;
        self.check_security()
    }

    fn check_attribute(
        &self,
        attribute: &str,
        value: Option<&str>,
        is_valid: impl Fn(&str) -> bool,
    ) -> Result<(), CookieError> {
        let is_attribute = |value: &str| {
            let is_allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b';';
            value.len() <= MOST_ATTRIBUTE_BYTES && value.bytes().all(is_allowed) && is_valid(value)
        };
        match value.filter(|value| !is_attribute(value)) {
            Some(value) => Err(CookieError(format!(
                "the cookie {:?} cannot have the {attribute} {value:?}",
                self.name
            ))),
            None => Ok(()),
        }
    }

    /// What browsers require of a cookie (RFC 6265bis, section 5.7). They ignore the case of prefixes.
    fn check_security(&self) -> Result<(), CookieError> {
        let has_prefix = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let is_host = has_prefix("__Host-");
        if (is_host || has_prefix("__Secure-")) && !self.is_secure() {
            let text = "must be Secure: its prefix requires that";
            return Err(CookieError(format!("the cookie {:?} {text}", self.name)));
        }
        if is_host && (self.domain.is_some() || self.path.as_deref() != Some("/")) {
            let text = "must have no domain and the path \"/\": __Host- requires that";
            return Err(CookieError(format!("the cookie {:?} {text}", self.name)));
        }
        Ok(())
    }
}

/// `cookie-value` (RFC 6265bis, section 4.1.1).
fn is_value(value: &str) -> bool {
    let unquoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    // All of `!` to `~` but `"`, `,`, `;` and the backslash.
    let is_octet =
        |byte: u8| matches!(byte, b'!' | b'#'..=b'+' | b'-'..=b':' | b'<'..=b'[' | b']'..=b'~');
    unquoted.unwrap_or(value).bytes().all(is_octet)
}

/// A response that sets a cookie.
impl<T: IntoResponse> IntoResponse for (Cookie, T) {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        match self.0.set_on(&mut response) {
            Ok(()) => response,
            Err(error) => HttpError::from(error).into_response(),
        }
    }
}
