//! Runs a tower service as an application.

use std::any::type_name;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::{
    Application, Body, BoxError, Description, Handler, HttpError, IntoResponse, Reply, Request,
    Response,
};
use http::StatusCode;
use tower_service::Service;

use super::service_upgrade::ServiceUpgrade;

/// Makes an application of a service, such as an axum router; [`FromService`] has options.
///
/// The service gets the canonical path after the mounts, as code expects that does not know about mounts.
///
/// On a tokio runtime, a service of hyper or axum can upgrade to another protocol. Its end of the connection is a pipe.
/// If one side closes, the other can go on; the connection ends when both have closed or the service drops its end.
///
/// ```
/// use enfilade::{Application, Request, tower};
///
/// let router = axum::Router::new().route("/hello", axum::routing::get(async || "Hello from axum"));
/// let app = tower::application(router);
/// let response = enfilade_testing::Client::new(app).get("/hello").send();
/// assert_eq!(response.text(), "Hello from axum");
/// ```
pub fn application<S, B>(service: S) -> Application
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    FromService::new(service).into_application()
}

/// A service as an application, with options.
///
/// Each request goes to its own clone of the service, once that clone is ready.
///
/// If the service returns an error, the response is a 500 with a fixed text. The error is its
/// [source](HttpError::source), for the log. [`on_error`](FromService::on_error) changes the response.
#[derive(Clone)]
#[must_use = "a service is not an application yet: call `into_application`"]
pub struct FromService<S, E> {
    service: S,
    on_error: Arc<dyn Fn(E) -> HttpError + Send + Sync>,
    has_raw_target: bool,
}

impl<S, E: Into<BoxError>> FromService<S, E> {
    /// Makes an application of a service, with a 500 for its errors.
    pub fn new<B>(service: S) -> FromService<S, E>
    where
        S: Service<http::Request<Body>, Response = http::Response<B>, Error = E>,
    {
        FromService {
            service,
            on_error: Arc::new(|error| {
                HttpError::new(StatusCode::INTERNAL_SERVER_ERROR).caused_by(error)
            }),
            has_raw_target: false,
        }
    }
}

impl<S, E> FromService<S, E> {
    /// Sets the response to an error of the service, such as a 503 if it sheds load; a 500 by default.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use enfilade::{HttpError, tower};
    ///
    /// let router: axum::Router = axum::Router::new();
    /// let busy = |error: Infallible| HttpError::new(http::StatusCode::SERVICE_UNAVAILABLE).caused_by(error);
    /// let app = tower::FromService::new(router).on_error(busy).into_application();
    /// # assert_eq!(enfilade_testing::Client::new(app).get("/").send().status(), 404);
    /// ```
    pub fn on_error(
        mut self,
        on_error: impl Fn(E) -> HttpError + Send + Sync + 'static,
    ) -> FromService<S, E> {
        self.on_error = Arc::new(on_error);
        self
    }

    /// Passes the target to the service as the client sent it, not the canonical path after the mounts.
    ///
    /// Use it for a service that signs or forwards what it received. Prefixes of mounts stay in its path.
    ///
    /// # Security
    ///
    /// A guard outside reads the canonical path: `/public/%2e%2e/admin` is `/admin` to the guard, and may be another
    /// path to a service that parses paths itself. Do not guard such a service by its path.
    pub fn insecure_raw_target(mut self) -> Self {
        self.has_raw_target = true;
        self
    }

    /// Makes the application.
    pub fn into_application<B>(self) -> Application
    where
        S: Service<http::Request<Body>, Response = http::Response<B>, Error = E>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        E: 'static,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Application::from_handler(ServiceHandler {
            name: short_name::<S>(),
            call: move |request| self.call(request),
        })
    }

    fn call<B>(&self, request: Request) -> Reply
    where
        S: Service<http::Request<Body>, Response = http::Response<B>, Error = E>,
        S: Clone + Send + 'static,
        S::Future: Send,
        E: 'static,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let service = self.service.clone();
        let on_error = self.on_error.clone();
        let received = self.has_raw_target.then(|| request.uri().clone());
        let upgrade = ServiceUpgrade::of(&request);
        Reply::from_future(async move {
            let mut request = request.into_http();
            if let Some(received) = received {
                *request.uri_mut() = received;
            }
            let pipe = match &upgrade {
                Some(upgrade) => upgrade.offer(&mut request).await,
                None => None,
            };
            let response = match ask(service, request).await {
                Ok(response) => response,
                Err(error) => return on_error(error).into_response(),
            };
            match (upgrade, pipe) {
                (Some(upgrade), Some(pipe)) => upgrade.connect(pipe, response),
                _ => response,
            }
        })
    }
}

/// Calls the same clone that became ready, because readiness may be a permit that the clone holds.
async fn ask<S, B>(mut service: S, request: http::Request<Body>) -> Result<Response, S::Error>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    poll_fn(|context| service.poll_ready(context)).await?;
    Ok(service.call(request).await?.map(Body::new))
}

/// Returns the name of a type without its path and parameters.
pub(super) fn short_name<T>() -> &'static str {
    let name = type_name::<T>();
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

impl<S, E> fmt::Debug for FromService<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromService")
            .field(&short_name::<S>())
            .finish()
    }
}

/// A handler whose type does not depend on the service's body type.
struct ServiceHandler<C> {
    name: &'static str,
    call: C,
}

impl<C> Handler for ServiceHandler<C>
where
    C: Fn(Request) -> Reply + Send + Sync + 'static,
{
    fn call(&self, request: Request) -> Reply {
        (self.call)(request)
    }

    fn describe(&self) -> Description {
        Description::new(self.name)
    }
}
