//! Keys of programs.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use enfilade_core::{Application, Description, Middleware, Reply, Request, Wrapper, wrapped};
use http::HeaderName;

use super::challenge::{Challenge, exposed, is_exposed};
use super::identity::{Identity, admit};
use crate::error::Error;
use crate::shared::keyed_hash::KeyedHash;

/// Knows programs by a key in a header, and passes on whose it is as an [`Identity`].
///
/// Only keyed hashes of keys are kept, and a key is looked up by its hash, so the time of a look-up says nothing about keys. A
/// name may have several keys: add a new one, change the programs, and remove the old one.
///
/// Keys over HTTP without TLS are rejected with 403, unless they come from this machine.
///
/// # Order
///
/// As [`Basic`](crate::Basic).
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{ApiKeys, Identity};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let app = Application::new(|request: Request| Identity::of(&request).map(|user| user.name().to_owned()));
/// // `ApiKeys::generate("shop")` made it.
/// let keys = ApiKeys::new("shop")?.key(Identity::new("billing"), "shop_Zr4u7x9QmTn2cVbK");
/// let client = Client::new(app.wrap(keys));
/// assert_eq!(client.get("/").header("x-api-key", "shop_Zr4u7x9QmTn2cVbK").send().text(), "billing");
/// assert_eq!(client.get("/").header("x-api-key", "shop_guess").send().status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct ApiKeys {
    challenge: Arc<Challenge>,
    header: HeaderName,
    hash: KeyedHash,
    keys: HashMap<[u8; 32], Identity>,
    is_optional: bool,
    allows_http: bool,
}

impl ApiKeys {
    /// Knows no key yet, and reads `X-API-Key`.
    ///
    /// # Errors
    ///
    /// If the realm is not printable ASCII.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    pub fn new(realm: &str) -> Result<ApiKeys, Error> {
        Ok(ApiKeys {
            challenge: Challenge::new("ApiKey", realm, "")?,
            header: HeaderName::from_static("x-api-key"),
            hash: KeyedHash::default(),
            keys: HashMap::new(),
            is_optional: false,
            allows_http: false,
        })
    }

    /// Adds a key of an identity.
    pub fn key(mut self, identity: Identity, key: &str) -> ApiKeys {
        self.keys.insert(self.hash.of(key.as_bytes()), identity);
        self
    }

    /// Sets the header; `X-API-Key` by default.
    pub fn header(mut self, name: HeaderName) -> ApiKeys {
        self.header = name;
        self
    }

    /// Lets requests without a key pass, without an identity: an [`Authorize`](crate::Authorize) inside decides.
    pub fn optional(mut self) -> ApiKeys {
        self.is_optional = true;
        self
    }

    /// Accepts keys over HTTP without TLS, from other machines too. Anybody on the way can read them.
    pub fn insecure_without_tls(mut self) -> ApiKeys {
        self.allows_http = true;
        self
    }

    /// Makes a key of 256 random bits. The prefix lets scanners find keys that were published by mistake.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random bytes.
    #[must_use]
    pub fn generate(prefix: &str) -> String {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        format!("{prefix}_{}", BASE64.encode(bytes))
    }
}

impl Middleware for ApiKeys {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for ApiKeys {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let mut sent = request.headers().get_all(&self.header).iter();
        let found = match (sent.next(), sent.next()) {
            (None, _) if self.is_optional => return self.challenge.pass(inner, request),
            (Some(_), _) if !self.allows_http && is_exposed(&request) => {
                return Reply::new(exposed());
            }
            (Some(key), None) => self.keys.get(&self.hash.of(key.as_bytes())).cloned(),
            _ => None,
        };
        if let Some(key) = request.headers_mut().get_mut(&self.header) {
            key.set_sensitive(true);
        }
        match found {
            Some(identity) => admit(inner, request, identity),
            None => Reply::new(self.challenge.refusal("")),
        }
    }

    fn describe(&self) -> Description {
        Description::new("ApiKeys")
            .option("header", self.header.as_str())
            .option("keys", self.keys.len())
            .option("optional", self.is_optional)
    }
}

/// Shows no hashes.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe().to_line())
    }
}
