//! Chooses between two applications by a guard.

use enfilade_core::{
    Application, Description, Handler, IntoHandler, IntoResponse, Pass, Reply, Request,
};

use crate::matching::guard::Guard;

/// Calls one application if a [`Guard`] matches the request, otherwise another one.
///
/// Without another one it [passes](Pass): a 404 without a body, which a fallback outside may replace.
///
/// # Order
///
/// It is an application. If the response depends on a request header, add that header to `Vary`; this type changes no
/// response.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Request;
/// use enfilade::http::Method;
/// use enfilade::middleware::{Guard, When};
/// use enfilade_testing::Client;
///
/// let read = Guard::method([Method::GET, Method::HEAD]);
/// let page = |_: Request| "<p>A page";
/// let app = When::new(read.and(Guard::accepts("text/html")), page).otherwise(|_: Request| "{}");
/// let client = Client::new(app);
/// assert_eq!(client.get("/").header("accept", "text/html").send().text(), "<p>A page");
/// assert_eq!(client.get("/").header("accept", "application/json").send().text(), "{}");
/// assert_eq!(client.post("/").send().text(), "{}");
/// ```
#[derive(Clone, Debug)]
pub struct When {
    guard: Guard,
    then: Application,
    otherwise: Option<Application>,
}

impl When {
    /// Calls `then` if the guard matches.
    #[must_use]
    pub fn new<M>(guard: Guard, then: impl IntoHandler<M>) -> Self {
        When {
            guard,
            then: then.into_application(),
            otherwise: None,
        }
    }

    /// Calls `otherwise` if the guard does not match.
    #[must_use]
    pub fn otherwise<M>(mut self, otherwise: impl IntoHandler<M>) -> Self {
        self.otherwise = Some(otherwise.into_application());
        self
    }
}

impl Handler for When {
    fn call(&self, request: Request) -> Reply {
        match (&self.otherwise, self.guard.matches(&request)) {
            (_, true) => self.then.call(request),
            (Some(otherwise), false) => otherwise.call(request),
            (None, false) => Reply::new(Pass.into_response()),
        }
    }

    fn describe(&self) -> Description {
        let when = Description::new("When").child(self.guard.to_string(), self.then.describe());
        self.otherwise
            .iter()
            .fold(when, |when, app| when.child("otherwise", app.describe()))
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let then = change(self.then.clone());
        let otherwise = self.otherwise.clone().map(change);
        Some(Application::from_handler(When {
            guard: self.guard.clone(),
            then,
            otherwise,
        }))
    }
}

#[cfg(test)]
mod tests {
    use enfilade_testing::{Client, Lint, laws};

    use super::*;

    #[test]
    fn without_another_one_it_passes() {
        let when = When::new(
            Guard::new("never", |_| false),
            Application::new(|_: Request| "x"),
        );
        let response = Client::new(Application::new(when).wrap(Lint::new()))
            .get("/")
            .send();
        assert_eq!(response.status(), 404);
        assert!(response.extensions().get::<Pass>().is_some());
    }

    #[test]
    fn keeps_the_laws() {
        laws::check(|app: Application| {
            Application::new(When::new(Guard::new("always", |_| true), app))
        });
    }
}
