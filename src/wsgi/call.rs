//! One call of a callable, from its environ to its last byte string.

use std::sync::Arc;

use enfilade_core::{HttpError, Panic};

use super::chunk::IntoChunk;
use super::environ::Environ;
use super::exchange::Exchange;
use super::head::StartError;
use super::start::StartResponse;

impl Exchange {
    /// Calls the callable and sends the bytes that it produces.
    pub(super) fn run<F, I>(self: Arc<Self>, callable: &F, environ: Environ)
    where
        F: Fn(Environ, StartResponse) -> Result<I, HttpError>,
        I: IntoIterator<Item: IntoChunk>,
    {
        let start = StartResponse::new(self.clone());
        let produced = Panic::catch(|| self.produce(callable, environ, start));
        let produced = produced.unwrap_or_else(|panic| Err(HttpError::from_panic(panic)));
        if let Err(error) = produced.and_then(|()| self.end()) {
            self.fail(error);
        }
    }

    /// Turns the callable's iterable into byte strings, and drops it before the end is sent.
    fn produce<F, I>(
        &self,
        callable: &F,
        environ: Environ,
        start: StartResponse,
    ) -> Result<(), HttpError>
    where
        F: Fn(Environ, StartResponse) -> Result<I, HttpError>,
        I: IntoIterator<Item: IntoChunk>,
    {
        let mut items = callable(environ, start)?.into_iter();
        while let Some(item) = items.next() {
            let bytes = item.into_chunk()?;
            let is_last = items.size_hint() == (0, Some(0));
            match if is_last {
                self.send_last(bytes)
            } else {
                self.send(bytes)
            } {
                Ok(()) => {}
                Err(StartError::Gone) => break,
                Err(error @ StartError::TooLong) => {
                    self.report(&error);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
