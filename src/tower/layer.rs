//! Uses a tower layer as a middleware.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use enfilade_core::{
    Application, Body, BoxError, Description, Handler, Middleware, Reply, ReplyFuture, Request,
    Response, UpgradeTask, unpoisoned,
};
use tower_layer::Layer;
use tower_service::Service;

use super::from_service::{application, short_name};

/// Makes a middleware of a layer, such as those of tower-http.
///
/// If the layer's service returns an error, the response is a 500 with the error as its cause. Prefer a layer that
/// responds itself.
///
/// # Order
///
/// As with every wrapper, `app.wrap(layer(a)).wrap(b)` has `b` outermost. A `ServiceBuilder` of several layers is one
/// layer; its first layer is outermost.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use enfilade::{Application, Request, tower};
/// use enfilade::http::StatusCode;
/// use tower_http::timeout::TimeoutLayer;
///
/// let limit = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::ZERO);
/// let app = Application::new(|_: Request| std::future::pending::<&str>());
/// let app = app.wrap(tower::layer(limit));
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
/// # let _inside = runtime.enter();
/// # let response = runtime.block_on(app.call(Request::get("/")).into_future());
/// assert_eq!(response.status(), 504);
/// ```
pub fn layer<L>(layer: L) -> TowerLayer<L> {
    TowerLayer(layer)
}

/// The middleware that [`layer`] returns.
#[derive(Clone)]
#[must_use = "a middleware does nothing until it wraps an application"]
pub struct TowerLayer<L>(L);

impl<L> fmt::Debug for TowerLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TowerLayer")
            .field(&short_name::<L>())
            .finish()
    }
}

impl<L, B> Middleware for TowerLayer<L>
where
    L: Layer<InnerService> + Clone + Send + Sync + 'static,
    L::Service: Service<http::Request<Body>, Response = http::Response<B>>,
    L::Service: Clone + Send + Sync + 'static,
    <L::Service as Service<http::Request<Body>>>::Error: Into<BoxError> + 'static,
    <L::Service as Service<http::Request<Body>>>::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn wrap(self, app: Application) -> Application {
        let outside = application(self.0.layer(InnerService(app.clone())));
        Application::from_handler(WithLayer {
            app,
            outside,
            name: short_name::<L>(),
            again: move |app| self.clone().wrap(app),
        })
    }
}

/// An application with a layer around it.
///
/// It is not a `Wrapper`: the layer's service holds the application, so another application needs another service.
struct WithLayer<A> {
    app: Application,
    outside: Application,
    name: &'static str,
    again: A,
}

impl<A> Handler for WithLayer<A>
where
    A: Fn(Application) -> Application + Send + Sync + 'static,
{
    fn call(&self, request: Request) -> Reply {
        self.outside.call(request).update(take_back)
    }

    fn describe(&self) -> Description {
        Description::new(self.name).around(&self.app)
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        Some((self.again)(change(self.app.clone())))
    }
}

/// The application inside a layer, as the service that the layer wraps.
///
/// It only calls the application: the gateway, outside the stack, applies the rules of HTTP.
#[derive(Clone, Debug)]
pub struct InnerService(Application);

impl<B> Service<http::Request<B>> for InnerService
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = InnerServiceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> InnerServiceFuture {
        InnerServiceFuture(self.0.call(Request::from(request)).into_future())
    }
}

/// The future of an [`InnerService`].
#[derive(Debug)]
pub struct InnerServiceFuture(ReplyFuture);

impl Future for InnerServiceFuture {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(Ok(put_by(response)))
    }
}

/// An upgrade, kept from layers that replace the body.
#[derive(Clone)]
struct PutBy(Arc<Mutex<Option<UpgradeTask>>>);

fn put_by(mut response: Response) -> Response {
    if let Some(task) = response.body_mut().take_upgrade() {
        let task = PutBy(Arc::new(Mutex::new(Some(task))));
        response.extensions_mut().insert(task);
    }
    response
}

fn take_back(response: &mut Response) {
    if let Some(PutBy(task)) = response.extensions_mut().remove()
        && let Some(task) = unpoisoned(task.lock()).take()
    {
        *response.body_mut() = task.into();
    }
}
