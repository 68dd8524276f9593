//! Lets clients that can only send POST use other methods.

use std::sync::Arc;

use enfilade_core::{
    Application, Description, Middleware, OptionValue, Reply, Request, Wrapper, wrapped,
};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method};

const HEADER: HeaderName = HeaderName::from_static("x-http-method-override");
/// The default limit for a form, in bytes.
const FORM_LIMIT: usize = 64 * 1024;

/// Lets a POST name another method: in a header, and optionally in the query or in a form field.
///
/// HTML forms support only GET and POST, and some proxies allow no other methods. Only a POST is changed, so no link
/// becomes a DELETE, and only to a method that is [allowed](MethodOverride::allow); any other name is ignored. The
/// header takes precedence over the query, and the query over the form. A repeated header is ignored; of repeated
/// parameters or fields the first one is used. The original method is in the request's extensions as an
/// [`OriginalMethod`].
///
/// # Order
///
/// Outside the router and everything else that depends on the method; inside logs, which should show the method that
/// was sent.
///
/// # Security
///
/// Checks of POST requests, such as protection against forged requests, must be outside this wrapper, or check the
/// [`OriginalMethod`]: a form on any site can contain the field.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{MethodOverride, OriginalMethod};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| {
///     let sent = request.extensions().get::<OriginalMethod>().map(|original| original.0.clone());
///     format!("{} {sent:?}", request.method())
/// });
/// let client = Client::new(app.wrap(MethodOverride::new().form_field("_method")));
/// let form = client.post("/").header("content-type", "application/x-www-form-urlencoded");
/// assert_eq!(form.body("name=x&_method=delete").send().text(), "DELETE Some(POST)");
/// let link = client.get("/?_method=delete").header("x-http-method-override", "DELETE");
/// assert_eq!(link.send().text(), "GET None");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct MethodOverride {
    header: Option<HeaderName>,
    query: Option<String>,
    form_field: Option<String>,
    form_limit: usize,
    allowed: Vec<Method>,
}

/// The client's method, if a [`MethodOverride`] changed it: a request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is the method, and no more")]
pub struct OriginalMethod(pub Method);

impl MethodOverride {
    /// Reads the header `X-HTTP-Method-Override`, for PUT, PATCH and DELETE.
    pub fn new() -> Self {
        MethodOverride {
            header: Some(HEADER),
            query: None,
            form_field: None,
            form_limit: FORM_LIMIT,
            allowed: vec![Method::PUT, Method::PATCH, Method::DELETE],
        }
    }

    /// Sets the header; `None` reads no header.
    pub fn header(mut self, name: impl Into<Option<HeaderName>>) -> Self {
        self.header = name.into();
        self
    }

    /// Also reads the query parameter with this name; off by default.
    pub fn query(mut self, name: impl Into<String>) -> Self {
        self.query = Some(name.into());
        self
    }

    /// Also reads the form field with this name (`application/x-www-form-urlencoded`); off by default.
    ///
    /// The form is read before the application is called, up to a [limit](MethodOverride::form_limit). The application
    /// can still read it as usual.
    pub fn form_field(mut self, name: impl Into<String>) -> Self {
        self.form_field = Some(name.into());
        self
    }

    /// Sets the maximum length of a form that is searched, in bytes; 64 KiB by default.
    ///
    /// At most this much of a request is kept in memory, however many chunks it has; a longer form stays a POST.
    pub fn form_limit(mut self, bytes: usize) -> Self {
        self.form_limit = bytes;
        self
    }

    /// Sets the methods that a POST may become; PUT, PATCH and DELETE by default.
    pub fn allow(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.allowed = methods.into_iter().collect();
        self
    }

    /// Returns the allowed method that a text names, without case.
    fn named(&self, text: &str) -> Option<&Method> {
        let mut allowed = self.allowed.iter();
        allowed.find(|method| method.as_str().eq_ignore_ascii_case(text.trim()))
    }

    /// Returns the method in the head of a request.
    fn of_head(&self, request: &Request) -> Option<&Method> {
        let header = self
            .header
            .as_ref()
            .and_then(|name| only(request.headers(), name));
        let query = || {
            let query = request.uri().query()?.as_bytes();
            let name = self.query.as_deref()?;
            self.of_pairs(query, name)
        };
        header.and_then(|text| self.named(text)).or_else(query)
    }

    /// Returns the method in the first pair with this name.
    fn of_pairs(&self, pairs: &[u8], name: &str) -> Option<&Method> {
        let (_, value) = form_urlencoded::parse(pairs).find(|(key, _)| key == name)?;
        self.named(&value)
    }
}

impl Default for MethodOverride {
    fn default() -> Self {
        MethodOverride::new()
    }
}

impl Middleware for MethodOverride {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for MethodOverride {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        if request.method() != Method::POST {
            return inner.call(request);
        }
        if let Some(method) = self.of_head(&request).cloned() {
            change(&mut request, Some(method));
            return inner.call(request);
        }
        match &self.form_field {
            Some(name) if is_form(request.headers()) => self.read_form(inner, name, request),
            _ => inner.call(request),
        }
    }

    fn describe(&self) -> Description {
        let allowed = self.allowed.iter().collect::<OptionValue>();
        let tree = Description::new("MethodOverride").option("allowed", allowed);
        let header = self.header.as_ref().map(HeaderName::as_str);
        let names = [
            ("header", header),
            ("query", self.query.as_deref()),
            ("form field", self.form_field.as_deref()),
        ];
        let named = names
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, name?)));
        named.fold(tree, |tree, (kind, name)| tree.option(kind, name))
    }
}

impl MethodOverride {
    fn read_form(self: &Arc<Self>, inner: &Application, name: &str, mut request: Request) -> Reply {
        if let Some(form) = request.body().as_bytes() {
            let is_read = form.len() <= self.form_limit;
            let method = is_read.then(|| self.of_pairs(form, name)).flatten();
            change(&mut request, method.cloned());
            return inner.call(request);
        }
        let (options, inner, name) = (self.clone(), inner.clone(), name.to_owned());
        Reply::from_future(async move {
            let form = request.body_mut().peek(options.form_limit).await;
            let method = form.and_then(|form| options.of_pairs(&form, &name).cloned());
            change(&mut request, method);
            inner.call(request).await
        })
    }
}

fn change(request: &mut Request, method: Option<Method>) {
    if let Some(method) = method {
        let original = std::mem::replace(request.method_mut(), method);
        request.extensions_mut().insert(OriginalMethod(original));
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let media_type = only(headers, &CONTENT_TYPE).and_then(|text| text.split(';').next());
    media_type.is_some_and(|found| {
        found
            .trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

/// Returns the text of a header that occurs once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).into_iter();
    match (lines.next(), lines.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
