//! Waits for the first of several futures.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// The output of the one of two futures that was ready first.
#[derive(Debug, PartialEq)]
pub(crate) enum First<A, B> {
    Left(A),
    Right(B),
}

/// Waits for one of two futures. The left one is polled first, so that it wins if both are ready.
pub(crate) async fn race<A, B>(
    left: impl Future<Output = A>,
    right: impl Future<Output = B>,
) -> First<A, B> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    poll_fn(|context| match left.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(First::Left(output)),
        Poll::Pending => right.as_mut().poll(context).map(First::Right),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[test]
    fn the_left_one_wins_if_both_are_ready() {
        let first = pollster::block_on(race(ready(1), ready("two")));
        assert_eq!(first, First::Left(1));
        let first = pollster::block_on(race(pending::<u8>(), ready("two")));
        assert_eq!(first, First::Right("two"));
    }
}
