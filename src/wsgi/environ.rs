//! The arguments of the callable: the environ, with its input and its error stream.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use enfilade_core::{Request, unpoisoned};

use crate::threads::BodyReader;

/// The request of a WSGI callable.
///
/// [`get`](Environ::get) has the CGI and WSGI variables (see [`enfilade_core::Environ`]), [`input`](Environ::input) the
/// body. The returned iterable can own it and read on while it produces.
#[derive(Debug)]
pub struct Environ {
    request: Request,
    input: BodyReader,
    errors: Errors,
}

impl Environ {
    pub(super) fn new(request: Request, input: BodyReader, errors: Errors) -> Environ {
        Environ {
            request,
            input,
            errors,
        }
    }

    /// Returns the value of a variable, such as `PATH_INFO`, `HTTP_ACCEPT` or `wsgi.url_scheme`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.request.environ().get(name)
    }

    /// Returns all variables of this request, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.request.environ().iter()
    }

    /// Returns the request, without its body.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns `wsgi.input`: the request's body, read as it arrives.
    pub fn input(&mut self) -> &mut BodyReader {
        &mut self.input
    }

    /// Returns `wsgi.errors`, for messages to the operator.
    pub fn errors(&self) -> Errors {
        self.errors.clone()
    }
}

/// `wsgi.errors`: a text stream for messages to the operator, shared by all calls of an application.
#[derive(Clone)]
pub struct Errors(Arc<Mutex<dyn Write + Send>>);

impl Errors {
    pub(super) fn new(writer: impl Write + Send + 'static) -> Errors {
        Errors(Arc::new(Mutex::new(writer)))
    }

    pub(super) fn stderr() -> Errors {
        Errors::new(io::stderr())
    }
}

impl Write for Errors {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        unpoisoned(self.0.lock()).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        unpoisoned(self.0.lock()).flush()
    }
}

impl fmt::Debug for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errors")
    }
}
