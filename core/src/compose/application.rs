//! The one type that everything in a stack is.

use std::fmt;
use std::sync::Arc;

use crate::compose::description::Description;
use crate::compose::into_handler::IntoHandler;
use crate::compose::reply::Reply;
use crate::message::request::Request;

/// A web application: a request in, a reply out.
///
/// Cloning is cheap (a reference count), and a clone is the same application. Routers, fallbacks, compressors and
/// whole stacks are applications too, so any of them can stand wherever this type is asked for.
///
/// ```
/// use enfilade_core::{Application, Request};
///
/// let app = Application::new(|request: Request| format!("You asked for {}", request.path()));
/// let response = pollster::block_on(app.call(Request::get("/garden")));
/// assert_eq!(response.body().as_bytes().unwrap(), "You asked for /garden");
/// ```
#[derive(Clone)]
pub struct Application(Arc<dyn Handler>);

impl Description {
    /// Adds the one application that a wrapper is around.
    #[must_use]
    pub fn around(self, app: &Application) -> Self {
        self.child("", app.describe())
    }
}

impl Application {
    /// Makes an application from a closure or function, or from a type that implements [`Handler`].
    ///
    /// What a closure returns tells three forms apart:
    ///
    /// - `Fn(Request) -> R` where `R: IntoResponse` runs at once: no future, no allocation.
    /// - `FnOnce(Request) -> Future<Output: IntoResponse>`, such as `async |..|`, `|..| async { .. }` and `async fn`.
    /// - `Fn(Request) -> Reply`, which decides at run time.
    ///
    /// ```
    /// use enfilade_core::{Application, Reply, Request};
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
    /// A closure captures what it needs. One that returns a future is cloned for each request, so that the future owns
    /// what it uses: `async move |request: Request| ..` may use captures across `.await`, without a clone by hand. Put
    /// what is not cheap to clone into an [`Arc`].
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use enfilade_core::{Application, HttpError, Request};
    ///
    /// # struct Shelves;
    /// # impl Shelves {
    /// #     async fn find(&self, name: &str) -> Result<String, std::num::ParseIntError> { Ok(format!("on shelf {}", name.parse::<u8>()?)) }
    /// # }
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
    /// Several handlers share one state by a clone each:
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    ///
    /// use enfilade_core::{Application, Request};
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

    /// Makes an application of a type that implements [`Handler`].
    pub fn from_handler(handler: impl Handler) -> Application {
        Application(Arc::new(handler))
    }

    /// Answers one request.
    pub fn call(&self, request: Request) -> Reply {
        self.0.call(request)
    }

    /// Describes the tree of components this application is made of, for people and tools.
    #[must_use]
    pub fn describe(&self) -> Description {
        self.0.describe()
    }

    /// The same application with every application directly inside it replaced by what `change` makes of it.
    ///
    /// It is how a tool gets at the boundaries of a stack that is built already. An application that has nothing inside,
    /// or does not tell, is given back as it is; so are closures.
    ///
    /// ```
    /// use enfilade_core::{Application, Request, around};
    ///
    /// let app = Application::new(|_: Request| "x").wrap(around("a", |inner, request| inner.call(request)));
    /// let seen = app.map_inner(&mut |inner| {
    ///     inner.wrap(around("between", |inner, request| inner.call(request)))
    /// });
    /// assert_eq!(seen.describe().to_string(), "a\n└─ between\n   └─ closure in main\n");
    /// ```
    #[must_use]
    pub fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Application {
        self.0.map_inner(change).unwrap_or_else(|| self.clone())
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Application")
            .field(&self.describe().name())
            .finish()
    }
}

/// What stands behind an [`Application`]; components with a state of their own implement it.
///
/// ```
/// use enfilade_core::{Application, Handler, Reply, Request};
///
/// struct Greeting(&'static str);
///
/// impl Handler for Greeting {
///     fn call(&self, _request: Request) -> Reply {
///         Reply::new(self.0)
///     }
/// }
///
/// let app = Application::from_handler(Greeting("Good morning"));
/// assert_eq!(app.describe().name(), "Greeting");
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn call(&self, request: Request) -> Reply;

    /// Describes this component and what is inside it; the type's short name, with nothing inside, by default.
    fn describe(&self) -> Description {
        Description::of::<Self>()
    }

    /// This component anew, with every application directly inside it replaced by what `change` makes of it.
    ///
    /// It hands out the applications that [`describe`](Handler::describe) shows, in the same order, so that tools can look
    /// at the boundaries; `None`, the default, says that there is nothing inside. A component around one application is
    /// best a [`Wrapper`](crate::Wrapper), which has both already. `lint_all` of the crate `enfilade-testing` finds a
    /// component whose two lists differ.
    fn map_inner(
        &self,
        _change: &mut dyn FnMut(Application) -> Application,
    ) -> Option<Application> {
        None
    }
}

impl<H: Handler> From<H> for Application {
    fn from(handler: H) -> Application {
        Application::from_handler(handler)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::message::response::IntoResponse;

    use super::*;

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
        assert_eq!(text(&app.clone()), text(&app));
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
