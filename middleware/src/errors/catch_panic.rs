//! Turns panics of an application into responses.

use std::fmt;
use std::sync::Arc;

use enfilade_core::{
    Application, Description, HttpError, IntoResponse, Middleware, Panic, Reply, Request,
    RequestIdValue, Response, Wrapper, wrapped,
};

use crate::errors::catching;

/// Responds with 500 if the application panics, in its call or in its future.
///
/// The response has a fixed text. The panic message, with the [request's ID](RequestIdValue) if there is one, becomes
/// the cause of an [`HttpError`] on the response, for logs and error pages outside. If the body panics, it is too late
/// for a 500: with and without this wrapper the body fails, so that the client notices that it is incomplete.
/// Everything that the application held is dropped in both cases.
///
/// The server itself responds to panics that reach it. With this wrapper, outer wrappers handle the response like any
/// other, with their headers, pages and log lines. A program built with `panic = "abort"` cannot catch panics.
///
/// # Order
///
/// Inside logs, metrics, error pages and header wrappers, so that they see the response, and inside
/// [`RequestId`](crate::RequestId). Outside everything that may panic.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{CatchPanic, Headers};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| request.path()[9..].to_owned());
/// let client = Client::new(app.wrap(CatchPanic::new()).wrap(Headers::new().set("x-house", "enfilade").unwrap()));
/// let response = client.get("/short").send();
/// assert_eq!(response.status(), 500);
/// assert_eq!(response.text(), "Internal Server Error");
/// assert_eq!(response.header("x-house"), Some("enfilade"));
/// ```
#[derive(Clone, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct CatchPanic {
    make_response: Option<Arc<dyn Fn(HttpError) -> Response + Send + Sync>>,
}

impl CatchPanic {
    /// Responds with the fixed text of a 500.
    pub fn new() -> Self {
        CatchPanic::default()
    }

    /// Sets how to make the response from the error, whose [source](HttpError::source) has the panic message.
    ///
    /// By default the error itself is the response. Do not show the panic message to clients.
    pub fn response<R: IntoResponse>(
        mut self,
        response: impl Fn(HttpError) -> R + Send + Sync + 'static,
    ) -> Self {
        self.make_response = Some(Arc::new(move |error| response(error).into_response()));
        self
    }

    fn response_for(&self, panic: Panic) -> Response {
        let error = HttpError::from_panic(panic);
        match &self.make_response {
            Some(make_response) => make_response(error),
            None => error.into_response(),
        }
    }
}

impl Middleware for CatchPanic {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for CatchPanic {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        // Without `response` this copies nothing; cloning the `Arc` would count references.
        let options = CatchPanic::clone(self);
        let id = request.extensions().get::<RequestIdValue>().cloned();
        let finish = move |outcome: Result<Response, Panic>| {
            outcome.unwrap_or_else(|panic| options.response_for(panic.or_request_id(id)))
        };
        catching::call_catching(inner, request, || (), finish)
    }

    fn describe(&self) -> Description {
        Description::new("CatchPanic")
    }
}

impl fmt::Debug for CatchPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchPanic").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use enfilade_testing::{Client, Lint};
    use http::StatusCode;

    use super::*;

    fn client(app: Application) -> Client {
        Client::new(
            app.wrap(Lint::new())
                .wrap(CatchPanic::new())
                .wrap(Lint::new()),
        )
    }

    #[test]
    fn a_panic_in_the_call_and_in_the_future_is_a_500() {
        let call = Application::new(|_: Request| -> &str { panic!("in the call") });
        let future = Application::new(async |_: Request| -> &str {
            let mut is_polled = false;
            std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                match std::mem::replace(&mut is_polled, true) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            std::panic::panic_any(7_u8)
        });
        for (app, cause) in [
            (call, "panicked: in the call"),
            (future, "panicked: with a value that is not text"),
        ] {
            let response = client(app).get("/").send();
            assert_eq!(response.status(), 500);
            assert_eq!(response.text(), "Internal Server Error");
            let error = response.extensions().get::<Arc<HttpError>>().unwrap();
            assert_eq!(error.source().unwrap().to_string(), cause);
        }
    }

    #[test]
    fn the_error_says_which_request_panicked() {
        let id = || RequestIdValue::new("an-id").unwrap();
        let boom = || Application::new(|_: Request| -> &str { panic!("boom") });
        let tagged = Application::new(move |request| id().tag_panic(|| boom().call(request)));
        for (app, is_outside) in [(boom(), true), (tagged, false)] {
            let mut request = Request::get("/");
            if is_outside {
                request.extensions_mut().insert(id());
            }
            let response = client(app).prepared(request).send();
            assert_eq!(response.text(), "Internal Server Error");
            let error = response.extensions().get::<Arc<HttpError>>().unwrap();
            let cause = error.source().unwrap().to_string();
            assert_eq!(cause, "request an-id panicked: boom");
        }
    }

    #[test]
    fn responses_are_unchanged() {
        let app = Application::new(|_: Request| {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                [("x-a", "1")],
                "own page",
            )
        });
        let response = client(app).get("/").send();
        assert_eq!(
            (response.status().as_u16(), response.header("x-a")),
            (500, Some("1"))
        );
        assert_eq!(response.text(), "own page");
    }

    #[test]
    fn the_response_can_be_made() {
        let catch = CatchPanic::new().response(|error: HttpError| {
            assert_eq!(error.status(), 500);
            (StatusCode::BAD_GATEWAY, "{}")
        });
        let app = Application::new(|_: Request| -> &str { panic!("x") }).wrap(catch);
        let response = Client::new(app).get("/").send();
        assert_eq!((response.status().as_u16(), &*response.text()), (502, "{}"));
    }

    #[test]
    fn keeps_the_laws() {
        enfilade_testing::laws::check(CatchPanic::new());
    }
}
