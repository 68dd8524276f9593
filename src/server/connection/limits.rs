//! The limits of connections.

use std::time::Duration;

use crate::server::connection::progress::WritePace;
use crate::server::connection::request_body::Pace;

/// The maximum of timeouts: clocks cannot overflow when they add it.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The maximum number of headers in the type `HeaderMap`.
pub(in crate::server) const MAX_HEADERS: usize = 16 * 1024;

/// The maximum length of the first line of a head by default, in bytes.
pub const MAX_REQUEST_LINE: usize = 16 * 1024;

/// A timeout that every clock can hold; longer ones are cut to the maximum.
pub(in crate::server) fn at_most(limit: Duration) -> Duration {
    limit.min(FOREVER)
}

/// The limits of connections, in time and in numbers.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Limits {
    pub(in crate::server) header_read_timeout: Duration,
    pub(in crate::server) keep_alive_timeout: Duration,
    pub(in crate::server) is_kept_alive: bool,
    pub(in crate::server) is_title_case: bool,
    pub(in crate::server) write_pace: WritePace,
    pub(in crate::server) pace: Pace,
    pub(in crate::server) max_headers: usize,
    pub(in crate::server) max_header_size: usize,
    pub(in crate::server) max_request_line: usize,
    pub(in crate::server) max_control_frames: u32,
    #[cfg(feature = "http2")]
    pub(in crate::server) http2: Http2Limits,
    pub(in crate::server) max_connections: usize,
    pub(in crate::server) max_connections_per_peer: Option<usize>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_read_timeout: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(75),
            is_kept_alive: true,
            is_title_case: false,
            write_pace: WritePace {
                timeout: Duration::from_secs(60),
                rate: 100,
            },
            pace: Pace {
                idle: Duration::from_secs(60),
                rate: 0,
            },
            max_headers: 100,
            max_header_size: 64 * 1024,
            max_request_line: MAX_REQUEST_LINE,
            max_control_frames: 1_000,
            #[cfg(feature = "http2")]
            http2: Http2Limits::default(),
            max_connections: 10_000,
            max_connections_per_peer: None,
        }
    }
}

/// The limits of HTTP/2 connections.
#[cfg(feature = "http2")]
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Http2Limits {
    pub(in crate::server) max_concurrent_streams: u32,
    pub(in crate::server) max_reset_streams: usize,
    pub(in crate::server) ping_interval: Duration,
    pub(in crate::server) ping_timeout: Duration,
}

#[cfg(feature = "http2")]
impl Default for Http2Limits {
    fn default() -> Http2Limits {
        Http2Limits {
            max_concurrent_streams: 200,
            max_reset_streams: 20,
            ping_interval: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(20),
        }
    }
}
