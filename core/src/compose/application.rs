//! The one type that everything in a stack is.

use std::fmt;
use std::sync::Arc;

use crate::compose::description::Description;
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
