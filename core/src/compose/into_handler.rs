//! Conversion into an application.

use crate::compose::application::Application;
use crate::compose::forms::{Build, Component, Responds, marker};

/// Types that become an application: three forms of closure, a `Handler`, and an application itself.
///
/// | Type | Conditions |
/// |---|---|
/// | [`Application`], `&Application` | |
/// | a type with [`Handler`](crate::Handler) | |
/// | `Fn(Request) -> R` | `R: IntoResponse`; the closure is `Send + Sync + 'static` |
/// | `Fn(Request) -> Reply` | the closure is `Send + Sync + 'static` |
/// | `FnOnce(Request) -> R` | `R: Future<Output: IntoResponse> + Send + 'static`; the closure is `Clone + Send + Sync + 'static`, and cloned for each request |
///
/// `M` consists of two types of [`marker`] that distinguish the forms. It is always inferred. Components that take
/// applications take this trait, so that callers can pass closures as they are. See [`Application::new`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an application",
    label = "expected an application, a `Handler`, or a function of one `Request`",
    note = "write a closure with one parameter, by value: `|request: Request| ..` or `async move |request: Request| ..`",
    note = "a `Router` becomes an application by `.build()?`"
)]
pub trait IntoHandler<M> {
    /// Makes the application.
    fn into_application(self) -> Application;
}

impl Application {
    /// Makes an application from a closure or function, or from a type that implements [`Handler`](crate::Handler).
    ///
    /// The return type of a closure selects one of three forms:
    ///
    /// - `Fn(Request) -> R` where `R: IntoResponse` runs at once: no future, no allocation.
    /// - `FnOnce(Request) -> Future<Output: IntoResponse>`, such as `async |..|`, `|..| async { .. }` and `async fn`.
    /// - `Fn(Request) -> Reply`, which chooses between them at run time.
    ///
    /// None of them may block, with `std::thread::sleep` or a synchronous database call, say: it runs on a thread of the
    /// runtime, and other requests on that thread wait meanwhile. Not even a timeout can interrupt it. Put a closure that
    /// blocks into `enfilade::blocking`.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, Reply, Request};
    ///
    /// let now = Application::new(|_: Request| "now");
    /// let later = Application::new(async |_: Request| "later");
    /// let either = Application::new(move |request: Request| match request.path() {
    ///     "/now" => now.call(request),
    ///     _ => later.call(request),
    /// });
    /// let response = pollster::block_on(either.call(Request::get("/")));
    /// assert_eq!(response.body().as_bytes().unwrap(), "later");
    /// ```
    ///
    /// # Shared state
    ///
    /// A closure captures what it needs. A closure that returns a future is cloned for each request, so that the future
    /// owns its captures: `async move |request: Request| ..` may use them across `.await` without an explicit clone.
    /// Put values that are expensive to clone into an [`Arc`](std::sync::Arc).
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use std::sync::Arc;
    ///
    /// use enfilade::{Application, HttpError, Request};
    ///
    /// struct Shelves;
    ///
    /// impl Shelves {
    ///     async fn find(&self, name: &str) -> Result<String, std::num::ParseIntError> {
    ///         Ok(format!("on shelf {}", name.parse::<u8>()?))
    ///     }
    /// }
    ///
    /// let shelves = Arc::new(Shelves);
    /// let app = Application::new(async move |request: Request| {
    ///     let found = shelves.find(request.path().trim_start_matches('/')).await?;
    ///     Ok::<_, HttpError>(found)
    /// });
    ///
    /// // The same in axum:
    /// //
    /// // async fn find(State(shelves): State<Arc<Shelves>>, Path(name): Path<String>) -> Result<String, AppError> {
    /// //     Ok(shelves.find(&name).await?)
    /// // }
    /// // let app = Router::new().route("/{name}", get(find)).with_state(Arc::new(Shelves));
    ///
    /// let response = pollster::block_on(app.call(Request::get("/7")));
    /// assert_eq!(response.body().as_bytes().unwrap(), "on shelf 7");
    /// ```
    ///
    /// To share one state between several handlers, clone it for each:
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use std::sync::{Arc, Mutex};
    ///
    /// use enfilade::{Application, Request};
    ///
    /// let visits = Arc::new(Mutex::new(0));
    /// let enter = Application::new({
    ///     let visits = visits.clone();
    ///     async move |_: Request| *visits.lock().unwrap() += 1
    /// });
    /// let count = Application::new(async move |_: Request| visits.lock().unwrap().to_string());
    /// pollster::block_on(enter.call(Request::get("/")));
    /// let response = pollster::block_on(count.call(Request::get("/")));
    /// assert_eq!(response.body().as_bytes().unwrap(), "1");
    /// ```
    pub fn new<M>(handler: impl IntoHandler<M>) -> Application {
        handler.into_application()
    }
}

impl<T, K, M> IntoHandler<(K, M)> for T
where
    T: Component<K>,
    T::Returned: Responds<M>,
    <T::Returned as Responds<M>>::Form: Build<T>,
{
    fn into_application(self) -> Application {
        <T::Returned as Responds<M>>::Form::build(self)
    }
}

/// Types that become an application or an error: any `IntoHandler`, and an unbuilt router.
///
/// Functions that return an error anyway take this trait: those that serve. `M` is always inferred.
pub trait TryIntoApplication<M> {
    /// The error of the build.
    type Error: Into<crate::BoxError>;

    /// Makes the application.
    ///
    /// # Errors
    ///
    /// If the application is misconfigured.
    fn try_into_application(self) -> Result<Application, Self::Error>;
}

impl<T: IntoHandler<M>, M> TryIntoApplication<marker::Ready<M>> for T {
    type Error = std::convert::Infallible;

    fn try_into_application(self) -> Result<Application, Self::Error> {
        Ok(self.into_application())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::StatusCode;

    use super::*;
    use crate::compose::application::Handler;
    use crate::compose::reply::Reply;
    use crate::message::request::Request;
    use crate::message::response::IntoResponse;

    fn text(app: &Application) -> String {
        let response = pollster::block_on(app.call(Request::get("/")));
        let bytes = response.body().as_bytes().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    async fn asynchronous(_request: Request) -> Result<&'static str, StatusCodeError> {
        Ok("async fn")
    }

    /// An error that chooses its own response.
    struct StatusCodeError;

    impl IntoResponse for StatusCodeError {
        fn into_response(self) -> crate::Response {
            StatusCode::IM_A_TEAPOT.into_response()
        }
    }

    #[test]
    fn one_constructor_takes_the_three_closures_and_functions() {
        assert_eq!(text(&Application::new(|_: Request| "now")), "now");
        assert_eq!(
            text(&Application::new(|_: Request| async { "later" })),
            "later"
        );
        assert_eq!(
            text(&Application::new(async |_: Request| "closure")),
            "closure"
        );
        assert_eq!(
            text(&Application::new(|_: Request| Reply::new("reply"))),
            "reply"
        );
        assert_eq!(text(&Application::new(asynchronous)), "async fn");
        assert_eq!(
            text(&Application::new(|_: Request| (StatusCode::OK, "pair"))),
            "pair"
        );
    }

    #[test]
    fn an_async_closure_uses_what_it_captured() {
        let (shared, owned) = (Arc::new(String::from("shared")), String::from("owned"));
        let app = Application::new(async move |request: Request| {
            std::future::ready(()).await;
            format!("{shared} {owned} {}", request.path())
        });
        assert_eq!(text(&app), "shared owned /");
        assert_eq!(text(&app), "shared owned /", "and again");
    }

    #[test]
    fn a_closure_that_runs_at_once_need_not_be_cloned() {
        let count = std::sync::atomic::AtomicUsize::new(1);
        let add = move |_: Request| count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let app = Application::new(move |request: Request| add(request).to_string());
        assert_eq!((text(&app), text(&app)), ("1".to_owned(), "2".to_owned()));
    }

    #[test]
    fn a_clone_is_the_same_application() {
        let app = Application::new(|_: Request| "same");
        assert_eq!(text(&app.clone()), "same");
        assert_eq!(text(&Application::new(&app)), "same");
        assert_eq!(Application::new(&app).describe(), app.describe());
    }

    #[test]
    fn a_handler_is_described_by_its_short_name() {
        struct Garden;
        impl Handler for Garden {
            fn call(&self, _request: Request) -> Reply {
                Reply::new(())
            }
        }
        assert_eq!(
            Application::from_handler(Garden).describe().name(),
            "Garden"
        );
        assert_eq!(
            Application::new(asynchronous).describe().name(),
            "asynchronous"
        );
        assert_eq!(Application::new(Garden).describe().name(), "Garden");
        assert_eq!(Application::from(Garden).describe().name(), "Garden");
        let closure = Application::new(|_: Request| "x");
        assert_eq!(
            closure.describe().name(),
            "closure in a_handler_is_described_by_its_short_name"
        );
    }
}
