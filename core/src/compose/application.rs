//! The one type that a stack is made of.

use std::fmt;
use std::sync::Arc;

use crate::compose::description::Description;
use crate::compose::reply::Reply;
use crate::message::request::Request;

/// A web application: takes a request, returns a reply.
///
/// Cloning is cheap (a reference count), and a clone is the same application. Routers, fallbacks, compressors and whole
/// stacks are applications too, so any of them can be used wherever this type is expected.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Request};
///
/// let app = Application::new(|request: Request| format!("You asked for {}", request.path()));
/// let response = pollster::block_on(app.call(Request::get("/garden")));
/// assert_eq!(response.body().as_bytes().unwrap(), "You asked for /garden");
/// ```
#[derive(Clone)]
pub struct Application(Arc<dyn Handler>);

impl Description {
    /// Adds the wrapped application, as the only child.
    #[must_use]
    pub fn around(self, app: &Application) -> Self {
        self.child("", app.describe())
    }
}

impl Application {
    /// Makes an application from a type that implements [`Handler`].
    pub fn from_handler(handler: impl Handler) -> Application {
        Application(Arc::new(handler))
    }

    /// Handles one request.
    pub fn call(&self, request: Request) -> Reply {
        self.0.call(request)
    }

    /// Describes the tree of components that this application is made of, for people and tools.
    #[must_use]
    pub fn describe(&self) -> Description {
        self.0.describe()
    }

    /// Replaces every application directly inside this one with the result of `change`.
    ///
    /// Tools use it to reach the boundaries of a stack that is built already. An application with nothing inside, or
    /// one that does not show what is inside, is returned unchanged; so is a closure.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, Request, around};
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

/// The trait behind an [`Application`]; components with their own state implement it.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Handler, Reply, Request};
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
    /// Handles one request.
    fn call(&self, request: Request) -> Reply;

    /// Describes this component and its children. By default: the short name of the type, no children.
    fn describe(&self) -> Description {
        Description::of::<Self>()
    }

    /// Rebuilds this component, with every application directly inside it replaced by the result of `change`.
    ///
    /// It passes to `change` the applications that [`describe`](Handler::describe) shows, in the same order, so that
    /// tools can look at the boundaries. The default, `None`, means that there is nothing inside. For a component
    /// around one application, implement [`Wrapper`](crate::Wrapper) instead: it provides both methods. `lint_all` of
    /// the crate `enfilade-testing` reports a component whose two lists differ.
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
