//! `wsgi.file_wrapper`: a file as an iterable, which the server may send by itself.

use std::fs::File;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use pyo3::exceptions::PyIOError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::call::exchange::{Exchange, SendOutcome};
use crate::ffi;

/// How many bytes of a file are sent at a time.
const BLOCK: usize = 128 * 1024;

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
    fn new(filelike: Py<PyAny>, blksize: usize) -> FileWrapper {
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

    /// Closes the file, where it can be closed.
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

/// A regular file from where it is to its end.
pub(crate) struct RegularFile {
    file: File,
    position: u64,
    pub(crate) length: u64,
}

impl FileWrapper {
    /// What the system has of the file where its bytes are those that reading it would give: a `GzipFile` has a
    /// descriptor too, so only the types that are known to pass bytes on as they are count.
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
        let length = facts.len().saturating_sub(position);
        Ok(Some(RegularFile {
            file,
            position,
            length,
        }))
    }
}

/// A `BufferedReader` can be put around anything; only around a file is it one.
fn is_file_io(io: &Bound<'_, PyModule>, raw: &Bound<'_, PyAny>) -> PyResult<bool> {
    let kind = io.getattr("FileIO")?;
    Ok(raw.is_exact_instance(&kind))
}

impl RegularFile {
    /// Reads and sends it without the interpreter, but for handing blocks over.
    pub(crate) fn send(mut self, py: Python<'_>, exchange: &Exchange) -> PyResult<()> {
        while self.length > 0 {
            let size = usize::try_from(self.length).unwrap_or(BLOCK).min(BLOCK);
            let read = py.detach(|| {
                let mut block = vec![0; size];
                let count = self.file.read_at(&mut block, self.position)?;
                block.truncate(count);
                std::io::Result::Ok(block)
            })?;
            if read.is_empty() {
                return Err(PyIOError::new_err(
                    "the file became shorter while it was sent",
                ));
            }
            self.position += read.len() as u64;
            self.length -= read.len() as u64;
            if exchange.send(py, Bytes::from(read))? != SendOutcome::Taken {
                break;
            }
        }
        Ok(())
    }
}
