//! Runs an application as a tower service.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use enfilade_core::{
    Application, Body, BodyError, BoxError, Connection, HttpError, IntoHandler, Request,
    RequestIdValue, Response, UpgradeTask, gateway, path,
};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{Method, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::runtime::Handle;
use tower_service::Service;

use crate::failures::FailureHooks;
use crate::upgraded::{FuturesStream, OfferedUpgrade};

/// An application as a tower service, to run it under axum, hyper or another caller of services.
///
/// It is a gateway and keeps the rules of [every gateway](gateway::respond): a panic becomes a 500, a response to HEAD
/// has no body, and an HTTP/1.1 request without a `Host` gets a 400 (in a test, set the `Host` by hand). It is always
/// ready and never returns an error.
///
/// # Example
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::extract::{ConnectInfo, OriginalUri};
/// use enfilade::{Application, Connection, Request, Scheme, tower};
///
/// let app = Application::new(|request: Request| {
///     format!("{} | {}\n", request.script_name(), request.path())
/// });
/// let service = tower::AppService::new(app)
///     .connection(|parts| {
///         let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
///         Some(Connection::new(Scheme::Http).with_peer(peer.0))
///     })
///     .original_uri(|parts| Some(parts.extensions.get::<OriginalUri>()?.0.clone()));
/// let router: axum::Router = axum::Router::new().nest_service("/shop", service);
/// // Serve it with `router.into_make_service_with_connect_info::<SocketAddr>()`.
///
/// # use tower_service::Service;
/// # let mut router = router;
/// let request = http::Request::get("/shop/shelves").header("host", "localhost").body(axum::body::Body::empty()).unwrap();
/// let response = pollster::block_on(router.call(request)).unwrap();
/// # let response = pollster::block_on(enfilade::Body::new(response.into_body()).collect(100)).unwrap();
/// assert_eq!(response, "/shop | /shelves\n");
/// ```
#[derive(Clone)]
pub struct AppService {
    app: Application,
    connection: Option<Arc<dyn Fn(&Parts) -> Option<Connection> + Send + Sync>>,
    original_uri: Option<Arc<dyn Fn(&Parts) -> Option<Uri> + Send + Sync>>,
    failures: FailureHooks,
}

impl AppService {
    /// Makes a service of an application.
    pub fn new<M>(app: impl IntoHandler<M>) -> AppService {
        AppService {
            app: app.into_application(),
            connection: None,
            original_uri: None,
            failures: FailureHooks::default(),
        }
    }

    /// Sets how to find the connection of a request, which each server stores in its own way.
    ///
    /// If `connection` is not set or returns `None`, a [`Connection`] in the extensions is used. Without that, the
    /// request has no information about its connection.
    #[must_use]
    pub fn connection(
        mut self,
        find: impl Fn(&Parts) -> Option<Connection> + Send + Sync + 'static,
    ) -> AppService {
        self.connection = Some(Arc::new(find));
        self
    }

    /// Sets how to find the target that the client sent, if an outer router removes a prefix from it.
    ///
    /// The removed prefix becomes the [`script_name`](Request::script_name), and the [`uri`](Request::uri) is the one
    /// that was received. A target is ignored if its path does not end with the path of the request.
    #[must_use]
    pub fn original_uri(
        mut self,
        find: impl Fn(&Parts) -> Option<Uri> + Send + Sync + 'static,
    ) -> AppService {
        self.original_uri = Some(Arc::new(find));
        self
    }

    /// Calls `hook` with the error behind each response of status 500 or more.
    ///
    /// The hook also gets the request's ID, if it has one.
    ///
    /// By default the cause of a 500 is written to standard error, as one line. `Server::on_error` does the same.
    #[must_use]
    pub fn on_error(
        mut self,
        hook: impl Fn(&HttpError, Option<&RequestIdValue>) + Send + Sync + 'static,
    ) -> AppService {
        self.failures.on_error(hook);
        self
    }

    fn request<B>(&self, parts: Parts, body: B) -> Request
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let connection = self.connection.as_ref().and_then(|find| find(&parts));
        let original = self.original_uri.as_ref().and_then(|find| find(&parts));
        let mut request = Request::from(http::Request::from_parts(parts, body));
        if let Some(connection) = connection {
            request.set_connection(connection);
        }
        if let Some(original) = original {
            mount(&mut request, original);
        }
        if let (false, Ok(runtime)) = (request.connection().can_spawn(), Handle::try_current()) {
            let connection = request.connection().clone();
            let spawn = Arc::new(move |task| drop(runtime.spawn(task)));
            request.set_connection(connection.with_spawner(spawn));
        }
        request
    }
}

/// Passes the connection to the upgrade's task once the server has written the head.
async fn run(task: UpgradeTask, upgrade: OnUpgrade, failures: FailureHooks) {
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let task = task.run(FuturesStream(TokioIo::new(upgraded)));
    if let Err(error) = task.await {
        failures.body_failed(&error, None);
    }
}

/// Mounts the application at the prefix that was removed.
///
/// A router that removed the whole path leaves `/`.
fn mount(request: &mut Request, original: Uri) {
    if !request.script_name().is_empty() {
        return; // The mount is known already.
    }
    let (whole, rest) = (path::canonical(original.path()), request.path());
    let taken = match whole.strip_suffix(rest) {
        Some(taken) => taken.len(),
        None if rest == "/" => whole.len(),
        None => return,
    };
    if original.query() == request.query_string() {
        request.set_uri(original);
        // A prefix that ends in the middle of a segment is not a mount.
        let _ = request.advance(taken);
    }
}

impl From<Application> for AppService {
    fn from(app: Application) -> AppService {
        AppService::new(app)
    }
}

impl fmt::Debug for AppService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppService").field(&self.app).finish()
    }
}

impl<B> Service<http::Request<B>> for AppService
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = AppServiceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> AppServiceFuture {
        let is_head = request.method() == Method::HEAD;
        let (mut parts, body) = request.into_parts();
        let upgrade = OfferedUpgrade::of(&mut parts);
        let request = self.request(parts, body);
        let response = gateway::respond_upgradable(&self.app, request, upgrade.upgradable());
        AppServiceFuture {
            response,
            is_head,
            upgrade: upgrade.into_inner(),
            failures: self.failures.clone(),
        }
    }
}

/// The future of an [`AppService`].
#[derive(Debug)]
pub struct AppServiceFuture {
    response: gateway::ResponseFuture,
    is_head: bool,
    upgrade: Option<OnUpgrade>,
    failures: FailureHooks,
}

impl Future for AppServiceFuture {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let is_head = self.is_head;
        let mut response = ready!(Pin::new(&mut self.response).poll(context));
        match self.response.has_panicked() {
            true => self.failures.panicked(response.extensions().get()),
            false => self.failures.look_at(&response),
        }
        if let (Some(task), Some(upgrade)) =
            (response.body_mut().take_upgrade(), self.upgrade.take())
        {
            // The upgrade was offered, so this is a tokio runtime.
            tokio::spawn(run(task, upgrade, self.failures.clone()));
        }
        Poll::Ready(Ok(prepare_for_server(response, is_head)))
    }
}

/// Changes the body for hyper and axum, which misread two cases.
fn prepare_for_server(response: Response, is_head: bool) -> Response {
    // For a body that is known to be empty axum sets the length to 0, which GET's response may not have.
    let is_unmeasured = is_head && !response.headers().contains_key(CONTENT_LENGTH);
    if response.body().is_in_memory() && !is_unmeasured {
        return response;
    }
    response.map(|body| {
        Body::new(DelayedFailureBody {
            body,
            failure: None,
            is_unmeasured,
        })
    })
}

/// A body that is pending once before it fails.
///
/// If a body fails, hyper drops what it has not written yet, so the client would see no part of the response.
struct DelayedFailureBody {
    body: Body,
    failure: Option<BodyError>,
    is_unmeasured: bool,
}

impl HttpBody for DelayedFailureBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.failure.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Err(error)) => {
                self.failure = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.is_unmeasured && self.failure.is_none() && self.body.is_finished()
    }

    fn size_hint(&self) -> SizeHint {
        match self.is_unmeasured {
            true => SizeHint::default(),
            false => HttpBody::size_hint(&self.body),
        }
    }
}
