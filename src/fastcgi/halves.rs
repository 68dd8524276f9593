//! The two directions of a connection.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::record::{MalformedRecord, Record, write_reply};
use crate::listening::web_server::Settings;

/// How many bytes are read at a time.
const PART: usize = 16 * 1024;
/// How long to wait for the web server to close a connection that is over.
const LINGER: Duration = Duration::from_secs(2);

/// The direction that the web server writes.
pub(super) struct RecordReader<S> {
    pub(super) stream: ReadHalf<S>,
    pub(super) buffer: BytesMut,
}

impl<S: AsyncRead> RecordReader<S> {
    /// The next record; `None` at the end. Dropping the future loses nothing.
    pub(super) async fn record(&mut self) -> io::Result<Option<Record>> {
        loop {
            if let Some(record) = Record::decode(&mut self.buffer)? {
                return Ok(Some(record));
            }
            self.buffer.reserve(PART);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// Reads to the end and drops all of it.
    pub(super) async fn drain(&mut self) {
        loop {
            self.buffer.clear();
            self.buffer.reserve(PART);
            if !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
                return;
            }
        }
    }
}

/// The direction that the web server reads.
pub(super) struct RecordWriter<S> {
    pub(super) stream: WriteHalf<S>,
    /// Whole records that are to be written; dropping the future loses none of them.
    pub(super) buffer: BytesMut,
    pub(super) settings: Settings,
}

impl<S: AsyncWrite> RecordWriter<S> {
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            if self.stream.write_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.stream.flush().await
    }

    pub(super) fn reply(&mut self, record: &Record) -> Result<(), MalformedRecord> {
        write_reply(&mut self.buffer, record, self.settings.max_connections)
    }
}

/// Closes a connection, once the web server has read all that is to be written.
pub(super) async fn end<S: AsyncRead + AsyncWrite>(
    mut reader: RecordReader<S>,
    mut writer: RecordWriter<S>,
) -> io::Result<()> {
    writer.flush().await?;
    let _ = writer.stream.shutdown().await;
    // Closing with unread bytes would discard written ones (RFC 9112, section 9.6, about TCP).
    let _ = tokio::time::timeout(LINGER, reader.drain()).await;
    Ok(())
}
