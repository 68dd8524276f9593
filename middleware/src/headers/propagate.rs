//! Copies request headers to the response.

use std::sync::Arc;

use enfilade_core::{Application, Description, Middleware, Reply, Request, Wrapper, wrapped};
use http::{HeaderMap, HeaderName};

use crate::error::Error;
use crate::error::ErrorKind;

/// Copies request headers to the response, unless the application sets them itself.
///
/// Use it for correlation IDs: a client or a proxy sends one and finds it again on the response. All field values of a
/// header are copied, in order.
///
/// # Order
///
/// Anywhere. Responses from wrappers outside this one do not get the headers.
///
/// # Security
///
/// The client controls the value, and gets it back unchanged. Do not name a header that browsers act on.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::HeaderName;
/// use enfilade::middleware::Propagate;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let propagate = Propagate::new([HeaderName::from_static("x-correlation-id")])?;
/// let client = Client::new(Application::new(|_: Request| "x").wrap(propagate));
/// let response = client.get("/").header("x-correlation-id", "4711").send();
/// assert_eq!(response.header("x-correlation-id"), Some("4711"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Propagate {
    names: Vec<HeaderName>,
}

impl Propagate {
    /// Copies these headers.
    ///
    /// # Errors
    ///
    /// If a header belongs to the gateway, or describes the content or the framing of a message.
    pub fn new(names: impl IntoIterator<Item = HeaderName>) -> Result<Self, Error> {
        let names: Vec<HeaderName> = names.into_iter().collect();
        let is_taken = |name: &&HeaderName| {
            enfilade_core::gateway::HOP_BY_HOP.contains(name)
                || name.as_str().starts_with("content-")
        };
        match names.iter().find(is_taken) {
            Some(name) => {
                let why =
                    format!("{name:?} describes the request and would be wrong on the response");
                Err(Error::new(ErrorKind::HeaderName, why))
            }
            None => Ok(Propagate { names }),
        }
    }
}

impl Middleware for Propagate {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Propagate {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let copied = named(request.headers(), &self.names);
        let reply = inner.call(request);
        match copied.is_empty() {
            true => reply,
            false => reply.update(move |response| add_missing(response.headers_mut(), &copied)),
        }
    }

    fn describe(&self) -> Description {
        Description::new("Propagate").option("headers", &self.names[..])
    }
}

/// Returns the values of these headers.
fn named(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut copied = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name) {
            copied.append(name, value.clone());
        }
    }
    copied
}

/// Adds the headers that `response` does not have.
fn add_missing(response: &mut HeaderMap, copied: &HeaderMap) {
    for name in copied.keys() {
        if !response.contains_key(name) {
            let values = copied.get_all(name).iter();
            response.extend(values.map(|value| (name.clone(), value.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use enfilade_testing::{Client, Lint};

    use super::*;

    const A: HeaderName = HeaderName::from_static("x-a");

    #[test]
    fn lines_are_copied_but_not_over_those_of_the_application() {
        let app = Application::new(|request: Request| match request.path() {
            "/own" => ([("x-a", "own")], ""),
            _ => ([("x-b", "")], ""),
        });
        let propagate = Propagate::new([A]).unwrap();
        let client = Client::new(app.wrap(Lint::new()).wrap(propagate).wrap(Lint::new()));
        for (target, sent, expected) in [
            ("/", &["1", "2"][..], &["1", "2"][..]),
            ("/own", &["1"], &["own"]),
            ("/", &[], &[]),
        ] {
            let request = sent.iter().fold(client.get(target), |request, value| {
                request.header("x-a", value)
            });
            let response = request.send();
            let found: Vec<_> = response.headers().get_all("x-a").iter().collect();
            assert_eq!(found, expected, "{target}");
        }
    }

    #[test]
    fn what_is_about_one_message_is_refused() {
        for name in ["connection", "content-length", "content-type"] {
            let error = Propagate::new([A, HeaderName::from_static(name)]).unwrap_err();
            let expected =
                format!("{name:?} describes the request and would be wrong on the response");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn keeps_the_laws() {
        let check = enfilade_testing::laws::Check::new(Propagate::new([A]).unwrap());
        check.touches([A]).run();
    }
}
