//! The one type that everything in a stack is.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::compose::description::Description;
use crate::compose::reply::Reply;
use crate::message::request::Request;
use crate::message::response::IntoResponse;

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
    /// Makes an application of a closure or function; or of a type that implements [`Handler`].
    ///
    /// Three forms of closure are accepted, told apart by what the closure returns:
    ///
    /// - `Fn(Request) -> R` where `R: IntoResponse` runs at once: no future, no allocation.
    /// - `Fn(Request) -> Future<Output: IntoResponse>`, such as `async |..|`-style closures and `async fn`.
    /// - `Fn(Request) -> Reply`, which decides at run time; it is what wrappers use.
    ///
    /// ```
    /// use enfilade_core::{Application, Reply, Request};
    ///
    /// let now = Application::new(|_: Request| "now");
    /// let later = Application::new(|_: Request| async { "later" });
    /// let either = Application::new(move |request: Request| match request.path() {
    ///     "/now" => now.call(request),
    ///     _ => later.call(request),
    /// });
    /// let response = pollster::block_on(either.call(Request::get("/")));
    /// assert_eq!(response.body().as_bytes().unwrap(), "later");
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
    /// A component with anything inside should have it, so that tools can look at the boundary between the two; `None`,
    /// the default, says that there is nothing inside.
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

/// What becomes an application: the three forms of closure, a [`Handler`], and an application itself.
///
/// `M` is a [`marker`] that tells the forms apart, and is always inferred. Components that take applications take
/// this, so that closures can be given to them as they are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an application",
    label = "expected a closure or function that takes an `enfilade::Request`",
    note = "it must be `Send + Sync + 'static` and return something that is `IntoResponse`, a `Send` future of that, or a `Reply`",
    note = "a `Result` is `IntoResponse` if both of its types are: for `?` on any error, return `Result<_, HttpError>`",
    note = "write the parameter's type if it is not inferred: `|request: Request| ...`"
)]
pub trait IntoHandler<M> {
    /// Makes the application.
    fn into_application(self) -> Application;
}

/// Type-level names for what [`Application::new`] takes.
pub mod marker {
    /// A closure that returns something that is `IntoResponse`.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Immediate;
    /// A closure that returns a future.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Future;
    /// A closure that returns a `Reply`.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Reply;
    /// A type that implements `Handler`.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Handler;
    /// An application.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Application;
}

impl IntoHandler<marker::Application> for Application {
    fn into_application(self) -> Application {
        self
    }
}

impl<H: Handler> IntoHandler<marker::Handler> for H {
    fn into_application(self) -> Application {
        Application::from_handler(self)
    }
}

impl<F, R> IntoHandler<marker::Immediate> for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_application(self) -> Application {
        Application::from_handler(Closure::<F, marker::Immediate>::new(self))
    }
}

impl<F, R> IntoHandler<marker::Future> for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    fn into_application(self) -> Application {
        Application::from_handler(Closure::<F, marker::Future>::new(self))
    }
}

impl<F> IntoHandler<marker::Reply> for F
where
    F: Fn(Request) -> Reply + Send + Sync + 'static,
{
    fn into_application(self) -> Application {
        Application::from_handler(Closure::<F, marker::Reply>::new(self))
    }
}

/// A closure as a handler; the marker says which form it has.
struct Closure<F, M> {
    function: F,
    marker: PhantomData<fn() -> M>,
}

impl<F, M> Closure<F, M> {
    fn new(function: F) -> Self {
        Closure {
            function,
            marker: PhantomData,
        }
    }
}

impl<F, R> Handler for Closure<F, marker::Immediate>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn call(&self, request: Request) -> Reply {
        Reply::new((self.function)(request))
    }

    fn describe(&self) -> Description {
        Description::of::<F>()
    }
}

impl<F, R> Handler for Closure<F, marker::Future>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    fn call(&self, request: Request) -> Reply {
        Reply::from_future((self.function)(request))
    }

    fn describe(&self) -> Description {
        Description::of::<F>()
    }
}

impl<F> Handler for Closure<F, marker::Reply>
where
    F: Fn(Request) -> Reply + Send + Sync + 'static,
{
    fn call(&self, request: Request) -> Reply {
        (self.function)(request)
    }

    fn describe(&self) -> Description {
        Description::of::<F>()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

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
