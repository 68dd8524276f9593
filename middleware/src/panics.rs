//! Panics of an application, caught wherever it may panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade_core::{Application, Body, Error, HttpError, Reply, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// What was said in a panic.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Calls an application; `answer` gets its response, or the panic of its call or of its future.
///
/// The body of the response fails where it would panic. `enter` is called as the call and each poll of the future begin,
/// and what it gives is dropped as they end; `answer` is called on the same thread right after.
pub(crate) fn call<G: 'static>(
    app: &Application,
    request: Request,
    enter: fn() -> G,
    answer: impl FnOnce(Result<Response, Panic>) -> Response + Send + 'static,
) -> Reply {
    let reply = match catch(enter, || app.call(request)) {
        Ok(reply) => reply,
        Err(panic) => return answer(Err(panic)).into(),
    };
    match reply.try_into_response() {
        Ok(response) => answer(Ok(guard_body(response))).into(),
        Err(pending) => {
            let mut future = pending.into_future();
            Reply::from_future(async move {
                let polled = std::future::poll_fn(|context| {
                    match catch(enter, || Pin::new(&mut future).poll(context)) {
                        Ok(poll) => poll.map(Ok),
                        Err(panic) => Poll::Ready(Err(panic)),
                    }
                });
                answer(polled.await.map(guard_body))
            })
        }
    }
}

fn catch<G, T>(enter: fn() -> G, run: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(|| {
        let _entered = enter();
        run()
    }))
}

/// What is in memory cannot panic.
fn guard_body(response: Response) -> Response {
    response.map(|body| match body.is_in_memory() {
        true => body,
        false => Body::new(Guarded(Some(body))),
    })
}

/// A stream that fails where it would panic.
struct Guarded(Option<Body>);

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let inner = &mut self.get_mut().0;
        let Some(body) = inner else {
            return Poll::Ready(None);
        };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(context))) {
            Ok(next) => next,
            Err(panic) => {
                // What it held may panic once more as it is dropped.
                let body = inner.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(body)));
                Poll::Ready(Some(Err(Error::body(
                    HttpError::from_panic(&*panic).into_cause(),
                ))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}
