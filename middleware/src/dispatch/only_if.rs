//! Sends some requests through a middleware and lets the others bypass it.

use enfilade_core::{Application, Description, Handler, Middleware, Reply, Request};

use crate::matching::guard::Guard;

/// Sends requests that match a [`Guard`] through a middleware, and all others directly to the application.
///
/// It is a middleware, for `wrap` and `Pipeline`. Both paths lead to the same application, which is not duplicated. In
/// the description the application is inside `OnlyIf`, which shows the middleware as an option.
///
/// # Order
///
/// As for the middleware. Tools that look at the boundaries of a stack ([`Application::map_inner`]) see `OnlyIf` and
/// its middleware as one component: `lint_all` and a profile do not distinguish them, and `doctor` does not see the
/// middleware.
///
/// # Security
///
/// Requests that the guard does not match bypass the middleware. To protect a path and all paths below it, use
/// [`Guard::below`]: `Guard::path("/admin/**")` does not match `/admin`.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Request;
/// use enfilade::middleware::{Guard, Headers, OnlyIf};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let assets = Guard::path("/assets/**")?;
/// let app = enfilade::Application::new(|_: Request| "hello")
///     .wrap(OnlyIf::new(assets, Headers::new().set("x-kind", "asset")?));
/// let client = Client::new(app);
/// assert_eq!(client.get("/assets/a.css").send().header("x-kind"), Some("asset"));
/// assert_eq!(client.get("/").send().header("x-kind"), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct OnlyIf<M> {
    guard: Guard,
    middleware: M,
}

impl<M> OnlyIf<M>
where
    M: Middleware + Clone + Send + Sync + 'static,
{
    /// Sends requests that `guard` matches through `middleware`.
    ///
    /// [`Guard::new`] makes a guard from any test of a request.
    pub fn new(guard: Guard, middleware: M) -> Self {
        OnlyIf { guard, middleware }
    }
}

impl<M> Middleware for OnlyIf<M>
where
    M: Middleware + Clone + Send + Sync + 'static,
{
    fn wrap(self, app: Application) -> Application {
        Application::from_handler(WithBypass {
            through: self.middleware.clone().wrap(app.clone()),
            app,
            options: self,
        })
    }
}

/// Not a `Wrapper`: for another application, the middleware has to be applied again.
struct WithBypass<M> {
    app: Application,
    /// The middleware around the same application.
    through: Application,
    options: OnlyIf<M>,
}

impl<M> Handler for WithBypass<M>
where
    M: Middleware + Clone + Send + Sync + 'static,
{
    fn call(&self, request: Request) -> Reply {
        match self.options.guard.matches(&request) {
            true => self.through.call(request),
            false => self.app.call(request),
        }
    }

    fn describe(&self) -> Description {
        let app = self.app.describe();
        let names = names_around(&self.through.describe(), &app);
        Description::new("OnlyIf")
            .option("guard", &self.options.guard)
            .option("middleware", names)
            .child("", app)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        Some(self.options.clone().wrap(change(self.app.clone())))
    }
}

/// The names of the wrappers around `app`, outermost first, if they show their inner application.
fn names_around(tree: &Description, app: &Description) -> Vec<String> {
    let mut names = Vec::new();
    let mut found = Some(tree);
    while let Some(component) = found.filter(|component| *component != app) {
        names.push(component.name().to_owned());
        found = component.children().map(|(_, child)| child).next();
    }
    names
}

#[cfg(test)]
mod tests {
    use enfilade_core::{Pipeline, around};
    use enfilade_testing::{Client, Lint, laws, lint_all};
    use http::HeaderValue;

    use super::*;
    use crate::protect::maintenance::Maintenance;

    fn hello() -> Application {
        Application::new(|_: Request| "hello")
    }

    fn mark(name: &'static str) -> impl Middleware + Clone + Send + Sync + 'static {
        around(name, move |inner: &Application, request| {
            inner.call(request).update(move |response| {
                let value = HeaderValue::from_static(name);
                response.headers_mut().append("x-through", value);
            })
        })
    }

    fn is_post() -> Guard {
        Guard::method([http::Method::POST])
    }

    fn through(client: &Client, method: http::Method) -> Vec<String> {
        let response = client.request(method, "/").send();
        let values = response.headers().get_all("x-through");
        let values = values.iter().map(|value| value.to_str().unwrap());
        values.map(str::to_owned).collect()
    }

    #[test]
    fn only_requests_that_match_go_through() {
        let house = Pipeline::new()
            .with(OnlyIf::new(is_post(), mark("post")))
            .with(mark("all"));
        let app = Lint::new().wrap(hello().wrap(Lint::new()).wrap(house));
        let client = Client::new(app);
        assert_eq!(through(&client, http::Method::POST), ["all", "post"]);
        assert_eq!(through(&client, http::Method::GET), ["all"]);
    }

    #[test]
    fn the_application_is_shown_and_changed_once() {
        let both = Pipeline::new().with(mark("a")).with(mark("b"));
        let app = hello().wrap(OnlyIf::new(is_post(), both));
        let tree = "OnlyIf (guard: POST, middleware: [a, b])\n└─ closure in hello\n";
        assert_eq!(app.describe().to_string(), tree);
        let mut changed = 0;
        let app = app.map_inner(&mut |inner| {
            changed += 1;
            inner.wrap(mark("inside"))
        });
        assert_eq!(changed, 1);
        let client = Client::new(lint_all(&app));
        assert_eq!(through(&client, http::Method::POST), ["inside", "b", "a"]);
        assert_eq!(through(&client, http::Method::GET), ["inside"]);
    }

    #[test]
    fn the_state_of_the_middleware_is_one_whatever_is_changed() {
        let maintenance = Maintenance::new();
        let switch = maintenance.switch();
        let app = hello().wrap(OnlyIf::new(is_post(), maintenance));
        let client = Client::new(app.map_inner(&mut |inner| inner));
        switch.close();
        assert_eq!(client.post("/").send().status(), 503);
        assert_eq!(client.get("/").send().text(), "hello");
    }

    #[test]
    fn a_middleware_that_shows_nothing_is_named_by_what_it_made() {
        let replaced = |_: Application| Application::from_handler(Other);
        let tree = hello().wrap(OnlyIf::new(is_post(), replaced)).describe();
        let expected = "OnlyIf (guard: POST, middleware: [Other])\n└─ closure in hello\n";
        assert_eq!(tree.to_string(), expected);
    }

    struct Other;

    impl Handler for Other {
        fn call(&self, _: Request) -> Reply {
            Reply::new("other")
        }
    }

    #[test]
    fn keeps_the_laws() {
        laws::check(OnlyIf::new(is_post(), mark("post")));
    }

    #[test]
    fn a_guard_that_panics_costs_that_request() {
        let guard = Guard::new("odd", |request| match request.path() {
            "/panic" => panic!("no response"),
            path => path == "/through",
        });
        let app = hello().wrap(OnlyIf::new(guard, mark("odd")));
        let app = app.wrap(crate::errors::catch_panic::CatchPanic::new());
        let client = Client::new(app.wrap(Lint::new()));
        for (path, status, through) in [
            ("/panic", 500, None),
            ("/through", 200, Some("odd")),
            ("/", 200, None),
        ] {
            let response = client.get(path).send();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.header("x-through"), through, "{path}");
        }
    }
}
