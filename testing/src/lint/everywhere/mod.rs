//! A checker at every boundary of a stack.

use enfilade_core::{Application, IntoHandler};

use crate::lint::Finding;
use crate::lint::Lint;

/// Puts a [`Lint`] around every component of a stack, with the names of the components on both sides.
///
/// It panics with the first finding, which names the component at fault: responses are checked from inside out and
/// requests from outside in, so a fault is found first at the boundary of the component that made it.
///
/// Boundaries are found with [`Application::map_inner`](enfilade_core::Application::map_inner). If a component passes
/// other applications to it than its description shows, that is a finding itself ([`Law::Tested`](crate::Law::Tested)),
/// reported by this function and not by a request. Most often a [`Handler`](enfilade_core::Handler) lacks `map_inner`.
/// A component that has neither, such as a closure that captured an application, counts as one component with that
/// application. A [`Lint`] that is in the stack already stays as it is, and is never the component at fault.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Request, around};
/// use enfilade_testing::{Client, lint_all};
/// use std::panic::{AssertUnwindSafe, catch_unwind};
///
/// let app = Application::new(|_: Request| "x")
///     .wrap(around("Hall", Application::call))
///     .wrap(around("Salon", |inner, request| {
///         inner.call(request).map(|mut response| {
///             response.headers_mut().insert("connection", enfilade::http::HeaderValue::from_static("close"));
///             response
///         })
///     }))
///     .wrap(around("Gallery", Application::call));
/// let client = Client::new(lint_all(&app));
///
/// let panic = catch_unwind(AssertUnwindSafe(|| client.get("/").send())).unwrap_err();
/// let message = panic.downcast_ref::<String>().unwrap();
/// assert!(message.starts_with("Salon (inside Lint) broke law 3"), "{message}");
/// ```
#[must_use]
pub fn lint_all<M>(app: impl IntoHandler<M>) -> Application {
    Lint::new().everywhere(app)
}

/// The same, but calls `report` with each finding, and lets the message pass.
///
/// A fault passes all boundaries on its way, and each of them sees it. Only the first reports it: for one request, the
/// same law broken on the same side with the same message is reported once. So if two components make the same fault,
/// the second is reported after the first is fixed. A fault that changes its form on the way (another length, for
/// example) is reported again, for the component that changed it. At most 64 faults of a request are reported.
///
/// The reported findings travel in the request's extensions. If a component makes a new request without them, the
/// boundaries further in do not know the findings from further out.
///
/// To do the same with other options, use [`Lint::everywhere`].
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, IntoResponse, Request, around};
/// use enfilade_testing::{Client, lint_all_with};
/// use std::sync::mpsc;
///
/// fn garden(_: Request) -> impl IntoResponse {
///     ([("etag", "v1")], "Roses")
/// }
///
/// let (sender, findings) = mpsc::channel();
/// let app = Application::new(garden)
///     .wrap(around("Salon", Application::call))
///     .wrap(around("Hall", Application::call));
/// let app = lint_all_with(&app, move |finding| sender.send(finding).unwrap());
/// Client::new(app).get("/").send();
///
/// let finding = findings.recv().unwrap();
/// assert_eq!(finding.component(), "garden");
/// assert_eq!(finding.message(), "the header etag is \"v1\", which is not an entity tag");
/// assert!(findings.recv().is_err(), "the two around it only passed it on");
/// ```
#[must_use]
pub fn lint_all_with<M>(
    app: impl IntoHandler<M>,
    report: impl Fn(Finding) + Send + Sync + 'static,
) -> Application {
    Lint::report(report).everywhere(app)
}

#[cfg(test)]
mod tests;
