//! The limits of a server.

use std::time::Duration;

use crate::server::Server;
use crate::server::connection::limits::{MAX_HEADERS, at_most};

/// # Limits
///
/// All of them hold unless they are set otherwise. What a client gets that goes beyond one, and how it is set:
///
/// | limit | default | beyond it |
/// |---|---|---|
/// | [`header_read_timeout`](Server::header_read_timeout): the first bytes, TLS, and a head from its first byte to its last | 30 s | 408 and the end; nothing where no byte came |
/// | [`keep_alive_timeout`](Server::keep_alive_timeout): no request is in flight | 75 s | the end; over HTTP/2 with a GOAWAY |
/// | [`body_read_timeout`](Server::body_read_timeout): nothing comes of a body that the application waits for | 60 s | the body fails, a 408 where the application passes that on |
/// | [`min_body_rate`](Server::min_body_rate): too little comes of it | none | the same |
/// | [`write_timeout`](Server::write_timeout): the client takes nothing of a response | 60 s | the end; over HTTP/2 of the stream |
/// | [`min_write_rate`](Server::min_write_rate): it takes too little of it | 100 bytes a second | the same |
/// | [`max_headers`](Server::max_headers): header lines | 100 | 431 |
/// | [`max_header_size`](Server::max_header_size): bytes of a head | 64 KiB | 431 |
/// | [`max_request_line`](Server::max_request_line): bytes of its first line | 16 KiB | 414; over HTTP/2 the limit of the head is the one |
/// | [`max_connections`](Server::max_connections): connections at a time | 10,000 | 503 with `Retry-After` and the end; the end at once over TLS |
/// | [`max_connections_per_peer`](Server::max_connections_per_peer): of one address | none | the same |
/// | [`max_concurrent_streams`](Server::max_concurrent_streams): requests at a time of one HTTP/2 connection | 200 | the stream is refused |
/// | [`max_reset_streams`](Server::max_reset_streams): streams that a client resets before they are answered | 20 at a time | GOAWAY and the end |
/// | [`http2_ping_interval`](Server::http2_ping_interval): how often a silent HTTP/2 client is asked | 60 s, 20 s for its answer | the end |
/// | [`http2_max_control_frames`](Server::http2_max_control_frames): frames of an HTTP/2 client that ask for nothing | 1,000 a second | GOAWAY and the end |
///
/// Times beyond a year are a year.
///
/// A request body that nobody reads to its end is read as far as it has come already, and the connection closed where
/// that is not all of it. A chunked body of which too little is content (64 KiB and sixteen times as many bytes as there
/// are of content) ends its connection; hyper bounds extensions of chunks (16 KiB) and trailers by itself.
///
/// A client that has closed its side after a whole request still gets its response. One that has reset the connection,
/// or closed its side in the middle of a request, is noticed within a second, and its request is dropped. Over TLS nobody
/// knows how much of a request is still missing, so there only a reset drops it.
impl Server {
    /// How long a client may take to send a request's head, from its first byte on, and to begin with; 30 seconds by
    /// default.
    pub fn header_read_timeout(mut self, timeout: Duration) -> Server {
        self.limits.header_read_timeout = at_most(timeout);
        self
    }

    /// How long a connection may go without a request before it is closed; 75 seconds by default.
    ///
    /// Behind a proxy set it above the proxy's own, so that it is the proxy that closes and no request meets a closing
    /// connection.
    pub fn keep_alive_timeout(mut self, timeout: Duration) -> Server {
        self.limits.keep_alive_timeout = at_most(timeout);
        self
    }

    /// Whether an HTTP/1 connection may have a second request; `true` by default.
    ///
    /// Without, each answer has `Connection: close` (RFC 9112, section 9.6), and costs its client a connection.
    pub fn keep_alive(mut self, is_kept: bool) -> Server {
        self.limits.is_kept_alive = is_kept;
        self
    }

    /// Whether HTTP/1 names of headers are sent as `Content-Type` rather than `content-type`; `false` by default.
    ///
    /// They are the same to everybody who reads RFC 9110, section 5.1; some programs do not.
    pub fn title_case_headers(mut self, is_title_case: bool) -> Server {
        self.limits.is_title_case = is_title_case;
        self
    }

    /// How long nothing may come of a body that the application waits for; 60 seconds by default.
    pub fn body_read_timeout(mut self, timeout: Duration) -> Server {
        self.limits.pace.idle = at_most(timeout);
        self
    }

    /// How many bytes a second have to come of a body, taken over all the time that the application waits for it, after
    /// five seconds; 0, the default, for any.
    ///
    /// It ends what a client makes last for ever by a byte now and then.
    pub fn min_body_rate(mut self, bytes_per_second: u64) -> Server {
        self.limits.pace.rate = bytes_per_second;
        self
    }

    /// How long a client may take nothing of a response; 60 seconds by default. After that its connection is closed, over
    /// HTTP/2 its stream reset.
    ///
    /// Only time counts in which the server waits for the client. Bytes are taken once they fit into the buffers of the
    /// system, and over HTTP/2 into the windows that the client opened.
    pub fn write_timeout(mut self, timeout: Duration) -> Server {
        self.limits.write_pace.timeout = at_most(timeout);
        self
    }

    /// How many bytes a second a client has to take of a response while the server waits for it; 100 by default, 0 for
    /// any.
    ///
    /// It ends what a client makes last for ever by taking a byte now and then: of every
    /// [`write_timeout`](Server::write_timeout) that the server waits in all, the client takes that many times this.
    pub fn min_write_rate(mut self, bytes_per_second: u64) -> Server {
        self.limits.write_pace.rate = bytes_per_second;
        self
    }

    /// How many header lines a request may have; 100 by default, and 16,384 at most. One with more is answered 431.
    pub fn max_headers(mut self, count: usize) -> Server {
        self.limits.max_headers = count.min(MAX_HEADERS);
        self
    }

    /// How many bytes a request's head may have; 64 KiB by default. One with more is answered 431.
    pub fn max_header_size(mut self, bytes: usize) -> Server {
        self.limits.max_header_size = bytes;
        self
    }

    /// How many bytes the first line of a head may have, which is as good as the target; 16 KiB by default. One with more
    /// is answered 414. Of requests that are sent before the one before is answered the limit of the head is the one.
    pub fn max_request_line(mut self, bytes: usize) -> Server {
        self.limits.max_request_line = bytes;
        self
    }

    /// How many connections there may be at a time; 10,000 by default. Others are answered 503.
    pub fn max_connections(mut self, connections: usize) -> Server {
        self.limits.max_connections = connections;
        self
    }

    /// How many connections one address may have at a time; as many as there may be in all by default.
    ///
    /// Behind a proxy every connection has the proxy's address.
    pub fn max_connections_per_peer(mut self, connections: usize) -> Server {
        self.limits.max_connections_per_peer = Some(connections);
        self
    }
}

/// # Limits of HTTP/2
#[cfg(feature = "http2")]
impl Server {
    /// How many requests of one HTTP/2 connection may be answered at a time; 200 by default.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Server {
        self.limits.http2.max_concurrent_streams = streams;
        self
    }

    /// How many streams of an HTTP/2 connection may wait that its client has reset already; 20 by default.
    ///
    /// It bounds what a client costs that asks and takes back at once (CVE-2023-44487).
    pub fn max_reset_streams(mut self, streams: usize) -> Server {
        self.limits.http2.max_reset_streams = streams;
        self
    }

    /// How often an HTTP/2 client from which nothing comes is asked whether it is still there (PING, RFC 9113, section
    /// 6.7); every 60 seconds by default. It has 20 seconds to answer.
    pub fn http2_ping_interval(mut self, interval: Duration) -> Server {
        self.limits.http2.ping_interval = at_most(interval);
        self
    }

    /// How many frames a second an HTTP/2 client may send that ask for nothing: SETTINGS, resets, empty DATA, and PING,
    /// WINDOW_UPDATE and others beyond those that go with its requests and with what it takes; 1,000 by default.
    ///
    /// It bounds what a client costs that floods the server with them (CVE-2019-9512 and others).
    pub fn http2_max_control_frames(mut self, frames_per_second: u32) -> Server {
        self.limits.max_control_frames = frames_per_second;
        self
    }
}
