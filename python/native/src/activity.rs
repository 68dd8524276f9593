//! Python's type of the counters that show a worker's progress.

use enfilade_python::Activity;
use pyo3::prelude::*;

use crate::arguments::count;

/// Counts what the threads of a server do, for a process that forked the server's.
#[pyclass(frozen, module = "enfilade", name = "Activity")]
pub(crate) struct PyActivity(pub(crate) Activity);

#[pymethods]
impl PyActivity {
    #[new]
    fn new(threads: &Bound<'_, PyAny>) -> PyResult<PyActivity> {
        let threads = count("threads", threads)?;
        Ok(PyActivity(Activity::new(threads as usize)?))
    }

    /// Returns the count of each thread: odd while the thread runs the application; greater after every change.
    fn counts(&self) -> Vec<u64> {
        self.0.counts()
    }
}
