use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};

use super::task::Conversation;
use super::*;
use crate::message::body::BodyEnd;
use crate::message::error::BodyErrorKind;

/// A peer that sends a few bytes, then the end, and accepts all writes, two bytes at a time.
struct Peer(io::Cursor<&'static [u8]>);

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(io::Read::read(&mut self.0, buffer))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len().min(2)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }
}

fn peer() -> Peer {
    Peer(io::Cursor::new(b"Hello"))
}

/// The task of an upgrade, and the report of its end.
fn task<F>(
    run: impl FnOnce(Upgraded) -> F + Send + 'static,
) -> (UpgradeTask, mpsc::Receiver<BodyEnd>)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let (sender, ends) = mpsc::channel();
    let mut response = Upgrade::new("x")
        .respond(run)
        .map(|body| body.on_end(move |end| sender.send(end).unwrap()));
    assert!(response.body().known_length().is_none() && !response.body().is_finished());
    let task = response.body_mut().take_upgrade().unwrap();
    drop(response);
    assert!(ends.try_recv().is_err());
    (task, ends)
}

async fn read(mut connection: Upgraded) -> io::Result<()> {
    let mut buffer = [0; 3];
    assert_eq!(connection.read(&mut buffer).await?, 3);
    connection.write_all(b"Hi, ").await?;
    assert_eq!(connection.read(&mut buffer).await?, 2);
    connection.write_all(b"Bob").await?;
    assert_eq!(connection.read(&mut buffer).await?, 0);
    connection.flush().await
}

#[test]
fn the_end_says_how_much_passed_and_how_it_went() {
    let end = |ended: Result<(), BodyErrorKind>, run: fn(Upgraded) -> Conversation| {
        let (task, ends) = task(run);
        let found = pollster::block_on(task.run(peer()));
        assert_eq!(found.map_err(|error| error.kind()), ended);
        let end = ends.recv().unwrap();
        (end.received(), end.bytes(), end.outcome())
    };
    let failed = Err(BodyErrorKind::Failed);
    assert_eq!(
        end(Ok(()), |io| Box::pin(read(io))),
        (5, 7, Outcome::Complete)
    );
    let gone = end(failed, |mut io| Box::pin(async move { io.close().await }));
    assert_eq!(gone, (0, 0, Outcome::Dropped));
    let other = end(failed, |_| {
        Box::pin(async { Err(io::Error::other("other")) })
    });
    assert_eq!(other, (0, 0, Outcome::Failed));
    let panicked = Err(BodyErrorKind::Panicked);
    let later = end(panicked, |_| Box::pin(async { panic!("boom") }));
    assert_eq!(later.2, Outcome::Failed);
    assert_eq!(end(panicked, |_| panic!("boom")).2, Outcome::Failed);
}

#[test]
fn what_is_dropped_says_so_once_the_application_is_gone() {
    let (dropped, drops) = mpsc::channel();
    let (unused, ends) = task(async |_: Upgraded| Ok(()));
    drop(unused);
    assert_eq!(ends.recv().unwrap().outcome(), Outcome::Dropped);
    let (begun, ends) = task(async move |_: Upgraded| {
        let _dropped = dropped;
        std::future::pending().await
    });
    let mut running = begun.run(peer());
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut running).poll(&mut context).is_pending());
    drop(running);
    assert_eq!(
        drops.try_recv(),
        Err::<(), _>(mpsc::TryRecvError::Disconnected)
    );
    assert_eq!(ends.recv().unwrap().outcome(), Outcome::Dropped);
    assert!(ends.recv().is_err());
}

#[test]
fn as_content_it_fails() {
    let response = Upgrade::new("x").respond(async |_: Upgraded| Ok(()));
    let body = response.into_body().with_trailers(http::HeaderMap::new());
    assert!(body.is_upgrade() && !body.is_in_memory());
    assert!(pollster::block_on(body.collect(10)).is_err());
}
