//! Wrappers for every application: each takes an application and returns one.
//!
//! Wrap an application with `app.wrap(wrapper)`, or list wrappers in a [`Pipeline`](enfilade_core::Pipeline). A wrapper
//! knows no gateway, no runtime and no other wrapper. Its page says what it does, where it belongs, and what it leaves
//! alone. What a dependency is needed for has a feature; the page of each item names it.
//!
//! # Families
//!
//! | family | parts |
//! |---|---|
//! | choose an application | [`Router`], [`Mounts`], [`Hosts`], [`When`], [`OnlyIf`], [`NotFound`], [`Cascade`], [`Swap`] |
//! | change the request | [`Slashes`], `Rewrite`, `Redirect`, [`HttpsRedirect`], [`CanonicalHost`], [`MethodOverride`], [`ProxyFix`] |
//! | read requests | `FormData`, `Multipart`, `Spool`, [`Negotiate`] |
//! | keep state at the client | `Sessions`, `Session`, `Flash`, [`Csrf`], `CookieKeys`; stores: `MemorySessions`, `SessionStore` |
//! | serve files | `Files`; trees: `DiskTree`, `MemoryTree`, `ZipTree`, `Overlay`, `CachedTree`, `FileTree` |
//! | change the content | `Compression`, `Decompression`, [`ContentType`], `Conditional`, `Etag`, `Ranges`, `FileSource`, `SendFile` |
//! | set headers | [`Headers`], [`SecurityHeaders`], [`Cors`], [`CacheControl`], [`Propagate`], [`Sensitive`] |
//! | protect | [`Timeout`], [`BodyLimit`], [`ConcurrencyLimit`], `RateLimit`, [`TrustedHosts`], [`Maintenance`] |
//! | know who asks | `Basic`, [`Bearer`], `ApiKeys`, `ClientCertificates`, [`ForwardAuth`]; [`Authorize`], [`AllowAddresses`]; passwords: `Htpasswd`, `Passwords` |
//! | handle errors | [`ErrorPages`], [`CatchPanic`], [`DebugErrors`] |
//! | observe | `AccessLog`, `LogFile`, [`RequestId`], `Metrics`, `Trace`, [`Timing`], `Profile`, [`Inspect`] |
//! | shared by several | [`Guard`] tests requests, [`ResponseFilter`] tests responses, [`OriginPolicy`] tests where a request comes from |
//!
//! # Order
//!
//! Any order works. This one is right for most sites; `doctor` of the crate `enfilade-testing` compares a stack with it:
//!
//! | from outside to inside | because |
//! |---|---|
//! | [`ProxyFix`] | everything else reads the client, the scheme and the host that it sets |
//! | [`Sensitive`] | nothing inside logs the headers that it marks |
//! | [`RequestId`] | every log line, span and response has the ID |
//! | `Trace`, `AccessLog`, `Metrics`, [`Timing`], [`Inspect`] | they see every response, and the bytes that are sent |
//! | [`SecurityHeaders`], [`Headers`] | every response gets the headers, also those that other wrappers make |
//! | [`TrustedHosts`], [`HttpsRedirect`], [`CanonicalHost`] | a rejected request costs nothing more, and no redirect goes to an untrusted host |
//! | `Compression` | it compresses error pages too, and wrappers inside see plain bytes |
//! | `Ranges` | it takes parts of plain content; its parts are not compressed |
//! | `Conditional` | it drops content that the client has before parts are taken, and 412 comes before 416 |
//! | `Etag` | the wrappers outside read the tags |
//! | `SendFile` | wrappers outside would turn its files into streams, and the web server takes the parts itself |
//! | [`CacheControl`], [`ContentType`] | the compression reads both headers, and the tags the first |
//! | [`Cors`] | other origins can read rejections; a preflight meets no limit and no login |
//! | [`DebugErrors`], [`ErrorPages`] | they show a page for every error from inside |
//! | [`CatchPanic`] | it catches the panics of everything inside |
//! | [`AllowAddresses`], [`Maintenance`], `RateLimit`, [`ConcurrencyLimit`] | they reject before any work is done |
//! | [`Timeout`] | the time in a backlog does not count |
//! | `Decompression`, [`BodyLimit`] | the limit counts the bytes that the application sees |
//! | `Spool` | it keeps what the application reads |
//! | `Sessions` | a rejected request needs no session; what is inside reads it |
//! | [`Csrf`] | it reads the method that was sent, the client's scheme and host, and with tokens the session |
//! | `Basic`, [`Bearer`], `ApiKeys`, `ClientCertificates`, [`ForwardAuth`] | guesses are limited, and preflights need no password |
//! | [`MethodOverride`], [`Slashes`], `Rewrite` | the router sees the new method and path; forms are read within the limit |
//! | [`Authorize`] | its rules see the identity, and the path and the method as the router does |
//! | [`Propagate`] | it sees the request as the application does |
//! | `Files` | it responds if there is a file; the router and its fallback do otherwise |
//! | [`NotFound`] | it responds if the router has no route |
//! | [`Router`], [`Mounts`], [`Hosts`], ... | the applications |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth;
mod content;
mod data;
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
mod state;

pub use auth::allow_addresses::AllowAddresses;
#[cfg(feature = "auth")]
pub use auth::api_keys::ApiKeys;
pub use auth::authorize::{Authorize, Who};
#[cfg(feature = "auth")]
pub use auth::basic::{Basic, PasswordCheck};
pub use auth::bearer::Bearer;
#[cfg(feature = "auth")]
pub use auth::client_certificates::ClientCertificates;
pub use auth::forward_auth::ForwardAuth;
#[cfg(feature = "htpasswd")]
pub use auth::htpasswd::Htpasswd;
pub use auth::identity::Identity;
#[cfg(feature = "auth")]
pub use auth::passwords::Passwords;
pub use content::coding::{Coding, Negotiated, negotiate_coding};
#[cfg(feature = "compression")]
pub use content::compression::{Compression, Etags, Flush, MemoUsage};
#[cfg(feature = "time")]
pub use content::conditional::Conditional;
pub use content::content_type::ContentType;
#[cfg(feature = "compression")]
pub use content::decompression::Decompression;
#[cfg(feature = "time")]
pub use content::etag::Etag;
#[cfg(feature = "time")]
pub use content::ranges::Ranges;
#[cfg(feature = "multipart")]
pub use data::multipart::decoder::{MultipartDecoder, MultipartEvent};
#[cfg(feature = "multipart")]
pub use data::multipart::error::MultipartError;
#[cfg(feature = "multipart")]
pub use data::multipart::form_data::{FormData, FormDataOptions, Upload};
#[cfg(feature = "multipart")]
pub use data::multipart::limits::MultipartLimits;
#[cfg(feature = "multipart")]
pub use data::multipart::part_head::PartHead;
#[cfg(feature = "multipart")]
pub use data::multipart::reader::{Multipart, Part};
pub use data::negotiate::Negotiate;
#[cfg(feature = "spool")]
pub use data::spool::{Spool, SpooledBody};
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
#[cfg(feature = "files")]
pub use files::serve::Files;
#[cfg(feature = "files")]
pub use files::tree::FileTree;
#[cfg(feature = "files")]
pub use files::tree::TreeReply;
#[cfg(feature = "files")]
pub use files::tree::cached::CachedTree;
#[cfg(feature = "files")]
pub use files::tree::disk::{DiskTree, Links};
#[cfg(feature = "files")]
pub use files::tree::entry::{Entry, FileEntry, ListedEntry, Precompressed};
#[cfg(feature = "files")]
pub use files::tree::memory::MemoryTree;
#[cfg(feature = "files")]
pub use files::tree::overlay::Overlay;
#[cfg(feature = "files")]
pub use files::tree::path::TreePath;
#[cfg(feature = "zip")]
pub use files::tree::zip::ZipTree;
pub use headers::cache_control::{CacheControl, CacheRule};
pub use headers::cors::Cors;
pub use headers::edit::Headers;
pub use headers::propagate::Propagate;
pub use headers::security_headers::{CspNonce, SecurityHeaders};
pub use headers::sensitive::Sensitive;
pub use matching::guard::Guard;
pub use matching::origin_policy::OriginPolicy;
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
    Quota, QuotaKey, QuotaRequest, QuotaResult, QuotaState, QuotaStore, RateLimit, WhenNoKey,
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
#[cfg(feature = "secure-cookies")]
pub use state::cookie_keys::CookieKeys;
pub use state::csrf::Csrf;
#[cfg(feature = "sessions")]
pub use state::csrf::token::CsrfToken;
#[cfg(feature = "sessions")]
pub use state::flash::Flash;
#[cfg(feature = "sessions")]
pub use state::sessions::Sessions;
#[cfg(all(feature = "laws", feature = "sessions"))]
pub use state::sessions::laws::check_session_store;
#[cfg(feature = "sessions")]
pub use state::sessions::memory::MemorySessions;
#[cfg(feature = "sessions")]
pub use state::sessions::session::Session;
#[cfg(feature = "sessions")]
pub use state::sessions::store::{SessionKey, SessionStore, StoreReply, StoredSession, Updated};
