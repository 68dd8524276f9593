//! Orders of wrappers that are known to be wrong.

mod rules;
mod warning;

use std::borrow::Cow;
use std::fmt;

use enfilade_core::{Description, IntoHandler};

use self::rules::OrderRule;
pub use self::warning::Warning;
use crate::lint;

/// Warns of components in a stack that are in an order known to be wrong.
///
/// It reads the description of the stack, and has the rules of [`Doctor::new`].
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Request, around};
/// use enfilade_testing::doctor;
///
/// let app = Application::new(|_: Request| "x")
///     .wrap(around("AccessLog", Application::call))
///     .wrap(around("Headers", Application::call))
///     .wrap(around("Compression", Application::call));
/// let warnings = doctor(&app);
/// assert_eq!(warnings.len(), 1);
/// assert_eq!(
///     warnings[0].to_string(),
///     "AccessLog is inside Compression: the log counts the bytes before compression, not the bytes sent \
///      (Compression > Headers > AccessLog)"
/// );
/// ```
#[must_use]
pub fn doctor<M>(app: impl IntoHandler<M>) -> Vec<Warning> {
    Doctor::new().examine(app)
}

/// Rules about the order of components, and a method that checks a stack against them.
///
/// A component is identified by the name in its [`Description`], ignoring case, and by nothing else. So a component
/// with the name of another is taken for it, and a component with a name of its own needs a rule of its own. A name
/// that no component in the stack has does no harm.
///
/// A component is inside another if every request to it comes through the other. An application beside the wrapped one,
/// such as the fallback of a `NotFound`, is not inside the wrapper.
///
/// | Outside | Inside | Because |
/// |---|---|---|
/// | `Compression` | `AccessLog` | the log counts the bytes before compression, not the bytes sent |
/// | `Compression` | `Compression` | both decide what to compress, so neither's settings are reliable |
/// | `AccessLog` | `AccessLog` | each request is logged twice |
/// | `AllowAddresses`, `ApiKeys`, `Authorize`, `Basic`, `Bearer`, `BodyLimit`, `CatchPanic`, `ClientCertificates`, `ConcurrencyLimit`, `Csrf`, `DebugErrors`, `ForwardAuth`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `AccessLog` | the log does not see the responses that the outer one makes itself |
/// | `AllowAddresses`, `ApiKeys`, `Authorize`, `Basic`, `Bearer`, `BodyLimit`, `CatchPanic`, `ClientCertificates`, `ConcurrencyLimit`, `Csrf`, `DebugErrors`, `ForwardAuth`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `RequestId` | the responses that the outer one makes itself have no ID |
/// | `ErrorPages` | `DebugErrors` | the less detailed page of the outer one replaces that of the inner one |
/// | `NotFound` | `Compression` | the pages of the fallback are not compressed |
/// | `NotFound` | `Headers` | the pages of the fallback lack the headers |
/// | `AccessLog` | `ProxyFix` | the log takes the proxy for the client |
/// | `AllowAddresses`, `ApiKeys`, `Authorize`, `Basic`, `Bearer`, `BodyLimit`, `CatchPanic`, `ClientCertificates`, `ConcurrencyLimit`, `Csrf`, `DebugErrors`, `ForwardAuth`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `Metrics` | the responses that the outer one makes itself are not counted |
/// | `Compression` | `Metrics` | the bytes before compression are counted, not the bytes sent |
/// | `Metrics` | `Metrics` | each request is counted twice |
/// | `AllowAddresses`, `ApiKeys`, `Authorize`, `Basic`, `Bearer`, `BodyLimit`, `CatchPanic`, `ClientCertificates`, `ConcurrencyLimit`, `Csrf`, `DebugErrors`, `ForwardAuth`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `Trace` | the responses that the outer one makes itself are not in the span |
/// | `Trace` | `ProxyFix` | the span takes the proxy for the client |
/// | `Trace` | `Trace` | each request has two server spans |
/// | `CanonicalHost`, `TrustedHosts` | `ProxyFix` | the checked host is not the one that the proxy forwards |
/// | `HttpsRedirect` | `ProxyFix` | behind a proxy that terminates TLS, every request is redirected to itself |
/// | `ProxyFix` | `ProxyFix` | the outer one removes the headers that the inner one needs |
/// | `RateLimit` | `ProxyFix` | all clients behind a proxy share one limit |
/// | `AllowAddresses`, `ApiKeys`, `Authorize`, `Basic`, `Bearer`, `BodyLimit`, `CatchPanic`, `ClientCertificates`, `ConcurrencyLimit`, `Csrf`, `DebugErrors`, `ForwardAuth`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `Cors` | pages of other origins cannot read the responses that the outer one makes itself, including those to preflights |
/// | `BodyLimit` | `Decompression` | the limit counts compressed bytes, and a short request may decompress to a long one |
/// | `HttpsRedirect` | `TrustedHosts` | the redirect leads to any host that a client sends |
/// | `AllowAddresses`, `ApiKeys`, `Authorize`, `Basic`, `Bearer`, `BodyLimit`, `CatchPanic`, `ClientCertificates`, `ConcurrencyLimit`, `Csrf`, `DebugErrors`, `ForwardAuth`, `Maintenance`, `NotFound`, `RateLimit`, `Timeout` | `SecurityHeaders` | the responses that the outer one makes itself lack the headers |
/// | `ErrorPages` | `Compression` | error pages are not compressed |
/// | `ContentType` | `Compression` | the content type is not known yet when compression decides |
/// | `SendFile` | `Compression`, `Inspect`, `Trace` | the inner one turns files into streams, which the web server cannot send itself |
/// | `AccessLog`, `Trace` | `Sensitive` | request headers are shown before they are marked as sensitive |
/// | `Maintenance` | `ProxyFix` | access is decided by the proxy's address, not the client's |
/// | `Etag` | `Compression` | the tag is that of compressed content, so each coding and each release of an encoder has its own |
/// | `Conditional` | `Compression` | content that the client has is compressed before it is dropped |
/// | `Ranges` | `Compression` | the parts are those of compressed content, which may differ the next time |
/// | `Etag` | `Conditional` | the conditions are compared before there is a tag |
/// | `Conditional`, `Etag` | `Ranges` | the part is taken before the conditions are compared |
/// | `Csrf` | `ProxyFix` | the origin of a page is compared with the proxy's scheme and host, not the client's |
/// | `MethodOverride` | `Csrf` | a POST of another site is checked as the method that it names |
/// | `Authorize` | `ApiKeys`, `Basic`, `Bearer`, `ClientCertificates`, `ForwardAuth` | rules are applied before it is known who the client is |
/// | `Authorize` | `MethodOverride`, `Rewrite`, `Slashes` | rules see another path or method than the router |
/// | `AllowAddresses` | `ProxyFix` | access is decided by the proxy's address, not the client's |
/// | `Basic`, `Bearer`, `ApiKeys` | `ProxyFix` | behind a proxy that terminates TLS, credentials are rejected as if they came without TLS |
/// | `Basic`, `ForwardAuth` | `RateLimit` | passwords can be guessed without a limit |
/// | `Sessions` | `Sessions` | each sets its cookie, and applications see only the inner one |
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Request, around};
/// use enfilade_testing::Doctor;
///
/// let app = Application::new(|_: Request| "x")
///     .wrap(around("Session", Application::call))
///     .wrap(around("Cart", Application::call));
/// let warnings = Doctor::new()
///     .rule("Cart", "Session", "the cart is kept in the session")
///     .examine(&app);
/// assert_eq!(warnings[0].outer(), Some("Cart"));
/// assert_eq!(warnings[0].path(), ["Cart", "Session"]);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a doctor does nothing until it examines a stack"]
pub struct Doctor {
    rules: Vec<OrderRule>,
    accepted: Vec<Cow<'static, str>>,
}

impl Doctor {
    /// A doctor with all rules of the table.
    pub fn new() -> Doctor {
        Doctor {
            rules: rules::known().collect(),
            accepted: Vec::new(),
        }
    }

    /// The names of the components that it has rules about.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let pairs = self.rules.iter();
        pairs.flat_map(|rule| [&*rule.outer, &*rule.inner])
    }

    /// Accepts a warning by its [name](Warning::name), ignoring case: it is no longer returned.
    ///
    /// If no warning has the name, that is a warning itself, so that the list of accepted ones stays up to date.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, Request, around};
    /// use enfilade_testing::Doctor;
    ///
    /// let doctor = Doctor::new().accept("AccessLog is inside Compression");
    /// let log = Application::new(|_: Request| "x").wrap(around("AccessLog", Application::call));
    /// assert!(doctor.examine(log.clone().wrap(around("Compression", Application::call))).is_empty());
    /// assert_eq!(
    ///     doctor.examine(log)[0].to_string(),
    ///     "Doctor: no warning is named \"AccessLog is inside Compression\": no longer accept it"
    /// );
    /// ```
    pub fn accept(mut self, name: impl Into<Cow<'static, str>>) -> Doctor {
        self.accepted.push(name.into());
        self
    }

    /// Adds a rule: `outer` around `inner` is wrong, because of `reason`.
    pub fn rule(
        mut self,
        outer: impl Into<Cow<'static, str>>,
        inner: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Doctor {
        self.rules.push(OrderRule {
            outer: outer.into(),
            inner: inner.into(),
            reason: reason.into(),
        });
        self
    }

    /// Warns of every component that is inside one that it should not be in, outermost first.
    ///
    /// It also returns the [warnings](Description::warnings) of each component about itself, such as routes that no
    /// request reaches (`Router::check`, feature `route-check`).
    ///
    /// If several outer components have the same name, the nearest one counts. [Accepted](Doctor::accept) warnings are
    /// left out.
    #[must_use]
    pub fn examine<M>(&self, app: impl IntoHandler<M>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let tree = app.into_application().describe();
        self.visit(&tree, "", &mut Vec::new(), &mut warnings);
        let unused = self.accepted.iter().filter(|name| {
            let is_named = |warning: &Warning| warning.is_named(name);
            !warnings.iter().any(is_named)
        });
        let unused: Vec<_> = unused.map(|name| Warning::unused(name)).collect();
        warnings.retain(|warning| !self.accepted.iter().any(|name| warning.is_named(name)));
        warnings.extend(unused);
        warnings
    }

    fn visit(
        &self,
        component: &Description,
        label: &str,
        outside: &mut Vec<PathStep>,
        warnings: &mut Vec<Warning>,
    ) {
        let name = component.name();
        if name == lint::NAME {
            // It is not a component of its own: the component it wraps takes its place.
            for (_, inner) in component.children() {
                self.visit(inner, label, outside, warnings);
            }
            return;
        }
        outside.push(PathStep {
            name: name.to_owned(),
            label: label.to_owned(),
            is_around: false,
        });
        let own = component.warnings();
        warnings.extend(own.map(|reason| Warning::new(None, reason.to_owned().into(), outside)));
        let broken = self
            .rules
            .iter()
            .filter(|rule| rule.inner.eq_ignore_ascii_case(name));
        warnings.extend(broken.filter_map(|rule| rule.apply(outside)));
        let is_wrapper = component.children().any(|(label, _)| label.is_empty());
        for (label, inner) in component.children() {
            if let Some(place) = outside.last_mut() {
                place.is_around = !is_wrapper || label.is_empty();
            }
            self.visit(inner, label, outside, warnings);
        }
        outside.pop();
    }
}

impl Default for Doctor {
    fn default() -> Doctor {
        Doctor::new()
    }
}

/// A component on the path from the outermost one.
struct PathStep {
    name: String,
    label: String,
    /// Whether it wraps the next one, and is not just beside it.
    is_around: bool,
}

impl OrderRule {
    /// A warning if the last component of the path is inside one that it should not be in.
    fn apply(&self, way: &[PathStep]) -> Option<Warning> {
        let (_, outside) = way.split_last()?;
        let is_outer =
            |place: &&PathStep| place.is_around && place.name.eq_ignore_ascii_case(&self.outer);
        let outer = outside.iter().rev().find(is_outer)?;
        Some(Warning::new(Some(outer), self.reason.clone(), way))
    }
}

impl fmt::Display for PathStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.label.is_empty() {
            write!(f, "{}: ", self.label)?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests;
