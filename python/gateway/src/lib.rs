//! Python's WSGI applications as applications of Enfilade, and the servers that run them.
//!
//! A callable of PEP 3333 becomes an [`enfilade::Application`] and stands in a stack like any other: mounted by a router,
//! behind a log, compressed. All the Python code of one request runs on one Python thread.
//!
//! A Rust program calls [`wsgi`] and serves what it gives by [`enfilade::Server`] or any other gateway:
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
//! The program needs a shared libpython where it is built and where it runs; see the crate's `build.rs` for how it finds
//! the one that it was built with.

mod call;
mod callable;
mod embed;
mod error;
mod ffi;
mod run;
mod serve;

pub use self::call::file_wrapper::FileWrapper;
pub use self::callable::call;
pub use self::callable::response_iter::ResponseIter;
pub use self::embed::{Wsgi, wsgi};
pub use self::error::Error;
pub use self::run::python_app::from_callable;
pub use self::serve::Server;
pub use self::serve::options::Options;
