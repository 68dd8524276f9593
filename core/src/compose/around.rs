//! Wrappers written as one function.

use std::fmt;
use std::sync::Arc;

use crate::compose::application::Application;
use crate::compose::description::Description;
use crate::compose::middleware::Middleware;
use crate::compose::reply::{IntoReply, Reply};
use crate::compose::wrapper::{Wrapper, wrapped_shared};
use crate::message::request::Request;
use crate::message::response::IntoResponse;

/// Makes a middleware from a function that gets the wrapped application and the request.
///
/// The function returns a [`Reply`], a [`Response`](crate::Response), or a `Result` of one of them whose error is
/// [`IntoResponse`]. So `?` responds without calling the application. The function is synchronous: for `.await` use
/// [`around_async`].
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Request, around};
///
/// let app = Application::new(|_: Request| "Hello").wrap(around("Polite", |inner, request| {
///     inner.call(request).map(|mut response| {
///         response.headers_mut().insert("x-manners", "good".parse().expect("visible ASCII"));
///         response
///     })
/// }));
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(response.headers()["x-manners"], "good");
/// assert_eq!(app.describe().name(), "Polite");
/// ```
pub fn around<F, R>(name: impl Into<String>, function: F) -> Around<F>
where
    F: Fn(&Application, Request) -> R + Send + Sync + 'static,
    R: IntoReply,
{
    Around(Arc::new(NamedFunction {
        name: name.into(),
        function,
    }))
}

/// Makes a middleware from an async function that gets the wrapped application and the request.
///
/// The function returns any [`IntoResponse`], including a `Result`. It is cloned for each request, so that the future
/// owns the captures: put values that are expensive to clone into an [`Arc`].
///
/// ```
/// # use enfilade_core as enfilade;
/// use std::sync::Arc;
///
/// use enfilade::http::{HeaderValue, StatusCode};
/// use enfilade::{Application, HttpError, Request, around_async};
///
/// struct Accounts;
///
/// impl Accounts {
///     async fn find(&self, key: Option<&HeaderValue>) -> Option<String> {
///         Some(key?.to_str().ok()?.to_owned())
///     }
/// }
///
/// let accounts = Arc::new(Accounts);
/// let app = Application::new(|_: Request| "Hello").wrap(around_async("Account", async move |inner, request| {
///     let account = accounts.find(request.headers().get("x-key")).await;
///     account.ok_or(HttpError::new(StatusCode::UNAUTHORIZED))?;
///     Ok::<_, HttpError>(inner.call(request).await)
/// }));
///
/// // The same in axum:
/// //
/// // async fn account(State(accounts): State<Arc<Accounts>>, request: Request, next: Next) -> Result<Response, AppError> {
/// //     let account = accounts.find(request.headers().get("x-key")).await;
/// //     account.ok_or(AppError::Unauthorized)?;
/// //     Ok(next.run(request).await)
/// // }
/// // let app = app.layer(middleware::from_fn_with_state(accounts, account));
///
/// let mut request = Request::get("/");
/// request.headers_mut().insert("x-key", "ada".parse().expect("visible ASCII"));
/// assert_eq!(pollster::block_on(app.call(request)).status(), 200);
/// assert_eq!(pollster::block_on(app.call(Request::get("/"))).status(), 401);
/// ```
///
/// Each request costs a box for the future and a reference count of the application. [`around`] costs neither, so the
/// two are separate constructors.
pub fn around_async<F, R>(
    name: impl Into<String>,
    function: F,
) -> Around<impl Fn(&Application, Request) -> Reply + Send + Sync + 'static>
where
    F: FnOnce(Application, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    around(name, move |inner: &Application, request: Request| {
        Reply::from_future(function.clone()(inner.clone(), request))
    })
}

/// The middleware that [`around`] and [`around_async`] return.
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Around<F>(Arc<NamedFunction<F>>);

struct NamedFunction<F> {
    name: String,
    function: F,
}

impl<F> Clone for Around<F> {
    fn clone(&self) -> Self {
        Around(self.0.clone())
    }
}

impl<F> fmt::Debug for Around<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Around").field(&self.0.name).finish()
    }
}

impl<F, R> Middleware for Around<F>
where
    F: Fn(&Application, Request) -> R + Send + Sync + 'static,
    R: IntoReply,
{
    fn wrap(self, app: Application) -> Application {
        wrapped_shared(app, self.0)
    }
}

impl<F, R> Wrapper for NamedFunction<F>
where
    F: Fn(&Application, Request) -> R + Send + Sync + 'static,
    R: IntoReply,
{
    #[inline]
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        (self.function)(inner, request).into_reply()
    }

    fn describe(&self) -> Description {
        Description::new(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::message::http_error::HttpError;

    fn hello() -> Application {
        Application::new(|_: Request| "hello")
    }

    fn response(app: &Application, path: &'static str) -> (u16, String) {
        let response = pollster::block_on(app.call(Request::get(path)));
        let body = response.body().as_bytes().expect("a body in memory");
        let text = String::from_utf8_lossy(body).into_owned();
        (response.status().as_u16(), text)
    }

    #[test]
    fn a_function_responds_or_fails_in_place_of_the_application() {
        let app = hello().wrap(around(
            "wall",
            |inner, request| -> Result<Reply, HttpError> {
                let _: u8 = request.path().trim_start_matches('/').parse()?;
                Ok(inner.call(request))
            },
        ));
        assert_eq!(response(&app, "/1"), (200, "hello".into()));
        assert_eq!(response(&app, "/x"), (500, "Internal Server Error".into()));
    }

    #[test]
    fn an_async_function_has_captures_and_waits() {
        let name = String::from("guest");
        let app = hello().wrap(around_async(
            "greet",
            async move |inner, request: Request| {
                std::future::ready(()).await;
                if request.path() == "/out" {
                    return Err(HttpError::new(StatusCode::FORBIDDEN).message(name));
                }
                Ok(inner.call(request).await)
            },
        ));
        for _ in 0..2 {
            assert_eq!(response(&app, "/in"), (200, "hello".into()));
            assert_eq!(response(&app, "/out"), (403, "guest".into()));
        }
        let block = hello().wrap(around_async("block", |inner, request| async move {
            inner.call(request).await
        }));
        assert_eq!(response(&block, "/"), (200, "hello".into()));
    }

    #[test]
    fn an_async_function_is_described_and_looked_through_as_any_other() {
        let app = hello().wrap(around_async(
            "Later",
            async |inner: Application, request| inner.call(request).await,
        ));
        let tree = "Later\n└─ closure in hello\n";
        assert_eq!(app.describe().to_string(), tree);
        let mut seen = 0;
        let changed = app.map_inner(&mut |inner| {
            seen += 1;
            inner
        });
        assert_eq!((seen, changed.describe().to_string().as_str()), (1, tree));
    }
}
