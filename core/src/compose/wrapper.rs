//! Wrappers made of options and one function around an application, as most are.

use std::sync::Arc;

use crate::compose::application::{Application, Handler};
use crate::compose::description::Description;
use crate::compose::into_handler::IntoHandler;
use crate::compose::reply::Reply;
use crate::message::request::Request;

/// A component around one application: how it handles a request, and its description.
///
/// The struct holds the options. [`wrapped`] does the rest, the same for all wrappers: it describes the application
/// inside, and lets tools look at the boundaries of a stack ([`Application::map_inner`]).
///
/// ```
/// # use enfilade_core as enfilade;
/// use std::sync::Arc;
///
/// use enfilade::{Application, Description, Middleware, Reply, Request, Wrapper, wrapped};
/// use enfilade::http::HeaderValue;
///
/// /// Adds the name of the server to each response.
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
///
/// A wrapper that waits returns a future, which owns clones of the wrapper and of the application:
///
/// ```
/// # use enfilade_core as enfilade;
/// use std::sync::Arc;
///
/// use enfilade::http::StatusCode;
/// use enfilade::{Application, HttpError, Middleware, Reply, Request, Wrapper, wrapped};
///
/// struct Login {
///     keys: Vec<String>,
/// }
///
/// impl Login {
///     // Stands for a query to a database.
///     async fn knows(&self, key: &str) -> bool {
///         self.keys.iter().any(|known| known == key)
///     }
/// }
///
/// impl Wrapper for Login {
///     fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
///         let (login, inner) = (self.clone(), inner.clone());
///         Reply::from_future(async move {
///             let key = request.headers().get("x-key").and_then(|key| key.to_str().ok());
///             if !login.knows(key.unwrap_or_default()).await {
///                 return Err(HttpError::new(StatusCode::FORBIDDEN));
///             }
///             Ok(inner.call(request).await)
///         })
///     }
/// }
///
/// impl Middleware for Login {
///     fn wrap(self, app: Application) -> Application {
///         wrapped(app, self)
///     }
/// }
///
/// let app = Application::new(|_: Request| "Hello").wrap(Login { keys: vec!["ada".to_owned()] });
/// assert_eq!(pollster::block_on(app.call(Request::get("/"))).status(), 403);
/// let mut request = Request::get("/");
/// request.headers_mut().insert("x-key", "ada".parse().expect("visible ASCII"));
/// assert_eq!(pollster::block_on(app.call(request)).status(), 200);
/// ```
pub trait Wrapper: Send + Sync + 'static {
    /// Responds to a request, with or without calling the application inside.
    ///
    /// Values that outlive the call, such as a body, may keep the wrapper: cloning the `Arc` costs a reference count.
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply;

    /// The name and the options; children are added. By default the short name of the type.
    fn describe(&self) -> Description {
        Description::of::<Self>()
    }
}

/// Puts a [`Wrapper`] around an application.
pub fn wrapped<M>(app: impl IntoHandler<M>, wrapper: impl Wrapper) -> Application {
    wrapped_shared(app.into_application(), Arc::new(wrapper))
}

/// Puts a shared [`Wrapper`] around an application.
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
