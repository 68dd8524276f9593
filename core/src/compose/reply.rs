//! The result of a call: a response, or a future of one.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;

use crate::message::response::IntoResponse;
use crate::message::response::Response;

type BoxFuture = SyncWrapper<Pin<Box<dyn Future<Output = Response> + Send>>>;

/// The result of [`Application::call`](crate::Application::call): a response that is ready, or a future of one.
///
/// Awaiting it returns the [`Response`]. It implements [`IntoFuture`] and deliberately not [`Future`]: otherwise
/// [`Application::new`](crate::Application::new) could not distinguish its forms of closure.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Reply, Request};
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
#[must_use = "a reply that is not awaited or returned responds to nothing"]
pub struct Reply(State);

enum State {
    Ready(Response),
    Pending(BoxFuture),
}

pin_project! {
    /// A future whose output is converted into a response; an `async` block would move that output more often.
    struct PendingResponse<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future<Output: IntoResponse>> Future for PendingResponse<F> {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let response = self.project().future.poll(context);
        response.map(IntoResponse::into_response)
    }
}

impl Reply {
    /// A reply that is ready.
    pub fn new(response: impl IntoResponse) -> Reply {
        Reply(State::Ready(response.into_response()))
    }

    /// A reply that is still pending; costs one allocation.
    pub fn from_future(future: impl Future<Output: IntoResponse> + Send + 'static) -> Reply {
        Reply(State::Pending(SyncWrapper::new(Box::pin(
            PendingResponse { future },
        ))))
    }

    /// Changes the response: at once if it is ready, otherwise when it arrives.
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

    /// Changes the response in place; as [`map`](Reply::map), but without moving it, which matters in a deep stack.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Reply;
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

    /// Continues with the response: at once if it is ready, otherwise when it arrives.
    ///
    /// As [`map`](Reply::map), for a step that may itself have to wait.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Reply, Response};
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

    /// Whether the response is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.0, State::Ready(_))
    }

    /// The response if it is ready, to inspect it: a wrapper with nothing to change passes the reply on.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Reply;
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

    /// The response if it is ready, to change it.
    ///
    /// A wrapper that shares its options with pending replies need not share them with a ready one.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::Reply;
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

    /// The response, if it is ready.
    ///
    /// # Errors
    ///
    /// Returns the reply if it is still pending.
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

/// The return types of an [`around`](crate::around) function: `Reply`, `Response`, or a `Result` of one of them.
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
    /// Panics if it is polled again after it returned its response, as futures may.
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
