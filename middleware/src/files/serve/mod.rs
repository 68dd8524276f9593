//! Serves a tree of files.

mod coding;
mod find;
mod listing;
mod options;
mod policy;
mod response;
mod types;

use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use enfilade_core::{
    Application, Description, Handler, HttpError, IntoResponse, Middleware, Reply, Request,
    Response, Wrapper, wrapped,
};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};

use self::find::Found;
use self::options::Options;
use crate::error::Error;
use crate::files::tree::FileTree;
use crate::files::tree::cached::CachedTree;
use crate::files::tree::disk::DiskTree;

/// What [`Files::directory`] keeps of its directory, in bytes.
const KEPT: u64 = 32 * 1024 * 1024;

/// Serves the files of a tree; as a wrapper, it calls the application for paths at which there is no file.
///
/// It is an [`Application`] by itself, or it wraps one. It responds to GET and HEAD:
///
/// - A file is sent with its type, `ETag` and `Last-Modified`; conditions and ranges are honoured (RFC 9110, sections 13
///   and 14), and `X-Content-Type-Options: nosniff` is set.
/// - The path of a directory without a slash at its end is redirected to the one with it, and that sends `index.html`.
/// - A name that begins with a dot is hidden, at any depth, except `.well-known`.
/// - Anything else is a 404, or a request for the wrapped application.
///
/// Other methods get a 405. If it wraps an application, that gets them if no file is at the path.
///
/// The path is the one that routers and guards see, decoded once. A segment that has a slash, a backslash or NUL after
/// that, or is not UTF-8, names no file, so `%2F` never becomes a separator. A path that encodes a character without need,
/// such as `/a%40b`, is redirected to `/a@b`, for which guards are written. Below a mount, redirects have the prefix.
///
/// A file that becomes shorter while it is sent ends the response early; of one that grows, the promised length is sent.
/// An entry that may not be read is a 403. Too few descriptors are a 503, and other errors of the tree a 500, with the
/// cause for the log.
///
/// # Order
///
/// Where an application stands, or just outside it. It needs no [`Conditional`](crate::Conditional) or
/// [`Ranges`](crate::Ranges) around it.
///
/// # Security
///
/// The tree keeps paths inside; see [`DiskTree`]. If users upload the files, set [`untrusted`](Files::untrusted).
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Files, Mounts};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let mounts = Mounts::new().at("/source", Files::directory("src")?)?;
/// let client = Client::new(mounts.otherwise(|_: Request| "home"));
///
/// let file = client.get("/source/lib.rs").send();
/// assert_eq!(file.text(), std::fs::read_to_string("src/lib.rs").unwrap());
/// let again = client.get("/source/lib.rs").header("if-none-match", file.header("etag").unwrap()).send();
/// assert_eq!(again.status(), 304);
/// let part = client.get("/source/lib.rs").header("range", "bytes=0-2").send();
/// assert_eq!((part.status().as_u16(), part.text()), (206, "//!".into()));
/// assert_eq!(client.get("/source/../Cargo.toml").send().text(), "home");
/// # Ok(())
/// # }
/// ```
///
/// As a wrapper:
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Files, MemoryTree};
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let tree = MemoryTree::new().file("robots.txt", "User-agent: *")?;
/// let app = Application::new(|_: Request| "home").wrap(Files::new(tree));
/// let client = Client::new(app);
/// assert_eq!(client.get("/robots.txt").send().text(), "User-agent: *");
/// assert_eq!(client.get("/").send().text(), "home");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "it serves nothing until it is an application, or wraps one"]
pub struct Files {
    tree: Arc<dyn FileTree>,
    options: Arc<Options>,
}

impl Files {
    /// Serves the files of a tree.
    pub fn new(tree: impl FileTree) -> Self {
        Files {
            tree: Arc::new(tree),
            options: Arc::default(),
        }
    }

    /// Serves the files of a directory, from a cache of 32 MiB in front of it.
    ///
    /// A changed file is served as it was for up to a second. To change that, or how links are treated, use
    /// [`Files::new`] with a [`DiskTree`], in a [`CachedTree`] or not.
    ///
    /// # Errors
    ///
    /// If the directory does not exist or may not be opened.
    pub fn directory(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Files::new(CachedTree::new(DiskTree::open(path)?, KEPT)))
    }

    /// The response to a request; the request itself, if another application has to handle it.
    async fn respond(self, request: Request, alone: Alone) -> Result<Response, Box<Request>> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match (reads, alone) {
            (true, _) => {}
            (false, Alone::Yes) => return Ok(method_not_allowed()),
            (false, Alone::No) if self.options.pass_methods => return Err(Box::new(request)),
            (false, Alone::No) => {}
        }
        let found = match self.find(&request).await {
            Ok(found) => found,
            Err(error) => return Ok(response::failure(error).into_response()),
        };
        Ok(match found {
            Found::Nothing => return Err(Box::new(request)),
            _ if !reads => method_not_allowed(),
            Found::File(file) => response::of_file(&self.options, &request, file),
            Found::Redirect(place) => response::redirect(place),
            Found::Listing(found) => listing::respond(&request, &found),
            Found::NotAcceptable => response::not_acceptable(),
        })
    }
}

/// Whether there is no application to call for a path without a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alone {
    Yes,
    No,
}

fn method_not_allowed() -> Response {
    let allow = HeaderValue::from_static("GET, HEAD");
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED)
        .header(ALLOW, allow)
        .into_response()
}

/// What a future returns if it does not have to wait, or the future.
fn poll_now<F: Future>(future: F) -> Result<F::Output, std::pin::Pin<Box<F>>> {
    let mut future = Box::pin(future);
    // The next poll sets the waker again.
    let polled = pin!(future.as_mut()).poll(&mut Context::from_waker(Waker::noop()));
    match polled {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(future),
    }
}

impl Handler for Files {
    fn call(&self, request: Request) -> Reply {
        let missing = |_| StatusCode::NOT_FOUND.into_response();
        match poll_now(self.clone().respond(request, Alone::Yes)) {
            Ok(response) => Reply::new(response.unwrap_or_else(missing)),
            Err(future) => Reply::from_future(async move { future.await.unwrap_or_else(missing) }),
        }
    }

    fn describe(&self) -> Description {
        self.options.describe(&*self.tree)
    }
}

impl Middleware for Files {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Files {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        match poll_now(Files::clone(self).respond(request, Alone::No)) {
            Ok(Ok(response)) => Reply::new(response),
            Ok(Err(request)) => inner.call(*request),
            Err(future) => {
                let inner = inner.clone();
                Reply::from_future(async move {
                    match future.await {
                        Ok(response) => response,
                        Err(request) => inner.call(*request).await,
                    }
                })
            }
        }
    }

    fn describe(&self) -> Description {
        self.options.describe(&*self.tree)
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
