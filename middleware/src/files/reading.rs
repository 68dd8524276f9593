//! Reads from files at offsets.

use std::fs::File;
use std::io;

use bytes::Bytes;
use enfilade_core::BoxError;

use crate::files::buffers::read_into;

/// Reads at most `limit` bytes at an offset, and blocks.
pub(super) fn read(file: &File, offset: u64, limit: usize) -> Result<Bytes, BoxError> {
    read_into(limit, |room| {
        loop {
            match positioned(file, room, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(BoxError::from),
            }
        }
    })
}

/// Reads all of these bytes if the system has them in memory, without a hop to another thread.
///
/// Linux 5.9 and 5.10 may return less than they have, and the end of a file looks the same: then the read is done again,
/// where it may block. A file system that cannot do it is asked in vain each time, which costs one call a read.
#[cfg(target_os = "linux")]
pub(super) fn read_cached(file: &File, offset: u64, limit: usize) -> Option<Bytes> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let read = read_into(limit, |room| {
        let wanted = room.len();
        let slices = &mut [io::IoSliceMut::new(room)];
        match preadv2(file, slices, offset, ReadWriteFlags::NOWAIT) {
            Ok(count) if count == wanted => Ok(count),
            _ => Err(()),
        }
    });
    read.ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read_cached(_: &File, _: u64, _: usize) -> Option<Bytes> {
    None
}

/// Reads from a file at an offset, and blocks.
#[cfg(feature = "zip")]
pub(super) fn read_file_at(file: &File, room: &mut [u8], offset: u64) -> io::Result<usize> {
    positioned(file, room, offset)
}

#[cfg(unix)]
fn positioned(file: &File, room: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, room, offset)
}

/// It moves the file's cursor, which is not used.
#[cfg(windows)]
fn positioned(file: &File, room: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, room, offset)
}
