//! Requests to an application in this process.

pub(crate) mod content;
mod pipe;
pub(crate) mod response;
mod upgraded;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use enfilade_core::{
    Application, Body, Connection, IntoHandler, Request, Response, Upgraded, gateway, unpoisoned,
};
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Uri, Version};

use crate::client::response::TestResponse;
use crate::fail::fail;
use crate::lint::Ledger;

/// Sends requests to an application, in this process and without a socket.
///
/// Requests go through [`gateway::respond`], so the response is what a real gateway would send: HEAD and 204 have no
/// body, a known length is in `Content-Length`, a panic becomes a 500. Findings of [`Lint`](crate::Lint) still panic in
/// the test.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| request.method().to_string());
/// let client = Client::new(app);
/// assert_eq!(client.get("/").send().text(), "GET");
/// let head = client.head("/").send();
/// assert_eq!((head.header("content-length"), head.text().as_ref()), (Some("4"), ""));
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    app: Application,
    through_gateway: bool,
}

impl Client {
    /// A client of an application, or of a closure; a router needs `.build()?` first.
    pub fn new<M>(app: impl IntoHandler<M>) -> Self {
        Client {
            app: app.into_application(),
            through_gateway: true,
        }
    }

    /// Calls the application directly, so that a test sees its response before a gateway corrects it.
    ///
    /// A panic of the application then reaches the test.
    #[must_use]
    pub fn without_gateway(mut self) -> Self {
        self.through_gateway = false;
        self
    }

    /// Starts a GET request.
    ///
    /// # Panics
    ///
    /// This and the other methods that take a target panic if it is not a request target.
    #[track_caller]
    pub fn get(&self, target: &str) -> RequestBuilder {
        self.request(Method::GET, target)
    }

    /// Starts a POST request.
    #[track_caller]
    pub fn post(&self, target: &str) -> RequestBuilder {
        self.request(Method::POST, target)
    }

    /// Starts a PUT request.
    #[track_caller]
    pub fn put(&self, target: &str) -> RequestBuilder {
        self.request(Method::PUT, target)
    }

    /// Starts a PATCH request.
    #[track_caller]
    pub fn patch(&self, target: &str) -> RequestBuilder {
        self.request(Method::PATCH, target)
    }

    /// Starts a DELETE request.
    #[track_caller]
    pub fn delete(&self, target: &str) -> RequestBuilder {
        self.request(Method::DELETE, target)
    }

    /// Starts a HEAD request.
    #[track_caller]
    pub fn head(&self, target: &str) -> RequestBuilder {
        self.request(Method::HEAD, target)
    }

    /// Starts an OPTIONS request.
    #[track_caller]
    pub fn options(&self, target: &str) -> RequestBuilder {
        self.request(Method::OPTIONS, target)
    }

    /// Starts a request with any method.
    ///
    /// # Panics
    ///
    /// Panics if `target` is not a request target.
    #[track_caller]
    pub fn request(&self, method: Method, target: &str) -> RequestBuilder {
        match Uri::try_from(target) {
            Ok(uri) => self.prepared(Request::new(method, uri)),
            Err(error) => fail(&format!("{target:?} is not a request target: {error}")),
        }
    }

    /// Starts from an existing request, for example one below a mount.
    pub fn prepared(&self, request: Request) -> RequestBuilder {
        RequestBuilder {
            client: self.clone(),
            request,
            add_host: true,
        }
    }

    async fn call(&self, request: Request) -> Response {
        match self.through_gateway {
            true => {
                let upgradable = gateway::Upgradable::Switching;
                gateway::respond_upgradable(&self.app, request, upgradable).await
            }
            false => self.app.call(request).await,
        }
    }
}

/// The futures that an application has spawned, to run after the response.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<Task>>>);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Tasks {
    /// Runs all of them to their ends, one after the other, and the futures that they spawn.
    async fn run(&self) {
        while let Some(task) = self.pop() {
            task.await;
        }
    }

    fn pop(&self) -> Option<Task> {
        unpoisoned(self.0.lock()).pop()
    }
}

/// Fails the test with the findings of a [`Lint`](crate::Lint): a gateway would turn its panic into a 500, or into a
/// failed body.
fn check(ledger: &Ledger) {
    if let Some(finding) = ledger.first() {
        fail(&finding.to_string());
    }
}

/// Builds a request; [`send`](RequestBuilder::send) sends it.
///
/// ```
/// # use enfilade_core as enfilade;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| {
///     let peer = request.connection().peer().map(|peer| peer.to_string());
///     format!("{} from {}", request.headers()["x-flower"].to_str().unwrap(), peer.unwrap())
/// });
/// let response = Client::new(app)
///     .put("/beds/1")
///     .header("x-flower", "iris")
///     .peer("192.0.2.7:4711".parse().unwrap())
///     .body("purple")
///     .send();
/// assert_eq!(response.text(), "iris from 192.0.2.7:4711");
/// ```
#[derive(Debug)]
#[must_use = "a request that is not sent does nothing"]
pub struct RequestBuilder {
    client: Client,
    pub(super) request: Request,
    add_host: bool,
}

impl RequestBuilder {
    /// Adds a header; existing ones of the same name stay.
    ///
    /// # Panics
    ///
    /// Panics if the name is not a token, or the value has a byte that is not allowed.
    #[track_caller]
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        let Ok(parsed) = HeaderName::try_from(name) else {
            fail(&format!("{name:?} is not a header name"));
        };
        let Ok(value) = HeaderValue::from_bytes(value) else {
            let text = String::from_utf8_lossy(value);
            fail(&format!("{text:?} is not a value for the header {name}"));
        };
        self.request.headers_mut().append(parsed, value);
        self
    }

    /// Sets the body. It adds no header: set `Content-Length` yourself if the test needs it.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sets the HTTP version. By default 1.1.
    pub fn version(mut self, version: Version) -> Self {
        *self.request.version_mut() = version;
        self
    }

    /// Sets the connection. By default one with no known facts.
    ///
    /// For requests that share their connection's slots, pass clones of one connection.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.request.set_connection(connection);
        self
    }

    /// Sets the address of the client. By default none.
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        let connection = self.request.connection().clone().with_peer(peer);
        self.request.set_connection(connection);
        self
    }

    /// Puts `value` into the extensions for the application, as an outer component would.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.request.extensions_mut().insert(value);
        self
    }

    /// Sends no `Host` except what [`header`](RequestBuilder::header) adds; by default `Host: localhost` is sent.
    pub fn without_host(mut self) -> Self {
        self.add_host = false;
        self
    }

    /// Sends the request, blocks until the response has ended, and returns all of it.
    ///
    /// It then runs what the application [spawned](Connection::spawn). It needs no runtime. If the application needs
    /// one (for its timers or sockets), use [`send_async`](RequestBuilder::send_async).
    ///
    /// # Panics
    ///
    /// Panics with the findings of a [`Lint`](crate::Lint). A body that fails does not panic: see
    /// [`body_error`](TestResponse::body_error).
    #[track_caller]
    pub fn send(self) -> TestResponse {
        pollster::block_on(self.send_async())
    }

    /// The same in any runtime.
    ///
    /// # Panics
    ///
    /// Panics with the findings of a [`Lint`](crate::Lint).
    pub async fn send_async(self) -> TestResponse {
        let tasks = Tasks::default();
        let (response, ledger) = self.spawning(&tasks).begin().await;
        let response = TestResponse::collect(response).await;
        tasks.run().await;
        check(&ledger);
        response
    }

    /// Sends the request and returns the response before its body is read.
    ///
    /// So a test can read part of the body.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Application, Body, Request};
    /// use enfilade_testing::Client;
    ///
    /// let app = Application::new(|_: Request| Body::from_iterator(std::iter::repeat("forever ")));
    /// let mut response = Client::new(app).get("/").send_head();
    /// let first = pollster::block_on(response.body_mut().frame()).unwrap().unwrap();
    /// assert_eq!(first.into_data().unwrap(), "forever ");
    /// drop(response); // the client disconnects
    /// ```
    ///
    /// # Panics
    ///
    /// Panics with the findings of a [`Lint`](crate::Lint) so far; findings in the body make the body fail.
    #[track_caller]
    pub fn send_head(self) -> Response {
        pollster::block_on(self.send_head_async())
    }

    /// The same in any runtime.
    ///
    /// # Panics
    ///
    /// Panics with the findings of a [`Lint`](crate::Lint).
    pub async fn send_head_async(self) -> Response {
        self.begin().await.0
    }

    /// Requests an upgrade, and returns the response and the client's end of the connection.
    ///
    /// The application's part runs while something is read or written here, and its error or panic is returned there.
    /// It is dropped with this end. It needs no runtime, unless the application needs one.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{Request, Response};
    /// use enfilade_testing::Client;
    ///
    /// let app = enfilade::Application::new(|request: Request| -> Response {
    ///     let upgrade = request.upgrade("greeting").expect("the client asks for it");
    ///     upgrade.respond(async |mut connection| connection.write_all(b"Hello").await)
    /// });
    /// pollster::block_on(async {
    ///     let (response, connection) = Client::new(app).get("/").upgrade("greeting").await;
    ///     assert_eq!(response.status(), 101);
    ///     let mut buffer = [0; 16];
    ///     let count = connection.unwrap().read(&mut buffer).await.unwrap();
    ///     assert_eq!(&buffer[..count], b"Hello");
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Panics with the findings of a [`Lint`](crate::Lint), and if `protocol` is not a valid header value.
    pub async fn upgrade(self, protocol: &str) -> (Response, Option<Upgraded>) {
        let request = self
            .header("connection", "upgrade")
            .header("upgrade", protocol);
        let (mut response, _) = request.begin().await;
        let task = response.body_mut().take_upgrade();
        (response, task.map(upgraded::connect))
    }

    /// Gives the request a connection that collects spawned futures, unless its own can run them.
    fn spawning(mut self, tasks: &Tasks) -> Self {
        let connection = self.request.connection().clone();
        if !connection.can_spawn() {
            let tasks = tasks.clone();
            let spawn = Arc::new(move |task| unpoisoned(tasks.0.lock()).push(task));
            self.request.set_connection(connection.with_spawner(spawn));
        }
        self
    }

    async fn begin(mut self) -> (Response, Ledger) {
        if self.add_host && !self.request.headers().contains_key(HOST) {
            // `Host` repeats the authority of a target that has one (RFC 9112, section 3.2).
            let host = HeaderValue::from_str(self.request.host().unwrap_or("localhost"))
                .expect("an authority is visible ASCII");
            self.request.headers_mut().insert(HOST, host);
        }
        let ledger = Ledger::default();
        self.request.extensions_mut().insert(ledger.clone());
        let response = self.client.call(self.request).await;
        check(&ledger);
        (response, ledger)
    }
}

#[cfg(test)]
mod tests;
