//! The timeout of a thread that waits for a slow client.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// How often a waiting thread checks whether a call waits for a thread.
const LOOKS: Duration = Duration::from_millis(100);

/// Lets threads wait for clients as long as no call waits for a thread.
#[derive(Clone, Debug)]
pub(super) struct ClientTimeout {
    /// The timeout while a call waits for a thread.
    pub(super) timeout: Duration,
    /// The number of calls that wait for a thread.
    pub(super) waiting: Arc<AtomicUsize>,
}

/// The client disconnected or is too slow.
#[derive(Debug)]
pub(super) struct ClientGone;

impl ClientTimeout {
    /// Sends an item towards the client, and waits until there is room for it.
    pub(super) fn send<T>(&self, sender: &Sender<T>, item: T) -> Result<(), ClientGone> {
        let item = match sender.try_send(item) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(ClientGone),
            Err(TrySendError::Full(item)) => item,
        };
        let began = Instant::now();
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut room = pin!(sender.reserve());
        loop {
            if let Poll::Ready(room) = room.as_mut().poll(&mut context) {
                room.map_err(|_| ClientGone)?.send(item);
                return Ok(());
            }
            if began.elapsed() >= self.timeout && self.waiting.load(Ordering::Relaxed) > 0 {
                return Err(ClientGone);
            }
            std::thread::park_timeout(LOOKS);
        }
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn client_timeout(waiting: usize) -> ClientTimeout {
        ClientTimeout {
            timeout: Duration::from_millis(300),
            waiting: Arc::new(waiting.into()),
        }
    }

    #[test]
    fn a_thread_waits_until_there_is_room() {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        let reader = std::thread::spawn(move || {
            // Longer than a thread waits while a call waits for one.
            std::thread::sleep(Duration::from_millis(600));
            [receiver.blocking_recv(), receiver.blocking_recv()]
        });
        client_timeout(0).send(&sender, 2).unwrap();
        assert_eq!(reader.join().unwrap(), [Some(1), Some(2)]);
    }

    #[test]
    fn a_thread_gives_up_when_another_call_waits_for_it() {
        let (sender, _receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        let began = Instant::now();
        assert!(client_timeout(1).send(&sender, 2).is_err());
        assert!(began.elapsed() >= Duration::from_millis(300));
    }

    #[test]
    fn a_disconnect_is_noticed_at_once() {
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        let reader = std::thread::spawn(move || drop(receiver));
        assert!(client_timeout(0).send(&sender, 2).is_err());
        reader.join().unwrap();
    }
}
