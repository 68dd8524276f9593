//! One connection, which is one request.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use enfilade_core::{Application, Body, HttpError, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::netstring::decode;
use crate::cgi::{Feed, Variables, content_length, received, request, respond, write_head};
use crate::listening::web_server::{Serving, Settings};
use crate::race::{First, race};

/// How many bytes are read at a time.
const PART: usize = 16 * 1024;
/// How long to wait for the web server to close a connection that is over.
const LINGER: Duration = Duration::from_secs(2);

/// Serves a connection to its end.
pub(super) async fn serve<S>(
    stream: S,
    app: &Application,
    settings: Settings,
    mut serving: Serving,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = BytesMut::new();
    let head = head(&mut reader, &mut buffer, settings.max_variables_size);
    let head = tokio::time::timeout(settings.head_read_timeout, head);
    // A connection without any bytes can be dropped.
    let head = match race(head, serving.end()).await {
        First::Left(head) => head??,
        First::Right(()) => None,
    };
    let Some(head) = head else {
        return Ok(());
    };
    let length = head
        .as_ref()
        .ok()
        .and_then(|variables| content_length(variables).ok()?)
        .unwrap_or(0);
    let (body, feed) = received(Some(length));
    let request = head.and_then(|variables| made(&variables, body, settings));
    let outgoing = async {
        let response = respond(app, request, serving.spawner()).await;
        send(&mut writer, response).await
    };
    let incoming = receive(&mut reader, &mut buffer, length, feed);
    match race(outgoing, incoming).await {
        First::Left(sent) => sent?,
        First::Right(gone) => return Err(gone),
    }
    let _ = writer.shutdown().await;
    // Closing with unread bytes would discard written ones.
    let _ = tokio::time::timeout(LINGER, drain(&mut reader, &mut buffer)).await;
    Ok(())
}

fn made(variables: &Variables, body: Body, settings: Settings) -> Result<Request, HttpError> {
    match settings.is_at_root {
        true => request(&variables.at_root(), body),
        false => request(variables, body),
    }
}

/// Reads the variables, or returns the error in them; `None` if the connection ends before.
async fn head<S: AsyncRead>(
    reader: &mut ReadHalf<S>,
    buffer: &mut BytesMut,
    max: usize,
) -> io::Result<Option<Result<Variables, HttpError>>> {
    loop {
        match decode(buffer, max) {
            Ok(Some(variables)) => return Ok(Some(Ok(variables))),
            Ok(None) => {}
            Err(error) => return Ok(Some(Err(error))),
        }
        buffer.reserve(PART);
        if reader.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Receives the body, and then waits for the end of the connection, which it returns.
///
/// The web server waits if the application does not read.
async fn receive<S: AsyncRead>(
    reader: &mut ReadHalf<S>,
    buffer: &mut BytesMut,
    length: u64,
    feed: Feed,
) -> io::Error {
    let mut left = length;
    let mut feed = Some(feed);
    loop {
        let count = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if count > 0 {
            left -= count as u64;
            let part = buffer.split_to(count).freeze();
            let sent = match &feed {
                Some(feed) => feed.send(part).await.is_ok(),
                None => true,
            };
            // Data that is no longer read is skipped.
            if !sent {
                feed = None;
            }
        }
        if left == 0 {
            buffer.clear();
        }
        buffer.reserve(PART);
        match reader.read_buf(buffer).await {
            Ok(0) => return io::ErrorKind::ConnectionAborted.into(),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

/// Writes a response as it is produced. An aborted response ends the connection.
async fn send<S: AsyncWrite>(writer: &mut WriteHalf<S>, response: Response) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    write_head(&response, &mut buffer);
    let mut body = response.into_body();
    if !body.is_in_memory() {
        write(writer, &mut buffer).await?;
    }
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            buffer.extend_from_slice(&data);
            write(writer, &mut buffer).await?;
        }
    }
    write(writer, &mut buffer).await
}

async fn write<S: AsyncWrite>(writer: &mut WriteHalf<S>, buffer: &mut BytesMut) -> io::Result<()> {
    writer.write_all(buffer).await?;
    buffer.clear();
    writer.flush().await
}

/// Reads to the end and drops all of it.
async fn drain<S: AsyncRead>(reader: &mut ReadHalf<S>, buffer: &mut BytesMut) {
    loop {
        buffer.clear();
        buffer.reserve(PART);
        if !matches!(reader.read_buf(buffer).await, Ok(1..)) {
            return;
        }
    }
}
