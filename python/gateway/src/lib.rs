//! Runs Python's WSGI applications as applications of Enfilade, with servers for them.
//!
//! A callable of PEP 3333 becomes an [`enfilade::Application`], which is used in a stack like any other: mounted by a
//! router, logged, compressed. All Python code of one request runs on one Python thread.
//!
//! A Rust program calls [`wsgi`] and serves the result with [`enfilade::Server`] or another gateway:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use enfilade::middleware::{AccessLog, Compression, Router};
//! use enfilade::{Request, Server};
//!
//! let router = Router::new()
//!     .get("/api/time", |_: Request| "noon")
//!     .mount("/", enfilade_python::wsgi("flaskapp:app")?);
//! let app = router.build()?.wrap(Compression::new()).wrap(AccessLog::combined());
//! Server::bind("127.0.0.1:8000")?.serve_forever(app)?;
//! # Ok(())
//! # }
//! ```
//!
//! The program needs a shared libpython when it is built and when it runs. The crate's `build.rs` explains how it finds
//! the one that it was built with.

mod call;
mod callable;
#[cfg(not(Py_LIMITED_API))]
mod embed;
#[cfg(not(Py_LIMITED_API))]
mod error;
mod ffi;
mod run;
mod serve;

pub use self::call::file_wrapper::FileWrapper;
pub use self::call::numbers::with_numbers;
pub use self::callable::call;
pub use self::callable::response_iter::ResponseIter;
#[cfg(not(Py_LIMITED_API))]
pub use self::embed::{Wsgi, wsgi};
#[cfg(not(Py_LIMITED_API))]
pub use self::error::Error;
pub use self::run::activity::Activity;
pub use self::run::python_app::from_callable;
pub use self::serve::Server;
pub use self::serve::options::Options;
pub use self::serve::threaded::check_certificate;
