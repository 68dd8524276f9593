//! The limits of a server.

use std::time::Duration;

use crate::server::Server;
use crate::server::connection::limits::{MAX_HEADERS, at_most};

/// # Limits
///
/// All of them apply by default. The table has the setter of each limit, its default, and what happens beyond it:
///
/// | limit | default | beyond it |
/// |---|---|---|
/// | [`header_read_timeout`](Server::header_read_timeout): the first bytes, the TLS handshake, and a head from its first byte to its last | 30 s | 408, then close; only close if no byte arrived |
/// | [`keep_alive_timeout`](Server::keep_alive_timeout): time without a request | 75 s | close; over HTTP/2 with a GOAWAY |
/// | [`body_read_timeout`](Server::body_read_timeout): time without data of a body that the application waits for | 60 s | the body fails; a 408 if the application passes the error on |
/// | [`min_body_rate`](Server::min_body_rate): bytes a second of such a body | none | the same |
/// | [`write_timeout`](Server::write_timeout): time in which the client reads nothing of a response | 60 s | close; over HTTP/2 the stream is reset |
/// | [`min_write_rate`](Server::min_write_rate): bytes a second that the client reads of a response | 100 bytes a second | the same |
/// | [`max_headers`](Server::max_headers): headers of a request, repeated ones counted | 100 | 431 |
/// | [`max_header_size`](Server::max_header_size): bytes of a head | 64 KiB | 431 |
/// | [`max_request_line`](Server::max_request_line): bytes of its first line | 16 KiB | 414; over HTTP/2 the limit of the head applies instead |
/// | [`max_connections`](Server::max_connections): concurrent connections | 10,000 | 503 with `Retry-After`, then close; over TLS close at once |
/// | [`max_connections_per_peer`](Server::max_connections_per_peer): concurrent connections from one address | none | the same |
/// | [`max_concurrent_streams`](Server::max_concurrent_streams): concurrent requests of one HTTP/2 connection | 200 | the stream is refused |
/// | [`max_reset_streams`](Server::max_reset_streams): streams that a client resets before their responses | 20 at a time | GOAWAY, then close |
/// | [`http2_ping_interval`](Server::http2_ping_interval): interval of pings to a silent HTTP/2 client | 60 s, and 20 s for the reply | close |
/// | [`http2_max_control_frames`](Server::http2_max_control_frames): HTTP/2 frames of a client that request nothing | 1,000 a second | GOAWAY, then close |
///
/// Timeouts longer than a year are set to a year.
///
/// If the application does not read a request body to its end, the server reads what has arrived already, and closes
/// the connection if the body is not complete. A chunked body with too little content (64 KiB of overhead, and sixteen
/// bytes of overhead for each byte of content, are allowed) ends its connection. hyper itself limits chunk extensions
/// (16 KiB) and trailers.
///
/// A client that has closed its sending side after a whole request still gets its response. If a client resets the
/// connection, or closes its side in the middle of a request, the server notices within a second and drops the request.
/// Over TLS the server cannot know how much of a request is missing, so there only a reset drops it.
impl Server {
    /// Sets the timeout for a request's head, from its first byte on. By default 30 seconds.
    ///
    /// It also applies to the first bytes of a connection.
    pub fn header_read_timeout(mut self, timeout: Duration) -> Server {
        self.settings.limits.header_read_timeout = at_most(timeout);
        self
    }

    /// Sets how long a connection may stay open without a request. By default 75 seconds.
    ///
    /// Behind a proxy set it above the proxy's own timeout. Then the proxy closes the connection, and no request
    /// arrives on a closing connection.
    pub fn keep_alive_timeout(mut self, timeout: Duration) -> Server {
        self.settings.limits.keep_alive_timeout = at_most(timeout);
        self
    }

    /// Sets whether an HTTP/1 connection may have more than one request. By default `true`.
    ///
    /// With `false`, each response has `Connection: close` (RFC 9112, section 9.6), and the client needs a new
    /// connection for each request.
    pub fn keep_alive(mut self, is_kept: bool) -> Server {
        self.settings.limits.is_kept_alive = is_kept;
        self
    }

    /// Sets whether HTTP/1 header names are sent like `Content-Type`. By default `false`: `content-type`.
    ///
    /// Names are case-insensitive (RFC 9110, section 5.1), but some programs do not know that.
    pub fn title_case_headers(mut self, is_title_case: bool) -> Server {
        self.settings.limits.is_title_case = is_title_case;
        self
    }

    /// Sets how long the application may wait for the next data of a body. By default 60 seconds.
    pub fn body_read_timeout(mut self, timeout: Duration) -> Server {
        self.settings.limits.pace.idle = at_most(timeout);
        self
    }

    /// Sets the minimum rate of a body in bytes a second. By default 0, for any rate.
    ///
    /// It is the average over all the time that the application waits for the body, and applies after five seconds. It
    /// stops clients that keep a body open forever by sending a byte now and then.
    pub fn min_body_rate(mut self, bytes_per_second: u64) -> Server {
        self.settings.limits.pace.rate = bytes_per_second;
        self
    }

    /// Sets how long a client may read nothing of a response. By default 60 seconds.
    ///
    /// After that its connection is closed, or over HTTP/2 its stream reset. Only the time in which the server waits
    /// for the client counts. Bytes count as read once they fit into the system's buffers, and over HTTP/2 into the
    /// windows that the client opened.
    pub fn write_timeout(mut self, timeout: Duration) -> Server {
        self.settings.limits.write_pace.timeout = at_most(timeout);
        self
    }

    /// Sets the minimum rate at which a client reads a response. By default 100 bytes a second.
    ///
    /// 0 allows any rate. Only the time in which the server waits for the client counts. Each time that these waits add
    /// up to the [`write_timeout`](Server::write_timeout), the client must have read that many seconds' worth of bytes.
    /// It stops clients that keep a response open forever by reading a byte now and then.
    pub fn min_write_rate(mut self, bytes_per_second: u64) -> Server {
        self.settings.limits.write_pace.rate = bytes_per_second;
        self
    }

    /// Limits the headers of a request, repeated ones counted. By default 100; at most 16,384.
    ///
    /// Beyond it the response is a 431.
    pub fn max_headers(mut self, count: usize) -> Server {
        self.settings.limits.max_headers = count.min(MAX_HEADERS);
        self
    }

    /// Limits the bytes of a request's head. By default 64 KiB. Beyond it: 431.
    pub fn max_header_size(mut self, bytes: usize) -> Server {
        self.settings.limits.max_header_size = bytes;
        self
    }

    /// Limits the bytes of a head's first line. By default 16 KiB.
    ///
    /// Nearly all of it is the target. Beyond it the response is a 414.
    ///
    /// For pipelined requests, sent before the response to the previous one, the limit of the head applies instead.
    pub fn max_request_line(mut self, bytes: usize) -> Server {
        self.settings.limits.max_request_line = bytes;
        self
    }

    /// Limits concurrent connections. By default 10,000. Further clients get a 503.
    pub fn max_connections(mut self, connections: usize) -> Server {
        self.settings.limits.max_connections = connections;
        self
    }

    /// Limits concurrent connections from one address. By default there is no such limit.
    ///
    /// Behind a proxy every connection has the proxy's address.
    pub fn max_connections_per_peer(mut self, connections: usize) -> Server {
        self.settings.limits.max_connections_per_peer = Some(connections);
        self
    }
}

/// # Limits of HTTP/2
#[cfg(feature = "http2")]
impl Server {
    /// Limits concurrent requests of one HTTP/2 connection. By default 200.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Server {
        self.settings.limits.http2.max_concurrent_streams = streams;
        self
    }

    /// Limits pending streams of an HTTP/2 connection that its client has already reset. By default 20.
    ///
    /// It bounds the cost of clients that send requests and cancel them at once (CVE-2023-44487).
    pub fn max_reset_streams(mut self, streams: usize) -> Server {
        self.settings.limits.http2.max_reset_streams = streams;
        self
    }

    /// Sets the interval of PINGs to a silent HTTP/2 client. By default 60 seconds.
    ///
    /// The client has 20 seconds to reply (RFC 9113, section 6.7).
    pub fn http2_ping_interval(mut self, interval: Duration) -> Server {
        self.settings.limits.http2.ping_interval = at_most(interval);
        self
    }

    /// Limits the frames a second of an HTTP/2 client that request nothing. By default 1,000.
    ///
    /// These are SETTINGS, resets, empty DATA, and also PING, WINDOW_UPDATE and others beyond those that belong to its
    /// requests and to the responses that it reads. It bounds the cost of floods (CVE-2019-9512 and others).
    pub fn http2_max_control_frames(mut self, frames_per_second: u32) -> Server {
        self.settings.limits.max_control_frames = frames_per_second;
        self
    }
}
