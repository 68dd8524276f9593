//! Calls CPython's C interface, duplicates descriptors that Python passes as numbers, and shares memory with forked
//! processes.
//!
//! Only this module may use `unsafe`. Each block explains why it is sound.
#![expect(
    unsafe_code,
    reason = "CPython and the system offer these only in C, and Python passes descriptors as numbers"
)]

#[cfg(not(Py_LIMITED_API))]
use std::ffi::{CStr, CString};
use std::io;
#[cfg(not(Py_LIMITED_API))]
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Makes WSGI's native string of these bytes, one character for each byte.
///
/// See PEP 3333, "A Note On String Types".
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let length = isize::try_from(bytes.len()).unwrap_or(isize::MAX);
    // SAFETY: the pointer and the length are those of one slice, whose length is never beyond `isize::MAX`. For the
    // errors, a null pointer is the default. The result is a new reference to a `str`, or null with an exception set.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

/// Duplicates the descriptor that Python has under this number.
pub(crate) fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: the descriptor is borrowed only during this call. The caller holds the interpreter and closes nothing in
    // that time. If the number is not open, the system returns an error and does nothing else.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}

/// Starts the interpreter.
///
/// If a program is named, the interpreter takes it for its own, and so uses its virtual environment.
///
/// The host keeps its signal handlers. After the call no thread holds the interpreter. It must not run yet, and no
/// other thread may start it at the same time.
#[cfg(not(Py_LIMITED_API))]
pub(crate) fn initialize(program: Option<&CStr>) -> Result<(), String> {
    let mut config = MaybeUninit::<ffi::PyConfig>::uninit();
    // SAFETY: `PyConfig_InitPythonConfig` fills the whole struct, so `config` is a valid `PyConfig` from then on; it is
    // cleared once, after its last use. Strings end with a null, which `CStr` guarantees, and are copied. This thread
    // starts the interpreter and then holds it, so `PyEval_SaveThread` may release it.
    unsafe {
        ffi::PyConfig_InitPythonConfig(config.as_mut_ptr());
        let config = config.assume_init_mut();
        config.install_signal_handlers = 0;
        config.parse_argv = 0;
        let mut status = ffi::PyStatus_Ok();
        if let Some(program) = program {
            let place = &raw mut config.executable;
            status = ffi::PyConfig_SetBytesString(config, place, program.as_ptr());
        }
        if ffi::PyStatus_Exception(status) == 0 {
            status = ffi::Py_InitializeFromConfig(config);
        }
        ffi::PyConfig_Clear(config);
        if ffi::PyStatus_Exception(status) != 0 {
            let text = status.err_msg;
            return Err(match text.is_null() {
                true => "the interpreter did not start".to_owned(),
                false => CStr::from_ptr(text).to_string_lossy().into_owned(),
            });
        }
        ffi::PyEval_SaveThread();
    }
    Ok(())
}

/// Whether the interpreter runs.
#[cfg(not(Py_LIMITED_API))]
pub(crate) fn is_initialized() -> bool {
    // SAFETY: any thread may call it at any time.
    unsafe { ffi::Py_IsInitialized() != 0 }
}

/// Converts a path to a C string.
#[cfg(not(Py_LIMITED_API))]
pub(crate) fn c_string(path: &std::path::Path) -> Result<CString, String> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| format!("{path:?} is not a valid path: it has a null byte"))
}

/// Counters in memory that this process shares with the processes that it forks later.
#[derive(Debug)]
pub(crate) struct SharedCounters {
    start: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the memory is not bound to a thread, and is only used as atomic numbers.
unsafe impl Send for SharedCounters {}
// SAFETY: as above.
unsafe impl Sync for SharedCounters {}

impl SharedCounters {
    /// Makes this many counters, all 0.
    pub(crate) fn new(count: usize) -> io::Result<SharedCounters> {
        let size = count.max(1) * size_of::<AtomicU64>();
        // SAFETY: a new mapping at an address that the system chooses touches no other memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match NonNull::new(start.cast()) {
            Some(start) => Ok(SharedCounters { start, count }),
            None => Err(io::Error::from(io::ErrorKind::OutOfMemory)),
        }
    }

    /// Returns the counters.
    pub(crate) fn counters(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has this many numbers, is aligned to a page, begins as zeros, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl Drop for SharedCounters {
    fn drop(&mut self) {
        let size = self.count.max(1) * size_of::<AtomicU64>();
        // SAFETY: `new` made this mapping with this size, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), size) };
    }
}
