//! Which pages may act on a site.

use enfilade_core::Request;
use enfilade_core::host::Host;
use http::header::ORIGIN;
use http::{HeaderName, HeaderValue};

use super::origin::Origin;
use crate::error::Error;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which pages may act on a site: its own, and those of other origins that are listed.
///
/// One policy for [`Csrf`](crate::Csrf), for WebSockets, and for [`Cors`](crate::Cors::policy).
///
/// Browsers say in `Sec-Fetch-Site` where a request comes from (Fetch Metadata), and in `Origin` from which page. A
/// request with neither is not from a browser, or from one older than 2020 that sends no `Origin` with a form. No page
/// can make a newer browser leave both out.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Cors, Csrf, OriginPolicy};
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let policy = OriginPolicy::same_origin().and(["https://app.example.org"])?;
/// let (csrf, cors) = (Csrf::new().policy(policy.clone()), Cors::policy(&policy));
/// # drop((csrf, cors));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a policy does nothing until something asks it"]
pub struct OriginPolicy(Vec<Origin>);

impl OriginPolicy {
    /// Only pages of the site itself: the same scheme, host and port.
    pub fn same_origin() -> OriginPolicy {
        OriginPolicy::default()
    }

    /// Also pages of these origins, written as for [`Cors::origins`](crate::Cors::origins).
    ///
    /// # Errors
    ///
    /// If one is not an origin, or is not written as browsers write it.
    pub fn and<T: AsRef<str>>(
        mut self,
        origins: impl IntoIterator<Item = T>,
    ) -> Result<OriginPolicy, Error> {
        for origin in origins {
            self.0.push(Origin::parse(origin.as_ref())?);
        }
        Ok(self)
    }

    pub(crate) fn listed(&self) -> &[Origin] {
        &self.0
    }

    /// Checks where a request comes from.
    ///
    /// # Errors
    ///
    /// The reason, for a log, if it comes from another site.
    pub fn check(&self, request: &Request) -> Result<(), &'static str> {
        let headers = request.headers();
        let mut sites = headers.get_all(&SEC_FETCH_SITE).iter();
        let site = sites.next();
        if let (Some(b"same-origin" | b"none"), None) =
            (site.map(HeaderValue::as_bytes), sites.next())
        {
            return Ok(());
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (_, Some(_)) => return Err("several Origin headers"),
            (Some(origin), None) => Some(origin.to_str().map_err(|_| "Origin is not ASCII")?),
            (None, None) => None,
        };
        if origin.is_some_and(|origin| self.0.iter().any(|listed| listed.is(origin))) {
            return Ok(());
        }
        if site.is_some() {
            return Err("Sec-Fetch-Site names another site");
        }
        match origin {
            None => Ok(()),
            Some(origin) if is_own(origin, request) => Ok(()),
            Some(_) => Err("Origin is another site"),
        }
    }
}

/// Whether an origin is that of the site: also the scheme, so that a page which an attacker put into an unencrypted
/// connection cannot act on the site over TLS.
fn is_own(origin: &str, request: &Request) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else {
        return false;
    };
    let port = request.scheme().default_port();
    let parsed = Host::parse(host).map(|host| host.without_port(port));
    let own = Host::of(request).map(|host| host.without_port(port));
    scheme == request.scheme().as_str() && parsed.is_some() && parsed == own
}
