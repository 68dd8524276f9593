//! The timeouts and limits of an inline server's connections.

use std::time::Duration;

use crate::serve::options::Options;

/// The timeouts and limits of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) header: Duration,
    pub(super) keep_alive: Duration,
    pub(super) body: Duration,
    pub(super) write: Duration,
    pub(super) graceful: Duration,
    pub(super) max_requests: Option<u64>,
    /// How often the timeouts are checked.
    pub(super) tick: Duration,
    /// Whether the server must wake for checks even without connections.
    pub(super) wakes: bool,
    pub(super) is_kept_alive: bool,
    pub(super) is_title_case: bool,
}

impl Limits {
    pub(super) fn of(options: &Options, once: bool) -> Limits {
        let shortest = [
            options.header_timeout,
            options.keep_alive,
            options.body_timeout,
            options.write_timeout,
        ];
        let shortest = shortest.into_iter().min().unwrap_or_default();
        Limits {
            header: options.header_timeout,
            keep_alive: options.keep_alive,
            body: options.body_timeout,
            write: options.write_timeout,
            graceful: options.graceful_timeout,
            max_requests: options.max_requests,
            tick: (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1)),
            wakes: once,
            is_kept_alive: !once && !options.close_connections && !options.keep_alive.is_zero(),
            is_title_case: options.title_case_headers,
        }
    }
}
