//! Sets headers that restrict what pages may do in browsers.

mod nonce;
mod values;

use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, HttpError, IntoResponse, Middleware, Reply, Request, Response,
    Scheme, Wrapper, wrapped,
};
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY, SERVER, STRICT_TRANSPORT_SECURITY,
};
use http::{HeaderName, StatusCode};

pub use self::nonce::CspNonce;
use self::values::Value;
use crate::error::Error;
use crate::headers::names::parse_name;

const X_POWERED_BY: HeaderName = HeaderName::from_static("x-powered-by");

/// Values that suit most sites; the table in the docs of [`SecurityHeaders`] lists them too.
const PRESET: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    ),
    ("x-content-type-options", "nosniff"),
    // With `no-referrer`, browsers would send `Origin: null` with forms, so that their origin can no longer be checked.
    ("referrer-policy", "strict-origin-when-cross-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
];

/// Sets headers that restrict pages in browsers, with values that suit most sites.
///
/// | Header | Value |
/// |---|---|
/// | `Content-Security-Policy` | scripts and styles of the site itself or with the nonce, no plug-ins, no `<base>`, no frames around it |
/// | `Strict-Transport-Security` | `max-age=31536000; includeSubDomains`, if the client uses HTTPS |
/// | `X-Content-Type-Options` | `nosniff` |
/// | `Referrer-Policy` | `strict-origin-when-cross-origin` |
/// | `Permissions-Policy` | no camera, geolocation, microphone, payment or USB |
/// | `Cross-Origin-Opener-Policy` | `same-origin` |
/// | `Cross-Origin-Embedder-Policy` | not sent: it blocks content of other sites that do not allow embedding |
/// | `Cross-Origin-Resource-Policy` | `same-origin` |
/// | `X-Frame-Options` | `DENY`, for browsers that do not know `frame-ancestors` |
///
/// [`set`](SecurityHeaders::set) replaces a value, and [`remove`](SecurityHeaders::remove) leaves a header out. If the
/// application sets a header itself, that value stays, even an empty one, unless
/// [`override_application`](SecurityHeaders::override_application) is set. Responses of every status get the headers.
///
/// # The nonce
///
/// `{nonce}` in a policy is replaced by 128 random bits in Base64, new for each request. The application reads them as
/// a [`CspNonce`] from the extensions of the request, and writes them in the `nonce` attribute of its scripts and
/// styles. If no policy has the placeholder, no nonce is made. If the request already has a `CspNonce` from such a
/// wrapper outside, that one is used.
///
/// A policy with a nonce is not sent with a 304: the client would replace the stored policy with it (RFC 9111, section
/// 4.3.4), but the stored page has the old nonce.
///
/// # Order
///
/// Outside wrappers that make their own responses (a fallback, error pages), so that those get the headers too;
/// [`ErrorPages::render`](crate::ErrorPages::render) reads the nonce from the request. Inside a [`ProxyFix`](crate::ProxyFix), which finds out
/// whether the client uses HTTPS.
///
/// # Security
///
/// A cached page keeps its nonce. If a shared cache stores the page, an attacker can read the nonce, so send pages with
/// a nonce with `Cache-Control: private` or `no-store`. HSTS applies to every subdomain for a year and can be undone
/// only with `max-age=0`. Over plain HTTP it is not sent (RFC 6797, section 7.2), but one that the application set is
/// not removed. If the system has no random bits, the response is a 500 and the application is not called.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{CspNonce, SecurityHeaders};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let security = SecurityHeaders::new()
///     .set("content-security-policy", "script-src 'nonce-{nonce}'")?
///     .set("x-frame-options", "SAMEORIGIN")?
///     .remove("cross-origin-resource-policy")?
///     .remove_software_names();
/// let app = Application::new(|request: Request| {
///     let nonce = request.extensions().get::<CspNonce>();
///     nonce.map_or_else(String::new, |nonce| format!("<script nonce=\"{nonce}\">"))
/// });
/// let response = Client::new(app.wrap(security.nonce_source(|| [0; 16]))).get("/").send();
/// assert_eq!(response.text(), "<script nonce=\"AAAAAAAAAAAAAAAAAAAAAA==\">");
/// let policy = "script-src 'nonce-AAAAAAAAAAAAAAAAAAAAAA=='";
/// assert_eq!(response.header("content-security-policy"), Some(policy));
/// assert_eq!(response.header("x-frame-options"), Some("SAMEORIGIN"));
/// assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
/// assert_eq!(response.header("cross-origin-resource-policy"), None);
/// // The request came over plain HTTP.
/// assert_eq!(response.header("strict-transport-security"), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct SecurityHeaders {
    headers: Vec<(HeaderName, Value)>,
    nonces: Arc<dyn Fn() -> Option<CspNonce> + Send + Sync>,
    report_only: bool,
    overrides: bool,
    removes_software_names: bool,
}

impl SecurityHeaders {
    /// Uses the values of the table.
    pub fn new() -> Self {
        SecurityHeaders {
            headers: PRESET.into_iter().map(preset).collect(),
            nonces: Arc::new(CspNonce::random),
            report_only: false,
            overrides: false,
            removes_software_names: false,
        }
    }

    /// Sets the value of a header, and replaces the preset.
    ///
    /// The names are those of the table, and `Content-Security-Policy`, `Cross-Origin-Opener-Policy` and
    /// `Cross-Origin-Embedder-Policy` with `-Report-Only`, to try out a second, stricter policy.
    ///
    /// # Errors
    ///
    /// If the header is not in the table, or if browsers do not accept the value. Names of directives and features are
    /// not checked, because new ones appear each year.
    pub fn set<N>(mut self, name: N, value: &str) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        let name = values::known(parse_name(name)?)?;
        let value = Value::parse(&name, value)?;
        match self.headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.headers.push((name, value)),
        }
        Ok(self)
    }

    /// Leaves out a header of the table; a header that the application set stays.
    ///
    /// # Errors
    ///
    /// If the header is not in the table.
    pub fn remove<N>(mut self, name: N) -> Result<Self, Error>
    where
        N: TryInto<HeaderName> + fmt::Debug,
    {
        let name = values::known(parse_name(name)?)?;
        self.headers.retain(|(known, _)| *known != name);
        Ok(self)
    }

    /// Only reports violations of the content security policy, without blocking; off by default.
    ///
    /// The policy is sent as `Content-Security-Policy-Report-Only`. If a policy was set by that name, only that one is
    /// sent. Set where reports go with `report-to` or `report-uri`.
    pub fn report_only(mut self) -> Self {
        self.report_only = true;
        self
    }

    /// Replaces the application's values of these headers; off by default.
    pub fn override_application(mut self) -> Self {
        self.overrides = true;
        self
    }

    /// Removes `Server` and `X-Powered-By` from responses; off by default.
    pub fn remove_software_names(mut self) -> Self {
        self.removes_software_names = true;
        self
    }

    /// Sets the source of the nonce bits, for example fixed bits in tests; the system's random bits by default.
    ///
    /// The bits must be new for each request and impossible to guess.
    pub fn nonce_source(mut self, bits: impl Fn() -> [u8; 16] + Send + Sync + 'static) -> Self {
        self.nonces = Arc::new(move || Some(CspNonce::from_bits(bits())));
        self
    }

    /// The headers to send, under their final names.
    fn sent(mut self) -> Self {
        let is = |wanted: HeaderName| move |(name, _): &(HeaderName, _)| *name == wanted;
        if self.report_only {
            let (enforced, reported) = (
                is(CONTENT_SECURITY_POLICY),
                is(CONTENT_SECURITY_POLICY_REPORT_ONLY),
            );
            if self.headers.iter().any(reported) {
                self.headers.retain(|header| !enforced(header));
            } else if let Some(policy) = self.headers.iter_mut().find(|header| enforced(header)) {
                policy.0 = CONTENT_SECURITY_POLICY_REPORT_ONLY;
            }
        }
        self
    }

    fn wants_nonce(&self) -> bool {
        self.headers.iter().any(|(_, value)| value.has_nonce())
    }

    fn decorate(&self, scheme: Scheme, nonce: Option<&CspNonce>, response: &mut Response) {
        let status = response.status();
        let headers = response.headers_mut();
        if self.removes_software_names {
            headers.remove(SERVER);
            headers.remove(X_POWERED_BY);
        }
        for (name, value) in &self.headers {
            let is_there = headers.contains_key(name) && !self.overrides;
            if !is_there
                && is_sent(name, value, scheme, status)
                && let Some(value) = value.with(nonce)
            {
                headers.insert(name, value);
            }
        }
    }
}

fn preset((name, text): (&'static str, &str)) -> (HeaderName, Value) {
    let name = HeaderName::from_static(name);
    let value = Value::parse(&name, text).expect("the preset's values are well formed");
    (name, value)
}

fn is_sent(name: &HeaderName, value: &Value, scheme: Scheme, status: StatusCode) -> bool {
    match *name {
        // RFC 6797, section 7.2.
        STRICT_TRANSPORT_SECURITY => scheme == Scheme::Https,
        _ => !(value.has_nonce() && status == StatusCode::NOT_MODIFIED),
    }
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        SecurityHeaders::new()
    }
}

impl fmt::Debug for SecurityHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityHeaders")
            .field("headers", &self.headers)
            .field("report_only", &self.report_only)
            .field("overrides", &self.overrides)
            .field("removes_software_names", &self.removes_software_names)
            .finish_non_exhaustive()
    }
}

impl Middleware for SecurityHeaders {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self.sent())
    }
}

impl Wrapper for SecurityHeaders {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let mut nonce = None;
        if self.wants_nonce() {
            let outer = request.extensions().get::<CspNonce>().cloned();
            nonce = outer.or_else(|| (self.nonces)());
            let Some(nonce) = &nonce else {
                let mut response = HttpError::new(StatusCode::INTERNAL_SERVER_ERROR)
                    .caused_by("the system has no random bits for a nonce")
                    .into_response();
                self.decorate(request.scheme(), None, &mut response);
                return Reply::new(response);
            };
            request.extensions_mut().insert(nonce.clone());
        }
        let (options, scheme) = (self.clone(), request.scheme());
        inner.call(request).update(move |response| {
            options.decorate(scheme, nonce.as_ref(), response);
        })
    }

    fn describe(&self) -> Description {
        let mut tree = Description::new("SecurityHeaders");
        for (name, value) in &self.headers {
            tree = tree.option(name.as_str(), value.as_str());
        }
        for (name, is_on) in [
            ("override application", self.overrides),
            ("remove software names", self.removes_software_names),
        ] {
            if is_on {
                tree = tree.option(name, true);
            }
        }
        tree
    }
}

#[cfg(test)]
mod tests;
