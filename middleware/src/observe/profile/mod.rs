//! Where a stack spends its time, component by component.

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

/// Measures each component of a stack by itself, and shows the result as a page and as JSON.
///
/// What a component takes is what its call, its future and its body take while they run, less what the components inside
/// it take of that: waiting costs nothing, and work on other threads is not seen. Bytes are those of the bodies that left
/// the component. The numbers of a request come in when its body has ended.
///
/// Wrap a whole stack: every boundary inside it is measured, as far as components show what is inside them (what a
/// closure captured is a part of the closure). A [`Swap`](crate::Swap) inside keeps what it has at that moment. Two
/// readings of the clock, some allocations and a short lock come to each boundary of each request: it is for finding out,
/// not for every day.
///
/// # Order
///
/// Outside of all that is to be measured. [`application`](Profile::application) goes where only those come who may know
/// how the site is built.
///
/// # Security
///
/// The page shows components with their options, routes and statuses; it has nothing from requests.
///
/// # Example
///
/// ```
/// use enfilade_core::{Application, Middleware, Request};
/// use enfilade_middleware::{Compression, Mounts, NotFound, Profile};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade_middleware::Error> {
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
    /// A profile of nothing yet; clones share what is measured.
    pub fn new() -> Self {
        Profile {
            components: Arc::new(ComponentTable::default()),
            timer: Timer::default(),
        }
    }

    /// Sets the timer: it returns the time since any moment and must not run backward.
    ///
    /// By default it is the system's monotonic clock; tests fix it.
    pub fn timer(mut self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.timer = Timer::new(elapsed);
        self
    }

    /// The application that shows what was measured: a page that refreshes itself, and the same as JSON at `/json`.
    #[must_use]
    pub fn application(&self) -> Application {
        Application::from_handler(ProfilePage::new(self.components.clone()))
    }

    /// Forgets what was measured so far.
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
    /// The same stack with a probe around `app` and everything inside it.
    fn observe(
        &self,
        app: Application,
        tree: &Description,
        label: &str,
        parent: Option<&Arc<ProfiledComponent>>,
    ) -> Application {
        let component = self.components.add(tree, label, parent);
        // What is inside is shown and replaced in the same order.
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
