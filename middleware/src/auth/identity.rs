//! Who a request is from.

use std::sync::Arc;

use enfilade_core::{Application, RemoteUser, Reply, Request};
use http::HeaderValue;
use http::header::CACHE_CONTROL;

/// The user or the program that a request is from, as an authentication component has verified it.
///
/// It is an extension of the request for components inside, and of the response for those outside, such as a limit or a log.
/// [`RemoteUser`] with the same name stands beside it: access logs show it as `%u`.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Request;
/// use enfilade::middleware::Identity;
///
/// let mut request = Request::get("/");
/// request.extensions_mut().insert(Identity::new("ada").group("members").claim("email", "ada@example.org"));
/// let identity = Identity::of(&request).unwrap();
/// assert_eq!(identity.name(), "ada");
/// assert!(identity.is_in("members"));
/// assert_eq!(identity.get("email"), Some("ada@example.org"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an identity does nothing until a component returns it"]
pub struct Identity(Arc<Facts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    name: String,
    groups: Vec<String>,
    claims: Vec<(String, String)>,
}

impl Identity {
    /// An identity of this name, in no group.
    pub fn new(name: impl Into<String>) -> Identity {
        Identity(Arc::new(Facts {
            name: name.into(),
            groups: Vec::new(),
            claims: Vec::new(),
        }))
    }

    /// Adds a group.
    pub fn group(mut self, group: impl Into<String>) -> Identity {
        Arc::make_mut(&mut self.0).groups.push(group.into());
        self
    }

    /// Adds something else that is known, such as a claim of a token. A value that is not text is JSON.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<String>) -> Identity {
        let claims = &mut Arc::make_mut(&mut self.0).claims;
        claims.push((name.into(), value.into()));
        self
    }

    /// The identity of a request, if a component around has found one.
    #[must_use]
    pub fn of(request: &Request) -> Option<&Identity> {
        request.extensions().get()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.groups.iter().map(String::as_str)
    }

    /// Whether it is in a group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups().any(|own| own == group)
    }

    /// The first claim of this name.
    #[must_use]
    pub fn get(&self, claim: &str) -> Option<&str> {
        let mut claims = self.0.claims.iter();
        let found = claims.find(|(name, _)| name == claim);
        found.map(|(_, value)| value.as_str())
    }
}

/// Calls an application for an identity. The response is for this user alone, unless it says something else.
pub(super) fn admit(inner: &Application, mut request: Request, identity: Identity) -> Reply {
    let user = RemoteUser::new(identity.name());
    request.extensions_mut().insert(user.clone());
    request.extensions_mut().insert(identity.clone());
    inner.call(request).update(move |response| {
        let extensions = response.extensions_mut();
        extensions.get_or_insert_with(|| user);
        extensions.get_or_insert_with(|| identity);
        let headers = response.headers_mut();
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
    })
}
