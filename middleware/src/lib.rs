//! The wrappers of Enfilade: each takes an application and returns an application.
//!
//! Each wrapper is in the room of its family; none of them knows a gateway, a runtime or another wrapper. Application
//! authors find all of this in `enfilade::middleware`.
//!
//! # Order
//!
//! Any order works, and each wrapper says where it belongs and why. From the street to the garden:
//!
//! | from outside to inside | because |
//! |---|---|
//! | [`ProxyFix`] | everything else reads the client, the scheme and the host that it finds |
//! | [`Sensitive`] | nothing inside shows what it marks |
//! | [`RequestId`] | every line, span and answer has the id |
//! | `Trace`, [`AccessLog`], `Metrics`, [`Timing`], [`Inspect`] | they see every answer, and the bytes that are sent |
//! | [`SecurityHeaders`], [`Headers`] | every answer has the headers, those of other wrappers too |
//! | [`TrustedHosts`], [`HttpsRedirect`], [`CanonicalHost`] | who is sent away costs nothing more; no redirect to a host that is not trusted |
//! | [`Compression`] | it codes pages of errors too, and what is inside sees plain bytes |
//! | `SendFile` | a compression and a log of frames would make streams of its files |
//! | [`CacheControl`], [`ContentType`] | a compression looks at both |
//! | [`Cors`] | pages of other origins can read refusals; a preflight meets no limit and no login |
//! | [`DebugErrors`], [`ErrorPages`] | they give a page to every error from inside |
//! | [`CatchPanic`] | outside all that may panic |
//! | [`Maintenance`], [`RateLimit`], [`ConcurrencyLimit`] | they refuse before anything is done |
//! | [`Timeout`] | the time in a backlog is not the application's |
//! | [`Decompression`], [`BodyLimit`] | a limit for the bytes that the application sees |
//! | [`MethodOverride`], [`Slashes`], [`Rewrite`] | the router sees what they make of method and path; a form is read within the limit |
//! | [`Propagate`] | it sees the request as the application does |
//! | [`NotFound`] | it answers for the router |
//! | [`Router`], [`Mounts`], [`Hosts`], ... | the applications |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod content;
mod dispatch;
mod error;
mod errors;
#[cfg(feature = "files")]
mod files;
mod headers;
mod matching;
mod observe;
mod protect;
mod rewriting;
mod shared;

pub use content::coding::{Coding, Negotiated, negotiate_coding};
#[cfg(feature = "compression")]
pub use content::compression::{Compression, Etags, Flush, MemoUsage};
pub use content::content_type::ContentType;
#[cfg(feature = "compression")]
pub use content::decompression::Decompression;
pub use dispatch::cascade::Cascade;
pub use dispatch::hosts::Hosts;
pub use dispatch::mounts::Mounts;
pub use dispatch::not_found::NotFound;
pub use dispatch::only_if::OnlyIf;
#[cfg(feature = "route-check")]
pub use dispatch::router::HiddenRoute;
pub use dispatch::router::{RouteInfo, Router, UrlError, Urls};
pub use dispatch::swap::Swap;
pub use dispatch::when::When;
pub use enfilade_core::{MatchedPattern, Pass, RequestIdValue, RouteWanted};
pub use error::{Error, ErrorKind};
pub use errors::catch_panic::CatchPanic;
pub use errors::debug_errors::DebugErrors;
pub use errors::error_pages::{ErrorFormat, ErrorPage, ErrorPages};
#[cfg(feature = "files")]
pub use files::file_source::FileSource;
#[cfg(feature = "files")]
pub use files::send_file::SendFile;
pub use headers::cache_control::{CacheControl, CacheRule};
pub use headers::cors::Cors;
pub use headers::edit::Headers;
pub use headers::propagate::Propagate;
pub use headers::security_headers::{CspNonce, SecurityHeaders};
pub use headers::sensitive::Sensitive;
pub use matching::guard::Guard;
pub use matching::response_filter::ResponseFilter;
#[cfg(all(feature = "time", feature = "tracing"))]
pub use observe::access_log::TracingEvents;
#[cfg(feature = "time")]
pub use observe::access_log::{AccessLog, DroppedLines, LogFile, LogFileHandle, Period, WhenFull};
pub use observe::inspect::{Exchange, Failure, Inspect};
#[cfg(feature = "metrics")]
pub use observe::metrics::Metrics;
#[cfg(feature = "profile")]
pub use observe::profile::Profile;
pub use observe::request_id::RequestId;
pub use observe::timing::{ServerTiming, Stopwatch, Timing};
#[cfg(feature = "tracing")]
pub use observe::trace::Trace;
pub use observe::trace_context::TraceContext;
pub use protect::body_limit::BodyLimit;
pub use protect::concurrency_limit::ConcurrencyLimit;
pub use protect::maintenance::{Maintenance, MaintenanceSwitch};
pub use protect::proxy_fix::{ForwardedElement, ProxyFix, XForwarded, parse_forwarded};
#[cfg(feature = "rate-limit")]
pub use protect::rate_limit::{
    Quota, QuotaAnswer, QuotaAsk, QuotaKey, QuotaState, QuotaStore, RateLimit, WhenNoKey,
    WhenStoreFails,
};
pub use protect::timeout::Timeout;
pub use protect::trusted_hosts::TrustedHosts;
pub use rewriting::canonical_host::CanonicalHost;
pub use rewriting::https_redirect::HttpsRedirect;
pub use rewriting::method_override::{MethodOverride, OriginalMethod};
#[cfg(feature = "regex")]
pub use rewriting::redirect::Redirect;
#[cfg(feature = "regex")]
pub use rewriting::rewrite::Rewrite;
pub use rewriting::slashes::Slashes;
