//! The last response of a connection, and the report of its end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::listening::Socket;
use crate::server::connection::close_reason::CloseReason;
use crate::server::connection::date;
use crate::server::connection::limits::Limits;
use crate::server::connection::stream::Stream;
use crate::server::connection::wire::Wire;
use crate::server::refusal::{Refusal, RefusalHooks};

/// The timeout for the last response.
const GOODBYE: Duration = Duration::from_secs(1);
/// How many KiB from the client are read meanwhile.
const LINGER: usize = 256;

pub(super) fn report(
    refusals: &RefusalHooks,
    peer: Option<SocketAddr>,
    status: Option<StatusCode>,
    reason: CloseReason,
) {
    let reason = match reason {
        CloseReason::SlowHead => "timed out reading the head",
        CloseReason::LongLine => "the request line is too long",
        CloseReason::Fragment => "the target has a fragment",
        CloseReason::Overhead => "the chunked body has too little content",
        CloseReason::CheapFrames => "too many frames that request nothing",
        // These are not faults of the client, and a log of the application has them.
        CloseReason::Idle | CloseReason::Gone => return,
    };
    refusals.report(&Refusal::new(peer, status, reason));
}

/// Rejects a client beyond the limit of connections.
pub(in crate::server) async fn refuse(socket: Socket, limits: &Limits) {
    let stream = Stream::new(Wire::new(socket, limits.write_pace));
    let status = StatusCode::SERVICE_UNAVAILABLE;
    respond(stream, status, "retry-after: 1\r\n").await;
}

/// Sends this response, and reads from the client for a moment: closing a socket with unread bytes resets it, and the
/// response would be lost (RFC 9112, section 9.6).
pub(super) async fn respond(mut stream: Stream, status: StatusCode, headers: &str) {
    let date = date::now();
    let date = date.to_str().unwrap_or_default();
    let end = format!("connection: close\r\ncontent-length: 0\r\ndate: {date}\r\n\r\n");
    let response = format!("HTTP/1.1 {status}\r\n{headers}{end}");
    let said = tokio::time::timeout(GOODBYE, stream.write_all(response.as_bytes()));
    // The connection ends in any case.
    if matches!(said.await, Ok(Ok(()))) {
        part(&mut stream).await;
    }
}

/// Closes this side, and reads from the client for a moment.
pub(super) async fn part(stream: &mut Stream) {
    let closed = async {
        stream.flush().await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        for _ in 0..LINGER {
            if stream.read(&mut rest).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(GOODBYE, closed).await;
}
