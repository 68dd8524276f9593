//! What the callable gets: the environ, its input and its error stream.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use enfilade_core::{Body, Request, unpoisoned};

/// The request, as a WSGI callable sees it.
///
/// [`get`](Environ::get) has the CGI and WSGI variables (see [`enfilade_core::Environ`]), [`input`](Environ::input) the
/// body. It can be moved into the returned iterable, which may go on reading while it produces.
#[derive(Debug)]
pub struct Environ {
    request: Request,
    input: Input,
    errors: Errors,
}

impl Environ {
    pub(super) fn new(request: Request, input: Input, errors: Errors) -> Environ {
        Environ {
            request,
            input,
            errors,
        }
    }

    /// The value of a variable, such as `PATH_INFO`, `HTTP_ACCEPT` or `wsgi.url_scheme`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.request.environ().get(name)
    }

    /// All variables of this request, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.request.environ().iter()
    }

    /// The request itself, without its body.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// `wsgi.input`: the request's body, read as it arrives.
    pub fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    /// `wsgi.errors`: where to write what an operator should read.
    pub fn errors(&self) -> Errors {
        self.errors.clone()
    }
}

/// `wsgi.input`: the request's body as `Read` and `BufRead`.
///
/// It ends with the body. Where the client breaks off, reading fails with `ConnectionAborted`, so that a part is never
/// taken for the whole. There is no limit of its own: bound what you keep, with [`Read::take`] for example.
#[derive(Debug)]
pub struct Input {
    body: Body,
    current: Bytes,
}

impl Input {
    pub(super) fn new(body: Body) -> Input {
        Input {
            body,
            current: Bytes::new(),
        }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            // Trailers are no part of what WSGI reads.
            match pollster::block_on(self.body.frame()) {
                Some(Ok(frame)) => self.current = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, error));
                }
                None => break,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.fill_buf()?;
        let count = ready.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// `wsgi.errors`: a text stream for what an operator should read, shared by all calls of an application.
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
