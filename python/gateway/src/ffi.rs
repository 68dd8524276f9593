//! What needs CPython's interface in C, or a descriptor that Python gave as a number.
//!
//! It is the one module that may be `unsafe`; each block says why it is sound.
#![expect(
    unsafe_code,
    reason = "CPython has these in C alone, and descriptors as numbers"
)]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// WSGI's native string of these bytes: each is the character of its number (PEP 3333, "A Note On String Types").
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let length = isize::try_from(bytes.len()).unwrap_or(isize::MAX);
    // SAFETY: the pointer and the length are those of one slice (whose length is never beyond `isize::MAX`), a null
    // pointer for the errors is the default, and what comes back is a new reference to a `str`, or null with an
    // exception set.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, std::ptr::null());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

/// A descriptor of our own for what Python has under this number.
pub(crate) fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: it is borrowed for this call alone, in which the caller, who holds the interpreter, closes nothing; where
    // nothing is open under the number, the system says so and nothing else happens.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}

/// Starts the interpreter, which takes this program for its own where one is named, and with it a virtual environment.
///
/// Signals are the host's. The interpreter is left to whoever attaches to it. It must not be there yet, and nobody else may
/// start it at the same time.
pub(crate) fn initialize(program: Option<&CStr>) -> Result<(), String> {
    let mut config = MaybeUninit::<ffi::PyConfig>::uninit();
    // SAFETY: `PyConfig_InitPythonConfig` fills the whole of what it is given, so `config` is a `PyConfig` from then on; it
    // is cleared once, after its last use. Strings end with a null, as `CStr` says, and are copied. The interpreter is
    // started on this thread, which then holds it, so that `PyEval_SaveThread` may let it go.
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
                true => "the interpreter does not start".to_owned(),
                false => CStr::from_ptr(text).to_string_lossy().into_owned(),
            });
        }
        ffi::PyEval_SaveThread();
    }
    Ok(())
}

/// Whether there is an interpreter.
pub(crate) fn is_initialized() -> bool {
    // SAFETY: it may be asked at any time, by any thread.
    unsafe { ffi::Py_IsInitialized() != 0 }
}

/// A path as CPython takes one.
pub(crate) fn c_string(path: &std::path::Path) -> Result<CString, String> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| format!("{path:?} is no path"))
}
