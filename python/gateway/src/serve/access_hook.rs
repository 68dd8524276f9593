//! Calls a Python hook for every request that was served.

use std::net::SocketAddr;

use enfilade::Request;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::call::report::report;
use crate::serve::options::Options;

/// The facts of a request, for the hook of a server.
#[derive(Debug)]
pub(super) struct AccessRecord {
    client: Option<SocketAddr>,
    line: String,
    pub(super) status: u16,
    pub(super) bytes: u64,
}

impl AccessRecord {
    pub(super) fn of(request: &Request) -> AccessRecord {
        let target = match request.uri().path_and_query() {
            Some(target) => target.as_str(),
            None => request.uri().path(),
        };
        AccessRecord {
            client: request.connection().peer(),
            line: format!("{} {target} {}", request.method(), request.protocol()),
            status: 0,
            bytes: 0,
        }
    }
}

/// The hook that a server calls for every request.
#[derive(Debug)]
pub(super) struct AccessHook(Py<PyAny>);

impl AccessHook {
    /// Returns the hook of these options.
    pub(super) fn of(py: Python<'_>, options: &Options) -> Option<AccessHook> {
        let hook = options.access_hook.as_ref();
        hook.map(|hook| AccessHook(hook.clone_ref(py)))
    }

    /// Calls the hook. An exception is reported and has no other effect, except an interrupt.
    pub(super) fn call(&self, py: Python<'_>, record: &AccessRecord) -> PyResult<()> {
        let client = match record.client {
            Some(client) => (client.ip().to_canonical().to_string(), client.port()),
            None => (String::new(), 0),
        };
        let arguments = (client, &record.line, record.status, record.bytes);
        match self.0.call1(py, arguments) {
            Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => Err(error),
            Err(error) => {
                report(py, &error);
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}
