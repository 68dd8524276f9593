//! What a call gives back: a response, or the promise of one.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;

use crate::message::response::IntoResponse;
use crate::message::response::Response;

type BoxFuture = SyncWrapper<Pin<Box<dyn Future<Output = Response> + Send>>>;

/// What [`Application::call`](crate::Application::call) gives back: a response now, or a future of one.
///
/// Awaiting it gives the [`Response`]. It implements [`IntoFuture`] and deliberately not [`Future`], which keeps the
/// closures that [`Application::new`](crate::Application::new) takes apart.
///
/// ```
/// use enfilade_core::{Application, Reply, Request};
///
/// let now = Reply::new("ready").map(|mut response| {
///     response.headers_mut().insert("x-kind", "sync".parse().expect("visible ASCII"));
///     response
/// });
/// assert!(now.is_ready());
///
/// let later = Reply::from_future(async { "pending" });
/// assert!(!later.is_ready());
/// assert_eq!(pollster::block_on(later).status(), 200);
/// ```
#[must_use = "a reply that is not awaited or returned answers nothing"]
pub struct Reply(State);

enum State {
    Ready(Response),
    Pending(BoxFuture),
}

pin_project! {
    /// A future of what becomes a response; an `async` block would move that more often.
    struct Answer<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future<Output: IntoResponse>> Future for Answer<F> {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let answer = self.project().future.poll(context);
        answer.map(IntoResponse::into_response)
    }
}

impl Reply {
    /// A reply that is ready now.
    pub fn new(response: impl IntoResponse) -> Reply {
        Reply(State::Ready(response.into_response()))
    }

    /// A reply that is still being worked on; costs one allocation.
    pub fn from_future(future: impl Future<Output: IntoResponse> + Send + 'static) -> Reply {
        Reply(State::Pending(SyncWrapper::new(Box::pin(Answer {
            future,
        }))))
    }

    /// Changes the response: at once where it is ready, when it arrives otherwise.
    ///
    /// Only a pending reply costs an allocation, so a synchronous wrapper allocates nothing, however deep the stack.
    pub fn map(self, change: impl FnOnce(Response) -> Response + Send + 'static) -> Reply {
        match self.0 {
            State::Ready(response) => Reply(State::Ready(change(response))),
            State::Pending(future) => {
                let future = future.into_inner();
                Reply(State::Pending(SyncWrapper::new(Box::pin(async move {
                    change(future.await)
                }))))
            }
        }
    }

    /// Changes the response where it is; as [`map`](Reply::map), but without moving it, which counts in a deep stack.
    ///
    /// ```
    /// use enfilade_core::Reply;
    ///
    /// let reply = Reply::new("a house").update(|response| {
    ///     response.headers_mut().insert("x-rooms", 7.into());
    /// });
    /// assert_eq!(pollster::block_on(reply).headers()["x-rooms"], "7");
    /// ```
    pub fn update(mut self, change: impl FnOnce(&mut Response) + Send + 'static) -> Reply {
        if let State::Ready(response) = &mut self.0 {
            change(response);
            return self;
        }
        self.map(move |mut response| {
            change(&mut response);
            response
        })
    }

    /// Goes on with the response: at once where it is ready, when it arrives otherwise.
    ///
    /// As [`map`](Reply::map), for a step that may have to wait itself.
    ///
    /// ```
    /// use enfilade_core::{Reply, Response};
    ///
    /// let reply = Reply::new("now").then(|response: Response| Reply::from_future(async { response }));
    /// assert!(!reply.is_ready());
    /// assert_eq!(pollster::block_on(reply).body().as_bytes().unwrap(), "now");
    /// ```
    pub fn then(self, next: impl FnOnce(Response) -> Reply + Send + 'static) -> Reply {
        match self.0 {
            State::Ready(response) => next(response),
            State::Pending(future) => {
                let future = future.into_inner();
                Reply(State::Pending(SyncWrapper::new(Box::pin(async move {
                    next(future.await).await
                }))))
            }
        }
    }

    /// Whether the response is there already.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.0, State::Ready(_))
    }

    /// The response where it is ready, to look at it: a wrapper that has nothing to change passes the reply on.
    ///
    /// ```
    /// use enfilade_core::Reply;
    ///
    /// assert_eq!(Reply::new("now").as_ready().unwrap().status(), 200);
    /// assert!(Reply::from_future(async { "later" }).as_ready().is_none());
    /// ```
    #[must_use]
    pub fn as_ready(&self) -> Option<&Response> {
        match &self.0 {
            State::Ready(response) => Some(response),
            State::Pending(_) => None,
        }
    }

    /// The response where it is ready, to change it: a wrapper that shares its options with pending replies need not
    /// share them with this one.
    ///
    /// ```
    /// use enfilade_core::Reply;
    ///
    /// let mut reply = Reply::new("now");
    /// reply.as_ready_mut().unwrap().headers_mut().insert("x-rooms", 7.into());
    /// assert_eq!(reply.as_ready().unwrap().headers()["x-rooms"], "7");
    /// ```
    #[must_use]
    pub fn as_ready_mut(&mut self) -> Option<&mut Response> {
        match &mut self.0 {
            State::Ready(response) => Some(response),
            State::Pending(_) => None,
        }
    }

    /// The response where it is ready.
    ///
    /// # Errors
    ///
    /// Gives the reply back where it is still pending.
    #[expect(
        clippy::result_large_err,
        reason = "both sides are the value itself, passed on"
    )]
    pub fn try_into_response(self) -> Result<Response, Reply> {
        match self.0 {
            State::Ready(response) => Ok(response),
            State::Pending(_) => Err(self),
        }
    }
}

/// What an [`around`](crate::around) function returns: a [`Reply`], a [`Response`], or a `Result` of one of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Reply`",
    label = "an `around` function returns `inner.call(request)`, perhaps changed, or a `Result<Reply, E>` with `E: IntoResponse`",
    note = "to use `.await`, write `around_async(name, async move |inner, request| ..)`, whose `inner` may be held across it",
    note = "to respond without the application, write `Reply::new(..)`"
)]
pub trait IntoReply {
    /// Makes the reply.
    fn into_reply(self) -> Reply;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Reply {
        self
    }
}

impl IntoReply for Response {
    fn into_reply(self) -> Reply {
        self.into()
    }
}

impl<T: IntoReply, E: IntoResponse> IntoReply for Result<T, E> {
    fn into_reply(self) -> Reply {
        self.map_or_else(Reply::new, IntoReply::into_reply)
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Reply {
        Reply(State::Ready(response))
    }
}

impl IntoFuture for Reply {
    type Output = Response;
    type IntoFuture = ReplyFuture;

    fn into_future(self) -> ReplyFuture {
        ReplyFuture(match self.0 {
            State::Ready(response) => FutureState::Ready(Some(response)),
            State::Pending(future) => FutureState::Pending(future),
        })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Ready(response) => f.debug_tuple("Ready").field(response).finish(),
            State::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// The future of a [`Reply`].
pub struct ReplyFuture(FutureState);

enum FutureState {
    Ready(Option<Response>),
    Pending(BoxFuture),
}

impl Future for ReplyFuture {
    type Output = Response;

    /// # Panics
    ///
    /// Panics where it is polled again after it gave its response, as futures may.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        match &mut self.0 {
            FutureState::Ready(response) => {
                Poll::Ready(response.take().expect("not polled after it was ready"))
            }
            FutureState::Pending(future) => future.get_mut().as_mut().poll(context),
        }
    }
}

impl fmt::Debug for ReplyFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyFuture")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_changes_ready_and_pending_replies() {
        fn teapot(mut response: Response) -> Response {
            *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
            response
        }
        let ready = Reply::new("x").map(teapot);
        assert!(ready.is_ready());
        assert_eq!(pollster::block_on(ready).status(), 418);
        let pending = Reply::from_future(async { "x" }).map(teapot);
        assert!(
            pending
                .try_into_response()
                .is_err_and(|reply| pollster::block_on(reply).status() == 418)
        );
    }

    #[test]
    fn a_reply_can_cross_threads_and_be_shared() {
        fn is_send_and_sync<T: Send + Sync>() {}
        is_send_and_sync::<Reply>();
        is_send_and_sync::<ReplyFuture>();
        is_send_and_sync::<crate::message::request::Request>();
    }
}
