//! HTTP/1 connections after an upgrade.

use std::pin::pin;

use bytes::Bytes;
use tokio::sync::oneshot::error::TryRecvError;

use crate::failures::FailureHooks;
use crate::listening::Watch;
use crate::race::{First, race};
use crate::server::connection::goodbye::part;
use crate::server::connection::lifetime::Share;
use crate::server::connection::pending_upgrade::PendingUpgrade;
use crate::server::connection::stream::Stream;
use crate::upgraded::{FuturesStream, Lent};

/// Runs the upgrade over an HTTP/1 connection, until it, the server or the client ends it.
///
/// `ahead` was read already. The application may wait for something other than the connection, so a disconnected client
/// is detected here. The application may also keep the connection in another task: then that task has it until it drops
/// it.
pub(super) async fn run(
    pending: PendingUpgrade,
    mut stream: Stream,
    ahead: Bytes,
    share: &mut Share,
    failures: &FailureHooks,
    watch: &Watch,
) {
    stream.leave_http(&ahead);
    // It shares hyper's buffer, which is not kept for an idle connection.
    drop(ahead);
    // A client that vanished sends nothing, like an idle one.
    watch.probe();
    let mut is_over = pin!(race(share.over(), watch.reset()));
    let (lent, mut back) = Lent::new(stream);
    let task = pending.task.run(FuturesStream(lent));
    let stream = match race(task, &mut is_over).await {
        First::Left(Ok(())) => match back.try_recv() {
            Err(TryRecvError::Empty) => match race(back, &mut is_over).await {
                First::Left(stream) => stream.ok(),
                First::Right(_) => None,
            },
            stream => stream.ok(),
        },
        First::Left(Err(error)) => {
            failures.body_failed(&error, pending.request_id.as_ref());
            None
        }
        First::Right(_) => None,
    };
    if let Some(mut stream) = stream {
        // Its last writes are not lost.
        part(&mut stream).await;
    }
}
