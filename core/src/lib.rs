//! The contract of Enfilade: applications, requests, responses and wrappers.
//!
//! An [`Application`] takes a [`Request`] and returns a [`Reply`]. A wrapper takes an application and returns an
//! application. There is nothing else to learn: routers, fallbacks, compressors and logs all have this one interface.
//! So every part works with every other, and a stack can be built, stored, nested and printed at run time.
//!
//! This crate does no I/O and needs no runtime. Authors of components depend on it alone. Authors of applications
//! depend on `enfilade`, which re-exports all of it.
//!
//! ```
//! # use enfilade_core as enfilade;
//! use enfilade::{Application, Request, Response};
//!
//! fn powered(app: Application) -> Application {
//!     Application::new(move |request: Request| {
//!         app.call(request).map(|mut response: Response| {
//!             response.headers_mut().insert("x-powered-by", "Enfilade".parse().expect("visible ASCII"));
//!             response
//!         })
//!     })
//! }
//!
//! let app = Application::new(|_: Request| "Hello").wrap(powered);
//! let response = pollster::block_on(app.call(Request::get("/")));
//! assert_eq!(response.headers()["x-powered-by"], "Enfilade");
//! ```
//!
//! # Order
//!
//! - `app.wrap(a).wrap(b)`: each `wrap` goes around the application so far, so `b` is outermost.
//! - `Pipeline::new().with(a).with(b)`: read top down as the request travels, so `a` is outermost.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod compose;
mod lock;
mod message;
mod rules;

pub use compose::application::{Application, Handler};
pub use compose::around::{Around, around, around_async};
pub use compose::description::{Description, OptionValue};
pub use compose::eventual::Eventual;
pub use compose::forms::marker;
pub use compose::into_handler::{IntoHandler, TryIntoApplication};
pub use compose::middleware::{Middleware, Pipeline};
pub use compose::reply::{IntoReply, Reply, ReplyFuture};
pub use compose::wrapper::{Wrapper, wrapped};
pub use lock::unpoisoned;
pub use message::body::inspect::NextFrame;
pub use message::body::source::{ReadAt, Segment, SourceRead};
pub use message::body::{Body, BodyEnd, Outcome};
pub use message::connection::{Connection, Scheme, Tls};
pub use message::cookies::cookie::{Cookie, CookieError, SameSite};
pub use message::cookies::received::Cookies;
pub use message::environ::Environ;
pub use message::error::{BodyError, BodyErrorKind, BoxError};
pub use message::http_error::HttpError;
pub use message::marks::{MatchedPattern, Pass, RouteWanted};
#[cfg(any(feature = "form", feature = "json"))]
pub use message::request::data::limits::DataLimits;
pub use message::request::{
    CaptureSink, Captured, Head, HeadSnapshot, Params, RemoteUser, Request, TargetError,
};
pub use message::request_id::RequestIdValue;
pub use message::responders::attachment::Attachment;
pub use message::responders::html::Html;
#[cfg(feature = "json")]
pub use message::responders::json::Json;
pub use message::responders::no_content::{Created, NoContent};
pub use message::responders::redirect::Redirect;
pub use message::response::{IntoResponse, Response};
pub use message::unwind::Panic;
pub use message::upgrade::Upgrade;
pub use message::upgrade::task::{UpgradeFuture, UpgradeTask};
pub use message::upgrade::upgraded::Upgraded;
#[cfg(feature = "time")]
pub use rules::conditional;
pub use rules::unprintable::is_unprintable;
pub use rules::{gateway, headers, host, path};
pub use {bytes, http};
