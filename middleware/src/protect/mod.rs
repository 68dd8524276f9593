//! Protects applications: hosts, proxies, limits and timeouts.

pub(crate) mod body_fault;
pub(crate) mod body_limit;
pub(crate) mod concurrency_limit;
pub(crate) mod delay;
pub(crate) mod maintenance;
pub(crate) mod proxy_fix;
#[cfg(feature = "rate-limit")]
pub(crate) mod rate_limit;
pub(crate) mod timeout;
pub(crate) mod trusted_hosts;
