//! Wrappers, and reusable lists of wrappers.

use std::fmt;
use std::sync::Arc;

use crate::compose::application::Application;
use crate::compose::into_handler::IntoHandler;

/// A wrapper: takes an application and returns an application.
///
/// A plain function `fn(Application) -> Application` is a middleware. So is a closure of that form, and a [`Pipeline`]
/// of middleware.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware",
    label = "expected a wrapper, a `Pipeline`, or a function from an application to an application",
    note = "a wrapper whose setter returns a `Result` needs `?`: `.wrap(Headers::new().set(\"x\", \"y\")?)`"
)]
pub trait Middleware {
    /// Puts this wrapper around `app`.
    fn wrap(self, app: Application) -> Application;
}

impl Application {
    /// Puts a wrapper around this application.
    ///
    /// # Order
    ///
    /// Each `wrap` goes around the application so far: in `app.wrap(a).wrap(b)` the request reaches `b` first.
    #[must_use]
    pub fn wrap(self, middleware: impl Middleware) -> Application {
        middleware.wrap(self)
    }
}

impl<F: FnOnce(Application) -> Application> Middleware for F {
    fn wrap(self, app: Application) -> Application {
        self(app)
    }
}

/// An ordered list of middleware that is itself a middleware; reuse it across projects.
///
/// # Order
///
/// Read it top down, as the request travels: in `Pipeline::new().with(a).with(b)` the request reaches `a` first.
///
/// # Example
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Middleware, Pipeline, Request, around};
///
/// fn tag(name: &'static str) -> impl Middleware + Clone + Send + Sync + 'static {
///     around(name, move |inner, request| {
///         inner.call(request).map(move |mut response| {
///             response.headers_mut().append("x-through", name.parse().expect("visible ASCII"));
///             response
///         })
///     })
/// }
///
/// let house = Pipeline::new().with(tag("hall")).with(tag("salon"));
/// let app = Application::new(|_: Request| "garden").wrap(house.clone());
/// let other = Application::new(|_: Request| "cellar").wrap(house);
///
/// let response = pollster::block_on(app.call(Request::get("/")));
/// let through: Vec<_> = response.headers().get_all("x-through").iter().collect();
/// assert_eq!(through, ["salon", "hall"]); // the response leaves through the inner room first
/// # assert_eq!(other.describe().name(), "hall");
/// ```
#[derive(Clone, Default)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Pipeline {
    steps: Vec<Arc<dyn Fn(Application) -> Application + Send + Sync>>,
}

impl Pipeline {
    /// Creates an empty list, which leaves an application unchanged.
    pub fn new() -> Self {
        Pipeline::default()
    }

    /// Adds a wrapper inside the wrappers added so far.
    pub fn with<M>(mut self, middleware: M) -> Self
    where
        M: Middleware + Clone + Send + Sync + 'static,
    {
        self.steps
            .push(Arc::new(move |app| middleware.clone().wrap(app)));
        self
    }

    /// Puts all wrappers around an application or a closure, as [`Application::wrap`] does.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, Pipeline, Request, around};
    ///
    /// let app = Pipeline::new().with(around("hall", Application::call)).wrap(|_: Request| "garden");
    /// assert_eq!(app.describe().to_string(), "hall\n└─ closure in main\n");
    /// ```
    #[must_use]
    pub fn wrap<M>(self, app: impl IntoHandler<M>) -> Application {
        let app = app.into_application();
        self.steps.iter().rev().fold(app, |app, step| step(app))
    }
}

impl Middleware for Pipeline {
    fn wrap(self, app: Application) -> Application {
        Pipeline::wrap(self, app)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipeline of {}", self.steps.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::around::around;
    use crate::message::request::Request;

    fn tag(name: &'static str) -> impl Middleware + Clone + Send + Sync + 'static {
        around(name, move |inner, request| {
            inner.call(request).update(move |response| {
                response
                    .headers_mut()
                    .append("x-through", name.parse().unwrap());
            })
        })
    }

    fn through(app: &Application) -> Vec<String> {
        let response = pollster::block_on(app.call(Request::get("/")));
        let values = response.headers().get_all("x-through");
        values
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn wrapping_is_associative() {
        let app = Application::new(|_: Request| "x");
        let one_by_one = app.clone().wrap(tag("a")).wrap(tag("b")).wrap(tag("c"));
        let as_list = app
            .clone()
            .wrap(Pipeline::new().with(tag("c")).with(tag("b")).with(tag("a")));
        let nested = app.wrap(tag("a")).wrap(
            Pipeline::new()
                .with(tag("c"))
                .with(Pipeline::new().with(tag("b"))),
        );
        assert_eq!(through(&one_by_one), ["a", "b", "c"]);
        assert_eq!(through(&as_list), ["a", "b", "c"]);
        assert_eq!(through(&nested), ["a", "b", "c"]);
    }

    #[test]
    fn a_function_is_a_middleware() {
        fn twice(app: Application) -> Application {
            app.wrap(tag("f")).wrap(tag("f"))
        }
        let app = Application::new(|_: Request| "x").wrap(twice);
        assert_eq!(through(&app), ["f", "f"]);
        assert_eq!(
            through(&Application::new(|_: Request| "x").wrap(Pipeline::new().with(twice))),
            ["f", "f"]
        );
    }
}
