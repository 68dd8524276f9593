//! Logs, metrics, spans and timings of requests.

#[cfg(feature = "time")]
pub(crate) mod access_log;
pub(crate) mod inspect;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "profile")]
pub(crate) mod profile;
pub(crate) mod request_id;
pub(crate) mod timing;
#[cfg(feature = "tracing")]
pub(crate) mod trace;
pub(crate) mod trace_context;
