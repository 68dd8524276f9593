//! Which requests are logged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use enfilade_core::{Request, path};
use http::{Method, StatusCode};

/// Paths at which common load balancers and orchestrators check health.
const HEALTH_CHECKS: [&str; 7] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/healthz",
    "/livez",
    "/ping",
    "/readyz",
];

/// The filters; nothing is filtered by default.
#[derive(Clone, Default)]
pub(super) struct Filters {
    pub(super) excluded: Vec<String>,
    pub(super) request: Option<Arc<dyn Fn(&Request) -> bool + Send + Sync>>,
    pub(super) status: Option<Arc<dyn Fn(StatusCode) -> bool + Send + Sync>>,
    pub(super) sampling: Option<Sampling>,
    pub(super) skips_health_checks: bool,
}

impl Filters {
    pub(super) fn exclude(&mut self, path: &str) {
        let raw = path::encode(path);
        self.excluded.push(path::canonical(&raw).into_owned());
    }

    /// Whether a new request is to be logged, as far as that is known yet.
    pub(super) fn wants(&self, request: &Request) -> bool {
        let is_excluded = || {
            let path = path::canonical(request.uri().path());
            self.excluded.iter().any(|excluded| *excluded == path)
        };
        (self.excluded.is_empty() || !is_excluded())
            && self.request.as_ref().is_none_or(|wants| wants(request))
            && self.sampling.as_ref().is_none_or(Sampling::takes_next)
    }

    /// Whether this is a health check, which is not logged if its response is a 2xx.
    pub(super) fn is_health_check(&self, request: &Request) -> bool {
        self.skips_health_checks
            && matches!(*request.method(), Method::GET | Method::HEAD)
            && request.query_string().is_none()
            && HEALTH_CHECKS.contains(&request.uri().path())
    }

    /// Whether a request that has ended is to be logged.
    pub(super) fn wants_end(&self, status: StatusCode, is_health_check: bool) -> bool {
        !(is_health_check && status.is_success())
            && self.status.as_ref().is_none_or(|wants| wants(status))
    }
}

/// Samples a share of the requests.
#[derive(Clone)]
pub(super) struct Sampling {
    share: f64,
    limit: u64,
    count: Arc<AtomicU64>,
}

impl Sampling {
    pub(super) fn new(share: f64) -> Sampling {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast to an integer stops at its ends"
        )]
        let limit = (share * 2_f64.powi(64)) as u64;
        Sampling {
            share,
            limit,
            count: Arc::default(),
        }
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// Requests often have a pattern, so it does not take each n-th one, but those whose number has a low hash.
    fn takes_next(&self) -> bool {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        hash(number) < self.limit || self.limit == u64::MAX
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
fn hash(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_taken() {
        for (share, least, most) in [
            (0.0, 0, 0),
            (-1.0, 0, 0),
            (f64::NAN, 0, 0),
            (0.01, 900, 1_100),
            (0.5, 49_000, 51_000),
            (1.0, 100_000, 100_000),
            (7.0, 100_000, 100_000),
        ] {
            let sampling = Sampling::new(share);
            let taken = (0..100_000).filter(|_| sampling.takes_next()).count();
            assert!((least..=most).contains(&taken), "{share}: {taken}");
        }
    }

    #[test]
    fn health_checks_that_are_well_are_left_out() {
        let filters = Filters {
            skips_health_checks: true,
            ..Filters::default()
        };
        let cases = [
            ("GET", "/healthz", 200, false),
            ("HEAD", "/health/live", 204, false),
            ("GET", "/healthz", 503, true),
            ("POST", "/healthz", 200, true),
            ("GET", "/healthz?x", 200, true),
            ("GET", "/%68ealthz", 200, true),
            ("GET", "/healthz/", 200, true),
            ("GET", "/", 200, true),
        ];
        for (method, target, status, expected) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = Request::new(method, target.parse().unwrap());
            let status = StatusCode::from_u16(status).unwrap();
            assert!(filters.wants(&request));
            let is_health_check = filters.is_health_check(&request);
            assert_eq!(
                filters.wants_end(status, is_health_check),
                expected,
                "{target}"
            );
            assert!(!Filters::default().is_health_check(&request));
        }
    }
}
