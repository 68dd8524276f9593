//! Serves HTTP on one connection of an inline server, with hyper.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;

use crate::serve::inline::connection::Connection;
use crate::serve::inline::limits::Limits;
use crate::serve::inline::service::Service;
use crate::serve::inline::stream::Stream;

/// The limit of a head, in bytes.
///
/// The limit of its lines is 100, hyper's default: setting it costs hyper an allocation per request.
const MAX_HEADER_SIZE: usize = 64 * 1024;

/// Serves a connection to its end, within its timeouts and until the server stops.
pub(super) async fn drive(connection: Rc<Connection>, service: Service, limits: Limits) {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .max_header_size(MAX_HEADER_SIZE)
        .keep_alive(limits.is_kept_alive)
        .title_case_headers(limits.is_title_case);
    let stream = TokioIo::new(Stream::new(connection.clone()));
    let mut serving = Box::pin(http.serve_connection(stream, service));
    poll_fn(|context| {
        if connection.is_over.get() {
            return Poll::Ready(());
        }
        // A client that disconnects is not an error of this server; hyper has sent what it could.
        serving.as_mut().poll(context).map(drop)
    })
    .await;
    poll_fn(|_| match connection.has_left() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
    connection.prepare_close();
}
