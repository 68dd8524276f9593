//! Wrappers that are options and one function around an application, as most are.

use std::sync::Arc;

use crate::compose::application::{Application, Handler};
use crate::compose::description::Description;
use crate::compose::into_handler::IntoHandler;
use crate::compose::reply::Reply;
use crate::message::request::Request;

/// A component around one application: what it does with a request, and what it is called.
///
/// The struct is the options. [`wrapped`] does the rest, for all wrappers alike: the description of what is inside, and
/// the door for tools that look at the boundaries of a stack ([`Application::map_inner`]).
///
/// ```
/// use std::sync::Arc;
///
/// use enfilade_core::{Application, Description, Middleware, Reply, Request, Wrapper, wrapped};
/// use http::HeaderValue;
///
/// /// Says on each response who served it.
/// struct ServedBy(HeaderValue);
///
/// impl Wrapper for ServedBy {
///     fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
///         let name = self.0.clone();
///         inner.call(request).update(move |response| {
///             response.headers_mut().insert("x-served-by", name);
///         })
///     }
///
///     fn describe(&self) -> Description {
///         Description::new("ServedBy").option("name", self.0.to_str().unwrap_or_default())
///     }
/// }
///
/// impl Middleware for ServedBy {
///     fn wrap(self, app: Application) -> Application {
///         wrapped(app, self)
///     }
/// }
///
/// let app = Application::new(|_: Request| "Hello").wrap(ServedBy(HeaderValue::from_static("house")));
/// let response = pollster::block_on(app.call(Request::get("/")));
/// assert_eq!(response.headers()["x-served-by"], "house");
/// assert!(app.describe().to_string().starts_with("ServedBy (name: house)\n└─ closure"));
/// ```
pub trait Wrapper: Send + Sync + 'static {
    /// Responds to a request, by calling the application inside or without it.
    ///
    /// What outlives the call, such as a body, may keep the wrapper: a clone of the `Arc` is a count.
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply;

    /// Its name and options; what is inside is added. By default the short name of the type.
    fn describe(&self) -> Description {
        Description::of::<Self>()
    }
}

/// Puts a [`Wrapper`] around an application.
pub fn wrapped<M>(app: impl IntoHandler<M>, wrapper: impl Wrapper) -> Application {
    wrapped_shared(app.into_application(), Arc::new(wrapper))
}

/// The same with a wrapper that is shared.
pub(super) fn wrapped_shared<W: Wrapper>(app: Application, wrapper: Arc<W>) -> Application {
    Application::from_handler(Wrapped { app, wrapper })
}

struct Wrapped<W> {
    app: Application,
    wrapper: Arc<W>,
}

impl<W: Wrapper> Handler for Wrapped<W> {
    #[inline]
    fn call(&self, request: Request) -> Reply {
        self.wrapper.call(&self.app, request)
    }

    fn describe(&self) -> Description {
        self.wrapper.describe().around(&self.app)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let app = change(self.app.clone());
        Some(wrapped_shared(app, self.wrapper.clone()))
    }
}
