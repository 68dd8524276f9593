//! `wsgi.input`: the request's body as a file to read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::{Buf, Bytes};
use enfilade::{Body, BodyErrorKind, unpoisoned};
use pyo3::exceptions::{PyConnectionAbortedError, PyOSError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::run::process::Process;
use crate::run::reactor::wait;

/// The body of one request.
///
/// It is detached when the request ends, even if the application still holds it.
#[pyclass(frozen, module = "enfilade._native", name = "Input")]
pub(crate) struct Input {
    source: Mutex<InputState>,
    is_touched: AtomicBool,
}

enum InputState {
    Open(OpenInput),
    /// A thread reads, and has the body.
    Taken,
    /// The request ended while a thread had the body: that thread drops it.
    Over,
}

struct OpenInput {
    body: Body,
    current: Bytes,
    /// The error of the body, after which nothing follows.
    failure: Option<BodyErrorKind>,
    process: Process,
}

/// Holds the body for a read, and returns it afterwards.
struct ReadGuard<'a> {
    input: &'a Input,
    open: Option<OpenInput>,
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        let mut source = self.input.lock();
        if let (InputState::Taken, Some(open)) = (&*source, self.open.take()) {
            *source = InputState::Open(open);
        }
    }
}

#[pymethods]
impl Input {
    /// Reads this many bytes, or all that are left. Returns fewer only at the end.
    #[pyo3(signature = (size = None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let limit = limit(size);
        self.take(py, limit, |_| None)
    }

    /// Reads one line with its end, or as much of it as `size` allows.
    #[pyo3(signature = (size = None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.line(py, limit(size))
    }

    /// Reads lines to the end, or until they have `hint` bytes or more.
    #[pyo3(signature = (hint = None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let enough = match hint {
            Some(hint) if hint > 0 => limit(Some(hint)),
            _ => usize::MAX,
        };
        let (lines, mut length) = (PyList::empty(py), 0);
        while length < enough {
            let line = self.line(py, usize::MAX)?;
            if line.as_bytes().is_empty() {
                break;
            }
            length += line.as_bytes().len();
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.line(py, usize::MAX)?;
        Ok(Some(line).filter(|line| !line.as_bytes().is_empty()))
    }
}

impl Input {
    pub(crate) fn new(body: Body) -> Input {
        let open = OpenInput {
            body,
            current: Bytes::new(),
            failure: None,
            process: Process::current(),
        };
        Input {
            source: Mutex::new(InputState::Open(open)),
            is_touched: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, InputState> {
        unpoisoned(self.source.lock())
    }

    /// Detaches the body, because the request is over. Returns it, and whether any of it was read.
    pub(crate) fn detach(&self) -> Option<(Body, bool)> {
        let is_touched = self.is_touched.load(Ordering::Relaxed);
        match std::mem::replace(&mut *self.lock(), InputState::Over) {
            InputState::Open(open) => Some((open.body, is_touched)),
            InputState::Taken | InputState::Over => None,
        }
    }

    /// Returns the error of the body, if it failed.
    pub(crate) fn failure(&self) -> Option<BodyErrorKind> {
        match &*self.lock() {
            InputState::Open(open) => open.failure,
            InputState::Taken | InputState::Over => None,
        }
    }

    fn reading(&self) -> PyResult<ReadGuard<'_>> {
        self.is_touched.store(true, Ordering::Relaxed);
        let mut source = self.lock();
        match std::mem::replace(&mut *source, InputState::Taken) {
            InputState::Open(open) => Ok(ReadGuard {
                input: self,
                open: Some(open),
            }),
            InputState::Taken => Err(PyValueError::new_err("another thread is reading the body")),
            InputState::Over => {
                *source = InputState::Over;
                Err(PyValueError::new_err("the request is over"))
            }
        }
    }

    fn line<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, limit, |bytes| {
            bytes
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|at| at + 1)
        })
    }

    /// Reads up to `limit` bytes, or up to the position that `end` finds.
    fn take<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        end: impl Fn(&[u8]) -> Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut reading = self.reading()?;
        let Some(open) = &mut reading.open else {
            return Ok(PyBytes::new(py, b""));
        };
        let (mut parts, mut length) = (Vec::new(), 0);
        while length < limit && open.fill(py)? {
            let here = open.current.len().min(limit - length);
            let found = end(open.current.get(..here).unwrap_or_default());
            let count = found.unwrap_or(here);
            parts.push(open.current.split_to(count));
            length += count;
            if found.is_some() {
                break;
            }
        }
        join(py, &parts, length)
    }
}

impl OpenInput {
    /// Waits for more bytes. Returns false at the end.
    fn fill(&mut self, py: Python<'_>) -> PyResult<bool> {
        if let Some(kind) = self.failure {
            return Err(failed(kind));
        }
        while !self.current.has_remaining() {
            if self.body.is_finished() {
                return Ok(false);
            }
            if self.body.as_bytes().is_none() {
                self.process.check()?;
            }
            match wait(py, self.body.frame())? {
                // WSGI has no trailers.
                Some(Ok(frame)) => self.current = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    self.failure = Some(error.kind());
                    return Err(failed(error.kind()));
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// An error and not a short read, so that an application never takes a part for the whole.
fn failed(kind: BodyErrorKind) -> PyErr {
    match kind {
        BodyErrorKind::TimedOut => PyTimeoutError::new_err("timed out reading the request body"),
        BodyErrorKind::TooLarge => PyOSError::new_err("the request body is longer than the limit"),
        _ => PyConnectionAbortedError::new_err("the client aborted the request body"),
    }
}

fn limit(size: Option<isize>) -> usize {
    size.and_then(|size| usize::try_from(size).ok())
        .unwrap_or(usize::MAX)
}

fn join<'py>(py: Python<'py>, parts: &[Bytes], length: usize) -> PyResult<Bound<'py, PyBytes>> {
    if let [only] = parts {
        return Ok(PyBytes::new(py, only));
    }
    PyBytes::new_with(py, length, |mut room| {
        for part in parts {
            let (here, rest) = room.split_at_mut(part.len());
            here.copy_from_slice(part);
            room = rest;
        }
        Ok(())
    })
}
