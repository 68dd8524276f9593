//! Certificates of clients.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, HttpError, Middleware, Reply, Request, Wrapper, wrapped,
};
use http::StatusCode;
use sha2::{Digest, Sha256};

use super::identity::{Identity, admit};
use crate::error::{Error, ErrorKind};

/// Knows clients by their TLS certificates, and passes on who it is as an [`Identity`].
///
/// The server must ask for certificates, and verify them against an authority (`Server` does so with a rustls configuration).
/// A client whose certificate is not known here, or that has none, gets a 403.
///
/// A certificate is known by its SHA-256 fingerprint, or by a function of its bytes (DER), for which a crate such as
/// `x509-parser` reads the subject. Behind a proxy that ends TLS there is no certificate: the proxy's header says nothing that
/// a client could not say too.
///
/// # Order
///
/// As [`Basic`](crate::Basic).
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{ClientCertificates, Identity};
/// use enfilade::{Application, Connection, Request, Scheme, Tls};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let app = Application::new(|request: Request| Identity::of(&request).map(|user| user.name().to_owned()));
/// // openssl x509 -in client.pem -noout -fingerprint -sha256
/// let print = "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
/// let known = ClientCertificates::new().fingerprint(print, Identity::new("pump-7"))?;
/// let client = Client::new(app.wrap(known));
///
/// let tls = Tls::new("TLSv1.3").with_peer_certificates([b"abc".to_vec()]);
/// let secure = Connection::new(Scheme::Https).with_tls(tls);
/// assert_eq!(client.get("/").connection(secure).send().text(), "pump-7");
/// assert_eq!(client.get("/").send().status(), 403);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct ClientCertificates {
    prints: HashMap<[u8; 32], Identity>,
    function: Option<Arc<dyn Fn(&[u8]) -> Option<Identity> + Send + Sync>>,
    is_optional: bool,
}

impl ClientCertificates {
    /// Knows no certificate yet.
    pub fn new() -> ClientCertificates {
        ClientCertificates::default()
    }

    /// Adds the certificate with this SHA-256 fingerprint: 64 hexadecimal digits, with or without colons.
    ///
    /// # Errors
    ///
    /// If it is not a fingerprint.
    pub fn fingerprint(mut self, print: &str, identity: Identity) -> Result<Self, Error> {
        let digits = print.replace(':', "");
        let pairs = digits.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
        let print = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        match print.filter(|_| is_hexadecimal) {
            Some(print) => {
                self.prints.insert(print, identity);
                Ok(self)
            }
            None => Err(Error::new(
                ErrorKind::Secret,
                format!("{digits:?} is not a SHA-256 fingerprint: it has 64 hexadecimal digits"),
            )),
        }
    }

    /// Asks a function of the certificate (DER) if its fingerprint is not known.
    pub fn by(
        mut self,
        function: impl Fn(&[u8]) -> Option<Identity> + Send + Sync + 'static,
    ) -> Self {
        self.function = Some(Arc::new(function));
        self
    }

    /// Lets clients without a known certificate pass, without an identity: an [`Authorize`](crate::Authorize) inside decides.
    pub fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }

    fn identify(&self, request: &Request) -> Option<Identity> {
        let tls = request.connection().tls()?;
        // The client's own certificate is the first.
        let certificate = tls.peer_certificates().first()?;
        let print: [u8; 32] = Sha256::digest(certificate).into();
        match self.prints.get(&print) {
            Some(identity) => Some(identity.clone()),
            None => self.function.as_ref()?(certificate),
        }
    }
}

impl Middleware for ClientCertificates {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for ClientCertificates {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        match self.identify(&request) {
            Some(identity) => admit(inner, request, identity),
            None if self.is_optional => inner.call(request),
            None => {
                let refusal = HttpError::new(StatusCode::FORBIDDEN);
                Reply::new(refusal.message("A known client certificate is required."))
            }
        }
    }

    fn describe(&self) -> Description {
        Description::new("ClientCertificates")
            .option("fingerprints", self.prints.len())
            .option("optional", self.is_optional)
    }
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe().to_line())
    }
}
