//! Wrappers and tables that choose an application, or change the path, host or method that it sees.

use enfilade::Application;
use enfilade::middleware::{self, XForwarded};
use http::Method;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{method, methods};
use crate::application::{PyApplication, based, taken};
use crate::arguments::{self, Given, choice, optional_texts, refused, texts};

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Router>()?;
    module.add_class::<Mounts>()?;
    module.add_class::<NotFound>()?;
    module.add_class::<ProxyFix>()?;
    module.add_class::<Slashes>()?;
    module.add_class::<MethodOverride>()?;
    module.add_class::<HttpsRedirect>()?;
    module.add_class::<CanonicalHost>()
}

fn optional(app: Given<'_, '_>) -> PyResult<Option<Application>> {
    app.map(taken).transpose()
}

/// Chooses an application by patterns such as `/users/{id:int}` or `GET,HEAD /users`.
///
/// The captures of a pattern are in `wsgiorg.routing_args`. Applications under `mounts` see the path after their
/// prefix.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Router;

#[pymethods]
impl Router {
    #[new]
    #[pyo3(signature = (routes, *, mounts = None, fallback = None))]
    fn new(
        routes: &Bound<'_, PyDict>,
        mounts: Option<&Bound<'_, PyDict>>,
        fallback: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut router = middleware::Router::new();
        for (route, app) in routes {
            let route: String = route.extract()?;
            router = match route.split_once(' ') {
                Some((names, pattern)) => {
                    let names: PyResult<Vec<Method>> = names.split(',').map(method).collect();
                    router.on(&names?, pattern, routed(pattern, &app)?)
                }
                None => router.any(&route, routed(&route, &app)?),
            };
        }
        for (prefix, app) in mounts.into_iter().flatten() {
            let prefix: String = prefix.extract()?;
            router = router.mount(&prefix, routed(&prefix, &app)?);
        }
        if let Some(fallback) = optional(fallback)? {
            router = router.fallback(fallback);
        }
        Ok(based(router.build().map_err(refused)?, Router))
    }
}

/// Returns the application of a route. It gets the captures of `{name:int}` as numbers.
fn routed(pattern: &str, app: &Bound<'_, PyAny>) -> PyResult<Application> {
    let app = taken(app)?;
    let captures = pattern.split('{').skip(1);
    let names: Vec<String> = captures
        .filter_map(|capture| capture.split_once(":int}"))
        .map(|(name, _)| name.to_owned())
        .collect();
    match names.is_empty() {
        true => Ok(app),
        false => Ok(enfilade_python::with_numbers(app, names)),
    }
}

/// Chooses an application by the longest prefix of the path that matches.
///
/// `default`, or `/`, takes all other paths.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Mounts;

#[pymethods]
impl Mounts {
    #[new]
    #[pyo3(signature = (mounts, default = None))]
    fn new(
        mounts: &Bound<'_, PyDict>,
        default: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let (mut table, mut otherwise) = (middleware::Mounts::new(), optional(default)?);
        for (prefix, app) in mounts {
            let prefix: String = prefix.extract()?;
            let app = taken(&app)?;
            match prefix.trim_end_matches('/') {
                "" if otherwise.is_some() => {
                    return Err(refused(
                        "\"/\" and a default exclude each other: set only one of them",
                    ));
                }
                "" => otherwise = Some(app),
                prefix => table = table.at(prefix, app).map_err(refused)?,
            }
        }
        if let Some(app) = otherwise {
            table = table.otherwise(app);
        }
        Ok(based(Application::new(table), Mounts))
    }
}

/// Calls the fallback if the application responds with 404.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct NotFound;

#[pymethods]
impl NotFound {
    #[new]
    #[pyo3(signature = (app, fallback, *, pages_only = false))]
    fn new(
        app: &Bound<'_, PyAny>,
        fallback: &Bound<'_, PyAny>,
        pages_only: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::NotFound::new(taken(fallback)?);
        if pages_only {
            wrapper = wrapper.pages_only();
        }
        Ok(based(taken(app)?.wrap(wrapper), NotFound))
    }
}

/// Trusts what named proxies report about the client.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct ProxyFix;

#[pymethods]
impl ProxyFix {
    /// `trusted` are networks and addresses, or `unix`. With `*` any peer is trusted, and the last value of a header is
    /// used.
    #[new]
    #[pyo3(signature = (app, *, trusted, forwarded = false, headers = None))]
    fn new(
        app: &Bound<'_, PyAny>,
        trusted: &Bound<'_, PyAny>,
        forwarded: bool,
        headers: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let trusted = texts("trusted", trusted)?;
        let headers = match optional_texts("headers", headers)? {
            Some(names) => names
                .iter()
                .map(|name| forwarded_header(name))
                .collect::<PyResult<_>>()?,
            None => vec![XForwarded::For, XForwarded::Proto],
        };
        let is_any = trusted.iter().any(|network| network == "*");
        let networks = trusted.iter().filter(|network| *network != "unix");
        let mut wrapper = match (is_any, forwarded) {
            (true, true) => middleware::ProxyFix::trust_forwarded_hops(1),
            (true, false) => middleware::ProxyFix::trust_x_forwarded_hops(
                headers.into_iter().map(|header| (header, 1)),
            ),
            (false, true) => middleware::ProxyFix::trust_forwarded(networks).map_err(refused)?,
            (false, false) => {
                middleware::ProxyFix::trust_x_forwarded(networks, headers).map_err(refused)?
            }
        };
        if trusted.iter().any(|network| network == "unix") {
            wrapper = wrapper.trust_unix_sockets();
        }
        Ok(based(taken(app)?.wrap(wrapper), ProxyFix))
    }
}

fn forwarded_header(name: &str) -> PyResult<XForwarded> {
    let short = name.to_ascii_lowercase();
    choice(
        short.strip_prefix("x-forwarded-").unwrap_or(&short),
        &[
            ("for", XForwarded::For),
            ("proto", XForwarded::Proto),
            ("host", XForwarded::Host),
            ("port", XForwarded::Port),
            ("prefix", XForwarded::Prefix),
        ],
    )
}

/// Removes or appends the slash at the end of paths.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Slashes;

#[pymethods]
impl Slashes {
    #[new]
    #[pyo3(signature = (app, *, mode = "trim", merge = false, redirect = false))]
    fn new(
        app: &Bound<'_, PyAny>,
        mode: &str,
        merge: bool,
        redirect: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        type Make = fn() -> middleware::Slashes;
        let modes: [(&str, Make); 3] = [
            ("trim", middleware::Slashes::trim),
            ("append", middleware::Slashes::append),
            ("merge", middleware::Slashes::merged),
        ];
        let mut wrapper = choice(mode, &modes)?();
        if merge {
            wrapper = wrapper.merge();
        }
        if redirect {
            wrapper = wrapper.redirect();
        }
        Ok(based(taken(app)?.wrap(wrapper), Slashes))
    }
}

/// Lets a POST request override its method with PUT, PATCH or DELETE.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct MethodOverride;

#[pymethods]
impl MethodOverride {
    #[new]
    #[pyo3(signature = (app, *, query = None, form_field = None, allow = None))]
    fn new(
        app: &Bound<'_, PyAny>,
        query: Option<String>,
        form_field: Option<String>,
        allow: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::MethodOverride::new();
        if let Some(name) = query {
            wrapper = wrapper.query(name);
        }
        if let Some(name) = form_field {
            wrapper = wrapper.form_field(name);
        }
        if let Some(names) = optional_texts("allow", allow)? {
            wrapper = wrapper.allow(methods(&names)?);
        }
        Ok(based(taken(app)?.wrap(wrapper), MethodOverride))
    }
}

/// Redirects to HTTPS.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct HttpsRedirect;

#[pymethods]
impl HttpsRedirect {
    #[new]
    #[pyo3(signature = (app, *, port = None, exclude = None))]
    fn new(
        app: &Bound<'_, PyAny>,
        port: Given<'_, '_>,
        exclude: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::HttpsRedirect::new();
        if let Some(port) = port {
            wrapper = wrapper.port(arguments::port("port", port)?);
        }
        for prefix in optional_texts("exclude", exclude)?.unwrap_or_default() {
            wrapper = wrapper.except(&prefix).map_err(refused)?;
        }
        Ok(based(taken(app)?.wrap(wrapper), HttpsRedirect))
    }
}

/// Redirects from all other hosts to one.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct CanonicalHost;

#[pymethods]
impl CanonicalHost {
    #[new]
    #[pyo3(signature = (app, host, *, exclude = None))]
    fn new(
        app: &Bound<'_, PyAny>,
        host: &str,
        exclude: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::CanonicalHost::new(host).map_err(refused)?;
        for prefix in optional_texts("exclude", exclude)?.unwrap_or_default() {
            wrapper = wrapper.except(&prefix).map_err(refused)?;
        }
        Ok(based(taken(app)?.wrap(wrapper), CanonicalHost))
    }
}
