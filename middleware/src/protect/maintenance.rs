//! Closes a site for maintenance.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use enfilade_core::headers::retry_after;
use enfilade_core::{
    Application, Description, Handler, HttpError, IntoHandler, IntoResponse, Middleware,
    OptionValue, Reply, Request, Response,
};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::matching::guard::Guard;

/// Returns 503 while a site is closed; can be switched while it serves.
///
/// It starts open. [`switch`](Maintenance::switch) returns a handle that closes and opens it, from any thread and at
/// once. Requests in progress are completed. Requests that an [`allow`](Maintenance::allow) guard matches reach the
/// application as usual.
///
/// # Order
///
/// Inside logs, outside everything that may be down. If a guard depends on the client's address, inside a
/// [`ProxyFix`](crate::ProxyFix).
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use std::time::Duration;
///
/// use enfilade::middleware::{Guard, Maintenance};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let health = Guard::new("health", |request: &Request| request.path() == "/health");
/// let maintenance = Maintenance::new().retry_after(Duration::from_secs(600)).allow(health);
/// let switch = maintenance.switch();
/// let client = Client::new(Application::new(|_: Request| "open").wrap(maintenance));
/// assert_eq!(client.get("/").send().text(), "open");
///
/// switch.close();
/// let closed = client.get("/").send();
/// assert_eq!((closed.status().as_u16(), closed.header("retry-after")), (503, Some("600")));
/// assert_eq!(client.get("/health").send().text(), "open");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Maintenance {
    switch: MaintenanceSwitch,
    retry_after: Option<HeaderValue>,
    allowed: Vec<Guard>,
    page: Option<Application>,
}

/// Closes and opens a [`Maintenance`]; clones are the same switch.
#[derive(Clone, Default)]
pub struct MaintenanceSwitch(Arc<AtomicBool>);

impl MaintenanceSwitch {
    /// Closes the site: new requests get a 503.
    pub fn close(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Opens the site again.
    pub fn open(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Returns whether the site is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for MaintenanceSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_closed() { "closed" } else { "open" })
    }
}

impl Maintenance {
    /// Starts open; while closed, responds with the standard text of a 503.
    pub fn new() -> Self {
        Maintenance {
            switch: MaintenanceSwitch::default(),
            retry_after: None,
            allowed: Vec::new(),
            page: None,
        }
    }

    /// Returns the handle that closes and opens the site.
    #[must_use]
    pub fn switch(&self) -> MaintenanceSwitch {
        self.switch.clone()
    }

    /// Sets `Retry-After`, in whole seconds, rounded up; not sent by default.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(retry_after(delay));
        self
    }

    /// Lets requests that the guard matches pass while closed; call it again for more guards.
    pub fn allow(mut self, guard: Guard) -> Self {
        self.allowed.push(guard);
        self
    }

    /// Uses the headers and the body of this application's response instead of the standard text; the status stays 503.
    pub fn page<M>(mut self, page: impl IntoHandler<M>) -> Self {
        self.page = Some(page.into_application());
        self
    }

    /// Makes a 503 of a response, and adds `Retry-After`.
    fn closed(&self, mut response: Response) -> Response {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        if let Some(seconds) = &self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.clone());
        }
        response
    }
}

impl Default for Maintenance {
    fn default() -> Self {
        Maintenance::new()
    }
}

impl Middleware for Maintenance {
    fn wrap(self, app: Application) -> Application {
        Application::from_handler(WithMaintenance { app, options: self })
    }
}

struct WithMaintenance {
    app: Application,
    options: Maintenance,
}

impl Handler for WithMaintenance {
    fn call(&self, request: Request) -> Reply {
        let options = &self.options;
        if !options.switch.is_closed()
            || options.allowed.iter().any(|guard| guard.matches(&request))
        {
            return self.app.call(request);
        }
        match &options.page {
            Some(page) => {
                let options = options.clone();
                page.call(request)
                    .map(move |response| options.closed(response))
            }
            None => {
                let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE);
                let error = error.caused_by("the site is closed for maintenance");
                options.closed(error.into_response()).into()
            }
        }
    }

    fn describe(&self) -> Description {
        let guards = self.options.allowed.iter().map(OptionValue::from);
        let tree = Description::new("Maintenance")
            .option(
                "now",
                OptionValue::opaque(format!("{:?}", self.options.switch)),
            )
            .option("allow", guards.collect::<OptionValue>())
            .around(&self.app);
        match &self.options.page {
            Some(page) => tree.child("closed", page.describe()),
            None => tree,
        }
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let mut options = self.options.clone();
        let app = change(self.app.clone());
        options.page = options.page.map(change);
        Some(options.wrap(app))
    }
}

#[cfg(test)]
mod tests {
    use enfilade_testing::{Client, Lint};
    use http::Method;

    use super::*;

    fn client(maintenance: Maintenance) -> Client {
        let app = Application::new(|_: Request| "open").wrap(Lint::new());
        Client::new(app.wrap(maintenance).wrap(Lint::new()))
    }

    #[test]
    fn it_opens_and_closes_while_it_serves() {
        let maintenance = Maintenance::new();
        let switch = maintenance.switch();
        let client = client(maintenance);
        for is_closed in [false, true, false] {
            match is_closed {
                true => switch.close(),
                false => switch.open(),
            }
            let response = client.get("/").send();
            let expected = if is_closed {
                (503, "Service Unavailable")
            } else {
                (200, "open")
            };
            assert_eq!((response.status().as_u16(), &*response.text()), expected);
            assert_eq!(response.header("retry-after"), None);
        }
    }

    #[test]
    fn some_are_let_through_and_the_page_is_ones_own() {
        let page = Application::new(|_: Request| ([("x-page", "1")], "<p>Back soon"));
        let maintenance = Maintenance::new()
            .retry_after(Duration::from_secs(60))
            .allow(Guard::method([Method::OPTIONS]))
            .allow(Guard::new("health", |request: &Request| {
                request.path() == "/in"
            }))
            .page(page.wrap(Lint::new()));
        maintenance.switch().close();
        let client = client(maintenance);
        assert_eq!(client.get("/in").send().text(), "open");
        assert_eq!(client.request(Method::OPTIONS, "/").send().text(), "open");
        let closed = client.get("/").send();
        assert_eq!(
            (closed.status().as_u16(), &*closed.text()),
            (503, "<p>Back soon")
        );
        assert_eq!(closed.header("retry-after"), Some("60"));
        assert_eq!(closed.header("x-page"), Some("1"));
    }

    #[test]
    fn keeps_the_laws() {
        enfilade_testing::laws::check(Maintenance::new());
    }
}
