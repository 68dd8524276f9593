// The README is the front page, and its code a doctest, where everything is built that it uses.
#![cfg_attr(
    all(feature = "compression", feature = "server", feature = "time", feature = "wsgi"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
//!

pub use enfilade_core::{
    Application, Around, Body, BodyEnd, BodyError, BodyErrorKind, BoxError, Connection,
    Description, Environ, Handler, Head, HeadSnapshot, HttpError, IntoHandler, IntoResponse,
    Middleware, Outcome, Panic, Params, Pipeline, ReadAt, RemoteUser, Reply, ReplyFuture, Request,
    Response, Scheme, Segment, SourceRead, Tls, Wrapper, around, gateway, headers, host, marker,
    path, unpoisoned, wrapped,
};
pub use enfilade_middleware as middleware;
#[cfg(any(feature = "server", feature = "fastcgi", feature = "scgi"))]
pub use listening::Listener;
#[cfg(feature = "tls")]
pub use server::{Certificates, ClientCertificate};
#[cfg(feature = "server")]
pub use server::{Refusal, Server};

#[cfg(feature = "cgi")]
pub mod cgi;
#[cfg(feature = "fastcgi")]
pub mod fastcgi;
#[cfg(any(feature = "server", feature = "fastcgi", feature = "scgi"))]
mod listening;
#[cfg(any(feature = "server", feature = "cgi"))]
mod panics;
#[cfg(any(feature = "server", feature = "fastcgi", feature = "scgi"))]
mod race;
#[cfg(feature = "scgi")]
pub mod scgi;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "wsgi")]
pub mod wsgi;
