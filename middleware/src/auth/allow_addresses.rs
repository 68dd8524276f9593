//! Clients of some networks only.

use std::path::Path;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, HttpError, Middleware, OptionValue, Reply, Request, Wrapper, wrapped,
};
use http::StatusCode;

use crate::error::{Error, ErrorKind};
use crate::matching::networks::Networks;

/// Lets clients of some networks pass; all others get a 403.
///
/// The client is [`Request::client_address`]; one whose address is not known gets a 403 too. An IPv4 address that is
/// written as IPv6 counts as IPv4. A network that is [denied](AllowAddresses::deny) is rejected also if a larger one is allowed.
///
/// # Order
///
/// Inside [`ProxyFix`](crate::ProxyFix), which sets the address of the client; outside everything else that costs work.
///
/// # Security
///
/// An address says where a request comes from, not who sends it. Behind a proxy without `ProxyFix`, all clients have the
/// proxy's address.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::AllowAddresses;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let office = AllowAddresses::new(["192.0.2.0/24", "2001:db8::/32"])?.deny(["192.0.2.66"])?;
/// let client = Client::new(Application::new(|_: Request| "inside").wrap(office));
/// let status = |peer: &str| client.get("/").peer(peer.parse().unwrap()).send().status();
/// assert_eq!(status("192.0.2.7:5000"), 200);
/// assert_eq!(status("192.0.2.66:5000"), 403);
/// assert_eq!(status("198.51.100.1:5000"), 403);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct AllowAddresses {
    allowed: Networks,
    denied: Networks,
    allows_unknown: bool,
}

impl AllowAddresses {
    /// Allows these addresses and networks.
    ///
    /// # Errors
    ///
    /// If one is neither an address nor a network, or has bits set after its prefix; the error names it.
    pub fn new<T: AsRef<str>>(networks: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        Ok(AllowAddresses {
            allowed: Networks::parse(networks)?,
            denied: Networks::parse([""; 0])?,
            allows_unknown: false,
        })
    }

    /// Allows the addresses and networks in a file: one on each line, `#` begins a comment. The file is read once.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or as for [`new`](AllowAddresses::new).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let text = format!("{} cannot be read: {error}", path.display());
            Error::new(ErrorKind::Network, text)
        })?;
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        AllowAddresses::new(lines.filter(|line| !line.is_empty()))
    }

    /// Rejects these, although a larger network is allowed.
    ///
    /// # Errors
    ///
    /// As for [`new`](AllowAddresses::new).
    pub fn deny<T: AsRef<str>>(
        mut self,
        networks: impl IntoIterator<Item = T>,
    ) -> Result<Self, Error> {
        self.denied = Networks::parse(networks)?;
        Ok(self)
    }

    /// Lets clients pass whose address is not known, such as those of a Unix socket.
    pub fn allow_unknown(mut self) -> Self {
        self.allows_unknown = true;
        self
    }
}

impl Middleware for AllowAddresses {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for AllowAddresses {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let address = request.client_address();
        let is_allowed = |address| self.allowed.contains(address) && !self.denied.contains(address);
        match address.map_or(self.allows_unknown, is_allowed) {
            true => inner.call(request),
            false => Reply::new(HttpError::new(StatusCode::FORBIDDEN)),
        }
    }

    fn describe(&self) -> Description {
        /// Longer lists are only counted.
        const MOST: usize = 20;
        let shown = |networks: &Networks| match networks.len() > MOST {
            true => OptionValue::from(format!("{} networks", networks.len())),
            false => OptionValue::from(networks),
        };
        let description =
            Description::new("AllowAddresses").option("allowed", shown(&self.allowed));
        match self.denied.is_empty() {
            true => description,
            false => description.option("denied", shown(&self.denied)),
        }
    }
}
