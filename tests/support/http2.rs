//! A client of HTTP/2 that shows the parts of a response, its trailers, and resets.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Version, request};
use http_body::Frame;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// The timeout for what must come; far longer than it takes, for machines under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A client's end of a connection.
pub(crate) struct Client {
    sender: SendRequest<Bytes>,
    runtime: Runtime,
}

/// A sent request, with the stream for its content.
pub(crate) struct Sent {
    pub(crate) content: SendStream<Bytes>,
    response: ResponseFuture,
}

/// A response that has begun.
#[derive(Debug)]
pub(crate) struct StreamResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: RecvStream,
}

/// The content of a response: its parts joined, and the trailers or the reason of the reset.
pub(crate) type Content = (String, Result<Option<HeaderMap>, h2::Reason>);

/// A GET by prior knowledge; a target without an authority has no `:authority`.
pub(crate) fn get(target: &str) -> request::Builder {
    let version = match target.starts_with("http://") {
        true => Version::HTTP_2,
        // `h2` sends no `:authority` only in this way.
        false => Version::HTTP_11,
    };
    Request::get(target).version(version)
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Client {
        // The connection runs while a test does something else, so it has a thread.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (sender, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Client { sender, runtime }
    }

    /// Waits for what must come soon.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let waited = async { timeout(PATIENCE, future).await };
        self.runtime.block_on(waited).unwrap()
    }

    /// Sends a request whose content follows; fails if the server accepts no more.
    pub(crate) fn try_begin(&self, request: request::Builder) -> Result<Sent, h2::Error> {
        self.send(request, false)
    }

    /// Sends a request whose content follows.
    pub(crate) fn begin(&self, request: request::Builder) -> Sent {
        self.try_begin(request).unwrap()
    }

    /// Sends a request without content.
    pub(crate) fn ask(&self, request: request::Builder) -> Sent {
        self.send(request, true).unwrap()
    }

    fn send(&self, request: request::Builder, is_end: bool) -> Result<Sent, h2::Error> {
        let mut sender = self.wait(self.sender.clone().ready())?;
        let (response, content) = sender.send_request(request.body(()).unwrap(), is_end)?;
        Ok(Sent { content, response })
    }

    /// Waits until a response begins; fails if the stream is reset before.
    pub(crate) fn try_response(&self, sent: Sent) -> Result<StreamResponse, h2::Error> {
        let (head, body) = self.wait(sent.response)?.into_parts();
        Ok(StreamResponse {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }

    /// Waits until a response begins, and drops the request's content.
    pub(crate) fn response(&self, sent: Sent) -> StreamResponse {
        self.try_response(sent).unwrap()
    }

    /// Waits until a response begins, before the content is sent.
    pub(crate) fn early_response(&self, sent: Sent) -> (StreamResponse, SendStream<Bytes>) {
        let Sent { content, response } = sent;
        let (head, body) = self.wait(response).unwrap().into_parts();
        let response = StreamResponse {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        };
        (response, content)
    }

    /// Reads some of a response's content; `None` at its end.
    pub(crate) fn part(&self, response: &mut StreamResponse) -> Option<Result<Bytes, h2::Error>> {
        let part = self.wait(response.body.data());
        if let Some(Ok(part)) = &part {
            let _ = response.body.flow_control().release_capacity(part.len());
        }
        part
    }

    /// Reads all of a response's content.
    pub(crate) fn content(&self, mut response: StreamResponse) -> Content {
        let mut content = Vec::new();
        let end = loop {
            match self.part(&mut response) {
                Some(Ok(part)) => content.extend_from_slice(&part),
                Some(Err(error)) => break Err(error.reason().unwrap()),
                None => break Ok(self.wait(response.body.trailers()).unwrap()),
            }
        };
        (String::from_utf8(content).unwrap(), end)
    }

    /// Returns the status and the content of the response to a GET.
    pub(crate) fn text(&self, target: &str) -> (u16, String) {
        let response = self.response(self.ask(get(target)));
        (response.status, self.content(response).0)
    }
}

/// A body of the results of `next`, however it computes them.
pub(crate) struct Parts<F>(pub(crate) F);

impl<F> http_body::Body for Parts<F>
where
    F: FnMut() -> Option<Result<Bytes, std::io::Error>> + Unpin,
{
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready((self.0)().map(|part| part.map(Frame::data)))
    }
}
