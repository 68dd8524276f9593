//! Measures the time of each component of a stack.

mod page;
mod probe;
mod report;
mod stats;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{Application, Description, Middleware};

use self::page::ProfilePage;
use self::probe::Probe;
use self::stats::{ComponentTable, ProfiledComponent};
use crate::shared::monotonic::Timer;

/// Measures each component of a stack, and shows the result as a page and as JSON.
///
/// The time of a component is the running time of its call, its future and its body, without the time of the components
/// inside it. Waiting does not count, and work on other threads is not seen. Bytes are those of the bodies that left
/// the component. A request is added when its body has ended.
///
/// Wrap a whole stack: every boundary inside it is measured, if components show their inner applications (an
/// application that a closure captured is part of the closure). A [`Swap`](crate::Swap) inside is fixed to its current
/// application. Each boundary of each request costs two clock readings, some allocations and a short lock: use it to
/// investigate, not permanently.
///
/// # Order
///
/// Outside everything to measure. Mount [`application`](Profile::application) where only people who may know the
/// structure of the site can reach it.
///
/// # Security
///
/// The page shows components with their options, routes and statuses; it shows nothing from requests.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Compression, Mounts, NotFound, Profile};
/// use enfilade::{Application, Middleware, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let profile = Profile::new();
/// let site = Application::new(|_: Request| "la ".repeat(1_000))
///     .wrap(Compression::new())
///     .wrap(profile.clone());
/// let app = Mounts::new().at("/profile", profile.application())?.otherwise(site);
///
/// let client = Client::new(Application::new(app));
/// client.get("/").header("accept-encoding", "gzip").send();
/// let page = client.get("/profile").send();
/// assert!(page.text().contains("Compression"));
/// let json: serde_json::Value = serde_json::from_str(&client.get("/profile/json").send().text()).unwrap();
/// assert_eq!(json["components"][0]["name"], "Compression");
/// assert_eq!(json["components"][0]["calls"], 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Profile {
    components: Arc<ComponentTable>,
    timer: Timer,
}

impl Profile {
    /// Starts an empty profile; clones share the measurements.
    pub fn new() -> Self {
        Profile {
            components: Arc::new(ComponentTable::default()),
            timer: Timer::default(),
        }
    }

    /// Sets the timer, which returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests use a fixed one.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    /// Returns the application with the results: a page that refreshes itself, and the same as JSON at `/json`.
    #[must_use]
    pub fn application(&self) -> Application {
        Application::from_handler(ProfilePage::new(self.components.clone()))
    }

    /// Clears the measurements.
    pub fn reset(&self) {
        self.components.reset();
    }
}

impl Default for Profile {
    fn default() -> Self {
        Profile::new()
    }
}

impl Middleware for Profile {
    fn wrap(self, app: Application) -> Application {
        let tree = app.describe();
        self.observe(app, &tree, "", None)
    }
}

impl Profile {
    /// Returns the same stack with a probe around `app` and everything inside it.
    fn observe(
        &self,
        app: Application,
        tree: &Description,
        label: &str,
        parent: Option<&Arc<ProfiledComponent>>,
    ) -> Application {
        let component = self.components.add(tree, label, parent);
        // Inner applications are described and replaced in the same order.
        let mut children = tree.children();
        let app = app.map_inner(&mut |inner| {
            let own;
            let (label, tree) = match children.next() {
                Some(child) => child,
                None => {
                    own = inner.describe();
                    ("", &own)
                }
            };
            self.observe(inner, tree, label, Some(&component))
        });
        Application::from_handler(Probe::new(app, component, self.timer.clone()))
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("components", &self.components.all().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
