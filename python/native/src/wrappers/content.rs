//! Wrappers that change the headers and the content of responses.

use std::time::Duration;

use enfilade::middleware::{self, CacheRule, Coding};
use pyo3::prelude::*;

use super::{header, methods};
use crate::application::{PyApplication, based, taken};
use crate::arguments::{
    Given, MOST_SECONDS, choices, optional_texts, optional_whole, pairs, refused, texts,
};

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Compression>()?;
    module.add_class::<Decompression>()?;
    module.add_class::<Headers>()?;
    module.add_class::<SecurityHeaders>()?;
    module.add_class::<CacheControl>()?;
    module.add_class::<Cors>()?;
    module.add_class::<ErrorPages>()
}

const CODINGS: [(&str, Coding); 4] = [
    ("gzip", Coding::Gzip),
    ("deflate", Coding::Deflate),
    ("br", Coding::Brotli),
    ("zstd", Coding::Zstd),
];

/// Returns a level that all these codings have.
fn level_of(level: Given<'_, '_>, codings: &[Coding]) -> PyResult<Option<u32>> {
    let most = |coding: &Coding| match coding {
        Coding::Brotli => 11,
        Coding::Zstd => 19,
        _ => 9,
    };
    let least = match codings {
        [Coding::Brotli] => 0,
        _ => 1,
    };
    let most = codings.iter().map(most).min().unwrap_or(9);
    let level = optional_whole("level", level, least..=most)?;
    Ok(level.map(|level| u32::try_from(level).expect("the highest level is 19")))
}

/// Compresses responses if the client's `Accept-Encoding` allows it.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Compression;

#[pymethods]
impl Compression {
    /// `level` applies to all codings in `codings`, by default to gzip. `min_size` is in bytes.
    #[new]
    #[pyo3(signature = (app, *, level = None, min_size = None, codings = None, content_types = None))]
    fn new(
        app: &Bound<'_, PyAny>,
        level: Given<'_, '_>,
        min_size: Given<'_, '_>,
        codings: Given<'_, '_>,
        content_types: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::Compression::new();
        let mut levelled = vec![Coding::Gzip];
        if let Some(names) = codings {
            levelled = choices("codings", names, &CODINGS)?;
            wrapper = wrapper.codings(levelled.clone());
        }
        if let Some(level) = level_of(level, &levelled)? {
            wrapper = levelled
                .into_iter()
                .fold(wrapper, |wrapper, coding| wrapper.level(coding, level));
        }
        if let Some(bytes) = optional_whole("min_size", min_size, 0..=u64::MAX)? {
            wrapper = wrapper.min_size(bytes);
        }
        if let Some(types) = optional_texts("content_types", content_types)? {
            wrapper = wrapper.content_types(types);
        }
        Ok(based(taken(app)?.wrap(wrapper), Compression))
    }
}

/// Decompresses request bodies, up to a limit in bytes.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Decompression;

#[pymethods]
impl Decompression {
    #[new]
    #[pyo3(signature = (app, *, limit = None))]
    fn new(app: &Bound<'_, PyAny>, limit: Given<'_, '_>) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::Decompression::new();
        if let Some(bytes) = optional_whole("limit", limit, 0..=u64::MAX)? {
            wrapper = wrapper.limit(bytes);
        }
        Ok(based(taken(app)?.wrap(wrapper), Decompression))
    }
}

/// Adds rules to the wrapper for responses or to the one for requests, which are two types.
///
/// Each rule comes with the name of its argument.
macro_rules! with_rules {
    ($headers:expr, $set:expr, $append:expr, $default:expr, $remove:expr) => {{
        let mut headers = $headers;
        let (argument, names) = $remove;
        for name in &optional_texts(argument, names)?.unwrap_or_default() {
            headers = headers.remove(name.as_str()).map_err(refused)?;
        }
        let (argument, given) = $set;
        for (name, value) in &pairs(argument, given)? {
            headers = headers
                .set(name.as_str(), value.as_str())
                .map_err(refused)?;
        }
        let (argument, given) = $append;
        for (name, value) in &pairs(argument, given)? {
            headers = headers
                .append(name.as_str(), value.as_str())
                .map_err(refused)?;
        }
        let (argument, given) = $default;
        for (name, value) in &pairs(argument, given)? {
            headers = headers
                .default(name.as_str(), value.as_str())
                .map_err(refused)?;
        }
        headers
    }};
}

/// Sets, appends, defaults and removes headers of responses and of requests.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Headers;

#[pymethods]
impl Headers {
    #[new]
    #[pyo3(signature = (
        app, *, set = None, append = None, default = None, remove = None,
        request_set = None, request_append = None, request_default = None, request_remove = None,
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "Python passes these as keyword arguments, by name"
    )]
    fn new(
        app: &Bound<'_, PyAny>,
        set: Given<'_, '_>,
        append: Given<'_, '_>,
        default: Given<'_, '_>,
        remove: Given<'_, '_>,
        request_set: Given<'_, '_>,
        request_append: Given<'_, '_>,
        request_default: Given<'_, '_>,
        request_remove: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let responses = middleware::Headers::new();
        let responses = with_rules!(
            responses,
            ("set", set),
            ("append", append),
            ("default", default),
            ("remove", remove)
        );
        let mut app = taken(app)?.wrap(responses);
        if request_set.is_some()
            || request_append.is_some()
            || request_default.is_some()
            || request_remove.is_some()
        {
            let requests = middleware::Headers::request();
            app = app.wrap(with_rules!(
                requests,
                ("request_set", request_set),
                ("request_append", request_append),
                ("request_default", request_default),
                ("request_remove", request_remove)
            ));
        }
        Ok(based(app, Headers))
    }
}

/// Sets security headers that suit most sites, such as CSP, and HSTS over TLS.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct SecurityHeaders;

#[pymethods]
impl SecurityHeaders {
    #[new]
    #[pyo3(signature = (app, *, set = None, remove = None, report_only = false))]
    fn new(
        app: &Bound<'_, PyAny>,
        set: Given<'_, '_>,
        remove: Given<'_, '_>,
        report_only: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::SecurityHeaders::new();
        for (name, value) in &pairs("set", set)? {
            wrapper = wrapper.set(name.as_str(), value).map_err(refused)?;
        }
        for name in &optional_texts("remove", remove)?.unwrap_or_default() {
            wrapper = wrapper.remove(name.as_str()).map_err(refused)?;
        }
        if report_only {
            wrapper = wrapper.report_only();
        }
        Ok(based(taken(app)?.wrap(wrapper), SecurityHeaders))
    }
}

/// Sets how long caches may keep responses, by path pattern, unless the application sets it.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct CacheControl;

#[pymethods]
impl CacheControl {
    /// `rules` are directives by pattern, such as `{"/static/**": "public, max-age=86400"}`. The first pattern that
    /// matches applies.
    #[new]
    #[pyo3(signature = (app, rules))]
    fn new(app: &Bound<'_, PyAny>, rules: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::CacheControl::new();
        for (pattern, directives) in &pairs("rules", Some(rules))? {
            let rule = CacheRule::new(directives).and_then(|rule| rule.path(pattern));
            wrapper = wrapper.rule(rule.map_err(refused)?);
        }
        Ok(based(taken(app)?.wrap(wrapper), CacheControl))
    }
}

/// Lets pages of other origins read responses, and responds to preflight requests.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Cors;

#[pymethods]
impl Cors {
    /// `origins` are origins, or `["*"]` for any. `methods` and `headers` are those that pages may use. `max_age` is in
    /// seconds.
    #[new]
    #[pyo3(signature = (
        app, *, origins, methods = None, headers = None, expose = None, credentials = false, max_age = None,
    ))]
    fn new(
        app: &Bound<'_, PyAny>,
        origins: &Bound<'_, PyAny>,
        methods: Given<'_, '_>,
        headers: Given<'_, '_>,
        expose: Given<'_, '_>,
        credentials: bool,
        max_age: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = match texts("origins", origins)?.as_slice() {
            [any] if any == "*" => middleware::Cors::any_origin(),
            origins => middleware::Cors::origins(origins).map_err(refused)?,
        };
        if let Some(names) = optional_texts("methods", methods)? {
            wrapper = wrapper.methods(self::methods(&names)?);
        }
        if let Some(names) = optional_texts("headers", headers)? {
            let names: PyResult<Vec<_>> = names.iter().map(|name| header(name)).collect();
            wrapper = wrapper.headers(names?);
        }
        if let Some(names) = optional_texts("expose", expose)? {
            let names: PyResult<Vec<_>> = names.iter().map(|name| header(name)).collect();
            wrapper = wrapper.expose(names?);
        }
        if let Some(seconds) = optional_whole("max_age", max_age, 0..=MOST_SECONDS)? {
            wrapper = wrapper.max_age(Duration::from_secs(seconds));
        }
        if credentials {
            wrapper = wrapper.credentials().map_err(refused)?;
        }
        Ok(based(taken(app)?.wrap(wrapper), Cors))
    }
}

/// Fills error responses with HTML, JSON problem details or text, as the client prefers.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct ErrorPages;

#[pymethods]
impl ErrorPages {
    #[new]
    #[pyo3(signature = (app, *, replace_content = false))]
    fn new(app: &Bound<'_, PyAny>, replace_content: bool) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::ErrorPages::new();
        if replace_content {
            wrapper = wrapper.replace_content();
        }
        Ok(based(taken(app)?.wrap(wrapper), ErrorPages))
    }
}
