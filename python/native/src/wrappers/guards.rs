//! Wrappers that reject requests or limit them.

use std::time::Duration;

use enfilade::middleware::{self, MaintenanceSwitch, Quota};
use pyo3::prelude::*;

use crate::application::{PyApplication, based, taken};
use crate::arguments::{
    Given, MOST_SECONDS, count, optional_size, optional_whole, refused, seconds, texts, whole,
};

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Timeout>()?;
    module.add_class::<BodyLimit>()?;
    module.add_class::<RateLimit>()?;
    module.add_class::<ConcurrencyLimit>()?;
    module.add_class::<CatchPanic>()?;
    module.add_class::<Maintenance>()?;
    module.add_class::<TrustedHosts>()
}

/// Returns 503 if there is no response within `head` seconds.
///
/// The Python code runs on; its response is dropped.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Timeout;

#[pymethods]
impl Timeout {
    #[new]
    #[pyo3(signature = (app, head))]
    fn new(app: &Bound<'_, PyAny>, head: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<Self>> {
        let wrapper = middleware::Timeout::new(seconds("head", head)?);
        Ok(based(taken(app)?.wrap(wrapper), Timeout))
    }
}

/// Returns 413 if a request body is longer than `limit` bytes.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct BodyLimit;

#[pymethods]
impl BodyLimit {
    #[new]
    #[pyo3(signature = (app, limit))]
    fn new(app: &Bound<'_, PyAny>, limit: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<Self>> {
        let limit = whole("limit", limit, 0..=u64::MAX)?;
        let app = taken(app)?.wrap(middleware::BodyLimit::new(limit));
        Ok(based(app, BodyLimit))
    }
}

/// Limits each client to `requests` in `period` seconds, and returns 429 to further requests.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct RateLimit;

#[pymethods]
impl RateLimit {
    #[new]
    #[pyo3(
        signature = (app, requests, *, period = None, burst = None),
        text_signature = "(app, requests, *, period=60.0, burst=None)",
    )]
    fn new(
        app: &Bound<'_, PyAny>,
        requests: &Bound<'_, PyAny>,
        period: Given<'_, '_>,
        burst: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let requests = count("requests", requests)?;
        let period = period.map_or(Ok(Duration::from_secs(60)), |time| seconds("period", time))?;
        let mut quota = Quota::new(requests, period).map_err(refused)?;
        if let Some(burst) = burst {
            quota = quota.burst(count("burst", burst)?);
        }
        let app = taken(app)?.wrap(middleware::RateLimit::new(quota));
        Ok(based(app, RateLimit))
    }
}

/// Limits concurrent requests. `backlog` more requests wait up to `wait` seconds; all others get 503.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct ConcurrencyLimit;

#[pymethods]
impl ConcurrencyLimit {
    #[new]
    #[pyo3(signature = (app, limit, *, backlog = None, wait = None))]
    fn new(
        app: &Bound<'_, PyAny>,
        limit: &Bound<'_, PyAny>,
        backlog: Given<'_, '_>,
        wait: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let limit = count("limit", limit)?;
        let mut wrapper = middleware::ConcurrencyLimit::new(limit as usize);
        if let Some(requests) = optional_size("backlog", backlog)? {
            wrapper = wrapper.backlog(requests);
        }
        if let Some(wait) = wait {
            wrapper = wrapper.wait(seconds("wait", wait)?);
        }
        Ok(based(taken(app)?.wrap(wrapper), ConcurrencyLimit))
    }
}

/// Returns 500 if a component in Rust panics.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct CatchPanic;

#[pymethods]
impl CatchPanic {
    #[new]
    #[pyo3(signature = (app))]
    fn new(app: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<Self>> {
        let app = taken(app)?.wrap(middleware::CatchPanic::new());
        Ok(based(app, CatchPanic))
    }
}

/// Returns 503 while it is closed.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Maintenance {
    switch: MaintenanceSwitch,
}

#[pymethods]
impl Maintenance {
    #[new]
    #[pyo3(signature = (app, *, closed = false, retry_after = None, page = None))]
    fn new(
        app: &Bound<'_, PyAny>,
        closed: bool,
        retry_after: Given<'_, '_>,
        page: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::Maintenance::new();
        if let Some(seconds) = optional_whole("retry_after", retry_after, 0..=MOST_SECONDS)? {
            wrapper = wrapper.retry_after(Duration::from_secs(seconds));
        }
        if let Some(page) = page {
            wrapper = wrapper.page(taken(page)?);
        }
        let switch = wrapper.switch();
        match closed {
            true => switch.close(),
            false => switch.open(),
        }
        Ok(based(taken(app)?.wrap(wrapper), Maintenance { switch }))
    }

    /// Closes the application for further requests.
    fn close(&self) {
        self.switch.close();
    }

    /// Opens it again.
    fn open(&self) {
        self.switch.open();
    }

    /// Whether it is closed.
    #[getter]
    fn closed(&self) -> bool {
        self.switch.is_closed()
    }
}

/// Rejects requests for hosts that are not in the list.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct TrustedHosts;

#[pymethods]
impl TrustedHosts {
    #[new]
    #[pyo3(signature = (app, hosts))]
    fn new(app: &Bound<'_, PyAny>, hosts: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<Self>> {
        let wrapper = middleware::TrustedHosts::new(texts("hosts", hosts)?).map_err(refused)?;
        Ok(based(taken(app)?.wrap(wrapper), TrustedHosts))
    }
}
