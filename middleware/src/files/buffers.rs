//! A pool of read buffers: the system maps and clears the pages of a new buffer each time.

use std::sync::LazyLock;

use bytes::Bytes;
use concurrent_queue::ConcurrentQueue;

/// The size of a buffer: the most that a body requests at once.
const SIZE: usize = 256 * 1024;
/// Reads up to this size get their own memory, so that a small file does not keep a large buffer.
const SMALL: usize = 64 * 1024;
/// The maximum number of idle buffers; 8 MiB.
const WAITING: usize = 32;

/// One pool for the whole process, like its threads for blocking reads: it has no visible effect on programs.
static BUFFERS: LazyLock<ConcurrentQueue<Vec<u8>>> =
    LazyLock::new(|| ConcurrentQueue::bounded(WAITING));

/// Reads at most `limit` bytes, with `read` into the buffer that it gets.
///
/// The buffer is reused when the last of the bytes is dropped.
pub(super) fn read_into<E>(
    limit: usize,
    read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<Bytes, E> {
    if limit <= SMALL {
        let mut bytes = vec![0; limit];
        let length = read(&mut bytes)?;
        bytes.truncate(length);
        return Ok(bytes.into());
    }
    let mut buffer = Buffer {
        bytes: BUFFERS.pop().unwrap_or_else(|_| vec![0; SIZE]),
        length: 0,
    };
    let room = buffer.bytes.len().min(limit);
    buffer.length = read(buffer.bytes.get_mut(..room).unwrap_or_default())?;
    Ok(Bytes::from_owner(buffer))
}

struct Buffer {
    /// Always [`SIZE`] bytes.
    bytes: Vec<u8>,
    length: usize,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // If the pool is full, it is freed.
        let _ = BUFFERS.push(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn read(limit: usize, with: u8, count: usize) -> Bytes {
        let fill = |room: &mut [u8]| {
            room[..count].fill(with);
            Ok::<_, Infallible>(count)
        };
        read_into(limit, fill).unwrap()
    }

    #[test]
    fn what_was_read_is_what_is_there_however_the_buffer_was_used_before() {
        for (limit, count) in [
            (10, 10),
            (10, 4),
            (SMALL, SMALL),
            (SMALL + 1, SMALL + 1),
            (SIZE, SIZE),
            (SIZE, 70_000),
            (SIZE, 0),
            (2 * SIZE, SIZE),
        ] {
            let bytes = read(limit, 1, count);
            assert_eq!(bytes, vec![1; count], "{limit}");
            let part = bytes.slice(count / 2..);
            drop(bytes);
            // Another read does not get the buffer while a part of it is in use.
            let other = read(limit, 2, count);
            assert_eq!(part, vec![1; count - count / 2]);
            assert_eq!(other, vec![2; count]);
        }
    }

    #[test]
    fn the_buffers_that_wait_are_bounded() {
        let many: Vec<_> = (0..2 * WAITING).map(|_| read(SIZE, 3, SIZE)).collect();
        drop(many);
        assert!(BUFFERS.len() <= WAITING);
        let failed = read_into(SIZE, |_| Err::<usize, _>("cable cut"));
        assert_eq!(failed.unwrap_err(), "cable cut");
    }
}
