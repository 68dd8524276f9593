//! Wrappers that log requests, identify them and measure them.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use enfilade::middleware::{self, LogFile, LogFileHandle};
use pyo3::prelude::*;

use super::unopened;
use crate::application::{PyApplication, based, taken};
use crate::arguments::refused;

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AccessLog>()?;
    module.add_class::<RequestId>()?;
    module.add_class::<Timing>()
}

/// Logs requests, and never blocks one.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct AccessLog {
    file: Option<LogFileHandle>,
}

#[pymethods]
impl AccessLog {
    /// `format` is `common`, `combined`, `vhost_combined`, `json`, or a format in Apache's syntax. `output` is a file,
    /// `-` for standard output, or `stderr`.
    #[new]
    #[pyo3(signature = (app, *, format = "combined", output = "-"))]
    fn new(
        app: &Bound<'_, PyAny>,
        format: &str,
        output: &str,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = match format {
            "common" => middleware::AccessLog::common(),
            "combined" => middleware::AccessLog::combined(),
            "vhost_combined" => middleware::AccessLog::vhost_combined(),
            "json" => middleware::AccessLog::json(),
            format => middleware::AccessLog::format(format).map_err(refused)?,
        };
        let mut file = None;
        wrapper = match output {
            "-" | "stdout" => wrapper.writer(io::stdout()),
            "stderr" => wrapper.writer(io::stderr()),
            path => {
                let writable = OpenOptions::new().append(true).create(true).open(path);
                writable.map_err(|error| unopened(app.py(), &error, Path::new(path)))?;
                let opened = LogFile::open(path)?;
                file = Some(opened.handle());
                wrapper.writer(opened)
            }
        };
        Ok(based(taken(app)?.wrap(wrapper), AccessLog { file }))
    }

    /// Reopens the file after it was moved. Does nothing if the log does not go to a file.
    fn reopen(&self) -> PyResult<()> {
        match &self.file {
            Some(file) => Ok(file.reopen()?),
            None => Ok(()),
        }
    }
}

/// Gives each request an ID: the client's ID, if valid, or a new one.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct RequestId;

#[pymethods]
impl RequestId {
    #[new]
    #[pyo3(signature = (app, *, header = None, ignore_inbound = false))]
    fn new(
        app: &Bound<'_, PyAny>,
        header: Option<&str>,
        ignore_inbound: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        let mut wrapper = middleware::RequestId::new();
        if let Some(name) = header {
            wrapper = wrapper.header(name).map_err(refused)?;
        }
        if ignore_inbound {
            wrapper = wrapper.ignore_inbound();
        }
        Ok(based(taken(app)?.wrap(wrapper), RequestId))
    }
}

/// Reports how long responses took, in `Server-Timing` and `X-Runtime`.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Timing;

#[pymethods]
impl Timing {
    #[new]
    #[pyo3(signature = (app, *, server_timing = true, x_runtime = true))]
    fn new(
        app: &Bound<'_, PyAny>,
        server_timing: bool,
        x_runtime: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        let wrapper = middleware::Timing::new()
            .server_timing(server_timing)
            .x_runtime(x_runtime);
        Ok(based(taken(app)?.wrap(wrapper), Timing))
    }
}
