//! One call of a callable: what it started and produced, and how much of it was sent.

use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use enfilade_core::{Body, BoxError, HttpError, IntoResponse, Response, unpoisoned};
use futures_core::Stream;
use http::{Method, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::client_timeout::{ClientGone, ClientTimeout};
use super::environ::Errors;
use super::head::{ResponseHead, StartError};

/// The number of byte strings that may wait for a slow client before the callable waits too.
const CHUNKS_AHEAD: usize = 16;

/// The state that a call shares with its `start_response` and `write`.
///
/// Only the thread that runs the call waits while it holds the lock, until the client takes a byte string.
pub(super) struct Exchange {
    state: Mutex<ExchangeState>,
    errors: Errors,
    method: Method,
    client_timeout: ClientTimeout,
}

enum ExchangeState {
    /// Nothing was sent. `start_response` may have been called, and the only bytes may be here already.
    Waiting {
        head: Option<ResponseHead>,
        only: Bytes,
        respond: oneshot::Sender<Response>,
    },
    /// The head was sent, and byte strings follow it.
    ///
    /// `left` of the bytes that `Content-Length` announced are not sent yet.
    Streaming {
        chunks: mpsc::Sender<BodyItem>,
        left: Option<u64>,
    },
    /// The whole response was sent, or the client does not read it any more.
    Over,
}

enum BodyItem {
    Chunk(Bytes),
    Failed(BoxError),
    End,
}

impl Exchange {
    /// Returns a call that has not begun, and its future response.
    pub(super) fn new(
        method: Method,
        errors: Errors,
        client_timeout: ClientTimeout,
    ) -> (
        Arc<Exchange>,
        impl Future<Output = Response> + Send + 'static,
    ) {
        let (respond, response) = oneshot::channel();
        let state = Mutex::new(ExchangeState::Waiting {
            head: None,
            only: Bytes::new(),
            respond,
        });
        let silent = |_| internal("the call ended without a response").into_response();
        let response = async move { response.await.unwrap_or_else(silent) };
        (
            Arc::new(Exchange {
                state,
                errors,
                method,
                client_timeout,
            }),
            response,
        )
    }

    fn lock(&self) -> MutexGuard<'_, ExchangeState> {
        unpoisoned(self.state.lock())
    }

    /// Implements `start_response`.
    pub(super) fn start(&self, new: ResponseHead, replace: bool) -> Result<(), StartError> {
        match &mut *self.lock() {
            ExchangeState::Waiting { head, .. } if replace || head.is_none() => {
                *head = Some(new);
                Ok(())
            }
            ExchangeState::Waiting { .. } => Err(StartError::Repeated),
            ExchangeState::Streaming { .. } if replace => Err(StartError::Sent),
            ExchangeState::Streaming { .. } => Err(StartError::Repeated),
            ExchangeState::Over => Err(StartError::Gone),
        }
    }

    /// Sends bytes, and before the first of them the head. More bytes may follow.
    pub(super) fn send(&self, bytes: Bytes) -> Result<(), StartError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut state = self.lock();
        state.begin_streaming()?;
        let ExchangeState::Streaming { chunks, left } = &mut *state else {
            return Err(StartError::Gone);
        };
        let (bytes, is_whole) = cut(bytes, left);
        if let Err(ClientGone) = self.client_timeout.send(chunks, BodyItem::Chunk(bytes)) {
            *state = ExchangeState::Over;
            return Err(StartError::Gone);
        }
        if is_whole {
            Ok(())
        } else {
            Err(StartError::TooLong)
        }
    }

    /// Sends the last bytes. If they are the only ones, the body has a known length.
    pub(super) fn send_last(&self, bytes: Bytes) -> Result<(), StartError> {
        if let ExchangeState::Waiting {
            head: Some(_),
            only,
            ..
        } = &mut *self.lock()
        {
            *only = bytes;
            return Ok(());
        }
        self.send(bytes)
    }

    /// Ends a complete response.
    pub(super) fn end(&self) -> Result<(), HttpError> {
        let mut state = self.lock();
        match &mut *state {
            ExchangeState::Waiting { head: None, .. } => return Err(StartError::NotStarted.into()),
            ExchangeState::Waiting {
                head: Some(head),
                only,
                ..
            } => {
                let mut left = head.declared_length();
                let (bytes, is_whole) = cut(std::mem::take(only), &mut left);
                self.check_length(left, is_whole, head.status)?;
                *only = bytes;
            }
            ExchangeState::Streaming { left, .. } => {
                self.check_length(*left, true, StatusCode::OK)?
            }
            ExchangeState::Over => {}
        }
        match std::mem::replace(&mut *state, ExchangeState::Over) {
            // If the client has disconnected, it needs neither of these.
            ExchangeState::Waiting {
                head: Some(head),
                only,
                respond,
                ..
            } => drop(respond.send(head.into_response(only.into()))),
            ExchangeState::Streaming { chunks, .. } => {
                drop(self.client_timeout.send(&chunks, BodyItem::End))
            }
            ExchangeState::Waiting { .. } | ExchangeState::Over => {}
        }
        Ok(())
    }

    /// Compares the length with `Content-Length` (PEP 3333, "Handling the Content-Length Header").
    ///
    /// Surplus bytes were cut off already and are only reported. Missing bytes are an error, unless HTTP sends no body
    /// (RFC 9110, section 6.4.1).
    fn check_length(
        &self,
        left: Option<u64>,
        is_whole: bool,
        status: StatusCode,
    ) -> Result<(), HttpError> {
        if !is_whole {
            self.report(&StartError::TooLong);
        }
        let has_body = self.method != Method::HEAD && status != StatusCode::NOT_MODIFIED;
        if has_body && left.is_some_and(|left| left > 0) {
            return Err(internal("the body is shorter than its Content-Length"));
        }
        Ok(())
    }

    /// Responds with the error if nothing was sent yet, and aborts the response otherwise.
    pub(super) fn fail(&self, error: HttpError) {
        let source = error
            .source()
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        let text = format!("{error}{source}");
        match std::mem::replace(&mut *self.lock(), ExchangeState::Over) {
            ExchangeState::Waiting { respond, .. } => {
                if error.status().is_server_error() {
                    self.report(&text);
                }
                drop(respond.send(error.into_response()));
            }
            ExchangeState::Streaming { chunks, .. } => {
                self.report(&text);
                drop(
                    self.client_timeout
                        .send(&chunks, BodyItem::Failed(text.into())),
                );
            }
            ExchangeState::Over => {}
        }
    }

    /// Writes a line to `wsgi.errors`. Escapes control characters, which may come from a peer.
    pub(super) fn report(&self, what: &dyn std::fmt::Display) {
        // If the error stream fails, there is no other place to report to.
        let _ = writeln!(
            self.errors.clone(),
            "enfilade::wsgi: {}",
            what.to_string().escape_debug()
        );
    }
}

impl ExchangeState {
    /// Sends the head if it was not sent yet, with a body that follows.
    fn begin_streaming(&mut self) -> Result<(), StartError> {
        if let ExchangeState::Waiting { head: None, .. } = self {
            return Err(StartError::NotStarted);
        }
        match std::mem::replace(self, ExchangeState::Over) {
            ExchangeState::Waiting {
                head: Some(head),
                respond,
                ..
            } => {
                let (chunks, receiver) = mpsc::channel(CHUNKS_AHEAD);
                let left = head.declared_length();
                let body = Body::from_stream(Chunks(Some(receiver)));
                respond
                    .send(head.into_response(body))
                    .map_err(|_| StartError::Gone)?;
                *self = ExchangeState::Streaming { chunks, left };
            }
            other => *self = other,
        }
        Ok(())
    }
}

/// The byte strings on their way from the callable's thread to the gateway.
struct Chunks(Option<mpsc::Receiver<BodyItem>>);

impl Stream for Chunks {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(receiver) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let item = match ready!(receiver.poll_recv(context)) {
            Some(BodyItem::Chunk(bytes)) => return Poll::Ready(Some(Ok(bytes))),
            Some(BodyItem::End) => None,
            Some(BodyItem::Failed(error)) => Some(Err(error)),
            // The end must be announced: a response that merely stops must not look complete.
            None => Some(Err("the call was aborted".into())),
        };
        self.0 = None;
        Poll::Ready(item)
    }
}

/// Returns the part of `bytes` that `left` allows, and whether that is all of them.
fn cut(mut bytes: Bytes, left: &mut Option<u64>) -> (Bytes, bool) {
    let Some(left) = left else {
        return (bytes, true);
    };
    let room = usize::try_from(*left).unwrap_or(usize::MAX);
    let is_whole = bytes.len() <= room;
    bytes.truncate(room);
    *left -= bytes.len() as u64;
    (bytes, is_whole)
}

fn internal(cause: impl Into<BoxError>) -> HttpError {
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR).caused_by(cause)
}
