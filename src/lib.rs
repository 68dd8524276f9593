// The README is the front page, and its code a doctest, where everything is built that it uses. See `guide` for its links.
#![cfg_attr(feature = "full", doc = include_str!("guide/links.md"))]
#![cfg_attr(
    all(feature = "compression", feature = "server", feature = "time"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(
    not(all(feature = "compression", feature = "server", feature = "time")),
    doc = "Composes web applications from parts that share one type, the way WSGI lets Python do it."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "form", feature = "json"))]
pub use enfilade_core::DataLimits;
#[cfg(feature = "json")]
pub use enfilade_core::Json;
#[cfg(feature = "time")]
#[doc(inline)]
pub use enfilade_core::conditional;
pub use enfilade_core::{
    Application, Around, Attachment, Body, BodyEnd, BodyError, BodyErrorKind, BoxError,
    CaptureSink, Captured, Connection, Cookie, CookieError, Cookies, Created, Description, Environ,
    Eventual, Handler, Head, HeadSnapshot, Html, HttpError, IntoHandler, IntoReply, IntoResponse,
    MatchedPattern, Middleware, NextFrame, NoContent, OptionValue, Outcome, Panic, Params, Pass,
    Pipeline, ReadAt, Redirect, RemoteUser, Reply, ReplyFuture, Request, RequestIdValue, Response,
    RouteWanted, SameSite, Scheme, Segment, SourceRead, TargetError, Tls, TryIntoApplication,
    Upgrade, UpgradeFuture, UpgradeTask, Upgraded, Wrapper, around, around_async, gateway, headers,
    host, is_unprintable, marker, path, unpoisoned, wrapped,
};
#[doc(inline)]
pub use enfilade_middleware as middleware;
#[cfg(any(feature = "server", feature = "fastcgi", feature = "scgi"))]
pub use listening::Listener;
#[cfg(feature = "server")]
#[doc(hidden)]
pub use server::parts as server_parts;
#[cfg(feature = "tls")]
pub use server::{Certificates, ClientCertificate};
#[cfg(feature = "server")]
pub use server::{Refusal, Server};
#[cfg(feature = "blocking")]
pub use threads::{Blocking, BodyReader, blocking};
#[cfg(any(feature = "server", feature = "tower"))]
pub use upgraded::TokioStream;
pub use {bytes, http};

#[cfg(any(feature = "server", feature = "cgi"))]
mod background;
#[cfg(feature = "cgi")]
pub mod cgi;
#[cfg(any(feature = "server", feature = "cgi", feature = "tower"))]
mod failures;
#[cfg(feature = "fastcgi")]
pub mod fastcgi;
// The programs of its chapters take what is there by default.
#[cfg(all(
    feature = "blocking",
    feature = "compression",
    feature = "server",
    feature = "time"
))]
pub mod guide;
#[cfg(any(feature = "server", feature = "fastcgi", feature = "scgi"))]
mod listening;
#[cfg(any(feature = "server", feature = "cgi", feature = "tower"))]
mod race;
#[cfg(feature = "scgi")]
pub mod scgi;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "blocking")]
mod threads;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(any(feature = "server", feature = "cgi"))]
mod unbuilt;
#[cfg(any(feature = "server", feature = "tower"))]
mod upgraded;
#[cfg(feature = "wsgi")]
pub mod wsgi;
