//! What needs CPython's interface in C, or a descriptor that Python gave as a number.
//!
//! It is the one module that may be `unsafe`; each block says why it is sound.
#![expect(
    unsafe_code,
    reason = "CPython has these in C alone, and descriptors as numbers"
)]

use std::io;
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
