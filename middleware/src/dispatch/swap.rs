//! An application that can be replaced while it serves.

use std::sync::Arc;

use arc_swap::ArcSwap;
use enfilade_core::{Application, Description, Handler, IntoHandler, Reply, Request};

/// An application whose inner application can be replaced while it serves.
///
/// Clones share the inner application: keep a clone to replace it. A request that has started continues with its
/// application, which is dropped when its last request has ended. Neither requests nor a replacement wait.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::Request;
/// use enfilade::middleware::Swap;
/// use enfilade_testing::Client;
///
/// let swap = Swap::new(|_: Request| "winter");
/// let client = Client::new(swap.clone());
/// assert_eq!(client.get("/").send().text(), "winter");
/// swap.set(|_: Request| "summer");
/// assert_eq!(client.get("/").send().text(), "summer");
/// ```
#[derive(Clone, Debug)]
pub struct Swap(Arc<ArcSwap<Application>>);

impl Swap {
    /// Starts with `app`.
    #[must_use]
    pub fn new<M>(app: impl IntoHandler<M>) -> Self {
        Swap(Arc::new(ArcSwap::from_pointee(app.into_application())))
    }

    /// Replaces the inner application; new requests go to `app`.
    pub fn set<M>(&self, app: impl IntoHandler<M>) {
        self.0.store(Arc::new(app.into_application()));
    }

    /// Returns the current inner application.
    #[must_use]
    pub fn current(&self) -> Application {
        Application::clone(&self.0.load())
    }
}

impl Handler for Swap {
    fn call(&self, request: Request) -> Reply {
        self.0.load().call(request)
    }

    fn describe(&self) -> Description {
        Description::new("Swap").around(&self.current())
    }

    /// The result is fixed: it has the current inner application, changed, and no longer follows `set`.
    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        Some(Application::from_handler(Swap::new(change(self.current()))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use enfilade_testing::{Client, laws};

    use super::*;

    #[test]
    fn a_request_that_has_begun_goes_on_with_the_old_one() {
        let (open, opened) = mpsc::channel::<()>();
        let opened = Arc::new(std::sync::Mutex::new(opened));
        let old = Application::new(move |_: Request| {
            let opened = opened.clone();
            async move {
                let _ = opened.lock().unwrap().recv();
                "old"
            }
        });
        let swap = Swap::new(old);
        let reply = swap.call(Request::get("/"));
        swap.set(|_: Request| "new");
        assert_eq!(Client::new(swap.clone()).get("/").send().text(), "new");
        open.send(()).unwrap();
        let response = pollster::block_on(reply);
        assert_eq!(response.body().as_bytes().unwrap(), "old");
        assert_eq!(
            swap.current().describe().name(),
            "closure in a_request_that_has_begun_goes_on_with_the_old_one"
        );
    }

    #[test]
    fn keeps_the_laws() {
        laws::check(|app: Application| Application::new(Swap::new(app)));
    }
}
