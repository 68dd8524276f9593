//! `wsgi.file_wrapper`: an iterable of a file's blocks; the server sends a regular file by itself.

use std::fs::File;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use enfilade::Body;
use enfilade::middleware::FileSource;
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyType};

use crate::ffi;

/// Files up to this size, in bytes, are read by the application's thread.
///
/// It may block: another thread would cost more than the read.
const SMALL: usize = 256 * 1024;

/// A file-like object in blocks (PEP 3333, "Optional Platform-Specific File Handling").
#[pyclass(frozen, module = "enfilade._native", name = "FileWrapper")]
#[derive(Debug)]
pub struct FileWrapper {
    #[pyo3(get)]
    filelike: Py<PyAny>,
    #[pyo3(get)]
    blksize: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize = 8192))]
    fn new(filelike: Py<PyAny>, #[pyo3(from_py_with = block_size)] blksize: usize) -> FileWrapper {
        FileWrapper { filelike, blksize }
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let read = self
            .filelike
            .bind(py)
            .call_method1(pyo3::intern!(py, "read"), (self.blksize,))?;
        Ok(if read.is_truthy()? { Some(read) } else { None })
    }

    /// Closes the file, if it has a `close` method.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self
            .filelike
            .bind(py)
            .getattr_opt(pyo3::intern!(py, "close"))?
        {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }
}

/// Returns the size of a block, or an error that says what is allowed.
fn block_size(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    if !value.is_instance_of::<PyInt>() {
        let message = format!("blksize must be a whole number, not {}", value.repr()?);
        return Err(PyTypeError::new_err(message));
    }
    let size = value.extract().ok().filter(|size: &usize| *size > 0);
    size.ok_or_else(|| PyValueError::new_err(format!("blksize must be 1 or more, not {value}")))
}

/// A regular file, from its current position to its end.
pub(crate) enum RegularFile {
    Small(Bytes),
    Large(Body),
}

impl FileWrapper {
    /// Returns the regular file, from its current position to its end, if it is one.
    ///
    /// The file's bytes must be those that reading the object would return. A `GzipFile` has a descriptor too, so only
    /// types count that are known to return the file's bytes unchanged.
    pub(crate) fn regular_file(&self, py: Python<'_>) -> PyResult<Option<RegularFile>> {
        let filelike = self.filelike.bind(py);
        let io = py.import(pyo3::intern!(py, "io"))?;
        let is_plain = ["BufferedReader", "FileIO", "BufferedRandom"]
            .iter()
            .any(|name| {
                let kind = io.getattr(*name);
                kind.is_ok_and(|kind| {
                    kind.cast::<PyType>()
                        .is_ok_and(|kind| filelike.is_exact_instance(kind))
                })
            });
        if !is_plain {
            return Ok(None);
        }
        if filelike.hasattr("raw")? && !is_file_io(&io, &filelike.getattr("raw")?)? {
            return Ok(None);
        }
        let descriptor: i32 = filelike.call_method0("fileno")?.extract()?;
        let file = File::from(ffi::duplicate(descriptor)?);
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Ok(None);
        }
        let position: u64 = filelike.call_method0("tell")?.extract()?;
        let left = facts.len().saturating_sub(position);
        match usize::try_from(left) {
            Ok(length) if length <= SMALL => {
                let mut bytes = vec![0; length];
                py.detach(|| file.read_exact_at(&mut bytes, position))?;
                Ok(Some(RegularFile::Small(bytes.into())))
            }
            _ => {
                let whole = Body::from(FileSource::new(file)?);
                let rest = whole.slice(position..).map_err(invalid)?;
                Ok(Some(RegularFile::Large(rest)))
            }
        }
    }
}

/// The error for a file that has changed since its length was read.
fn invalid(error: impl std::fmt::Display) -> PyErr {
    PyOSError::new_err(error.to_string())
}

/// A `BufferedReader` can wrap any object, so its `raw` must be a file.
fn is_file_io(io: &Bound<'_, PyModule>, raw: &Bound<'_, PyAny>) -> PyResult<bool> {
    let kind = io.getattr("FileIO")?;
    Ok(raw.is_exact_instance(&kind))
}
