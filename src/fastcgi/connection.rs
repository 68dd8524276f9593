//! One connection: records on one side, the application on the other.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use enfilade_core::{Application, Body, BodyError, HttpError, Response};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::halves::{RecordReader, RecordWriter, end};
use super::record::{
    MalformedRecord, ProtocolStatus, Record, RecordType, variables, write_end, write_stream,
};
use crate::background::Spawner;
use crate::cgi::{Feed, Variables, content_length, received, request, respond, write_head};
use crate::listening::web_server::{Serving, Settings};
use crate::race::{First, race};

/// The maximum number of variables of a request.
const MAX_VARIABLES: usize = 1000;
/// How many replies to records outside of requests may wait.
const REPLIES: usize = 8;

/// How long a web server may take to pass on the data before a failure.
const PASSING_ON: Duration = Duration::from_millis(10);
/// An invalid record, of a version that never existed.
const NO_RECORD: [u8; 8] = [0; 8];

/// The role of this server (section 6.2), and the flag for a kept connection (section 5.1).
const RESPONDER: u16 = 1;
const KEEP_CONNECTION: u8 = 1;

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
    let (reader, writer) = tokio::io::split(stream);
    let mut reader = RecordReader {
        stream: reader,
        buffer: BytesMut::new(),
    };
    let mut writer = RecordWriter {
        stream: writer,
        buffer: BytesMut::new(),
        settings,
    };
    let mut is_new = true;
    loop {
        let next = head(&mut reader, &mut writer, is_new);
        let begun = match race(serving.end(), next).await {
            First::Left(()) => break,
            First::Right(begun) => begun?,
        };
        let Some(begun) = begun else {
            break;
        };
        is_new = false;
        let keep = begun.keep;
        exchange(&mut reader, &mut writer, (app, serving.spawner()), begun).await?;
        if !keep {
            break;
        }
    }
    end(reader, writer).await
}

/// A request that has begun.
struct BegunRequest {
    id: u16,
    keep: bool,
    variables: Result<Variables, HttpError>,
    /// The first part of the body, if its length is unknown.
    first: Option<Bytes>,
}

/// Reads records up to the body of a request; `None` if the connection ends before.
///
/// Records of requests that are over are skipped (section 3.3).
async fn head<S: AsyncRead + AsyncWrite>(
    reader: &mut RecordReader<S>,
    writer: &mut RecordWriter<S>,
    is_new: bool,
) -> io::Result<Option<BegunRequest>> {
    let limit = writer.settings.head_read_timeout;
    // A kept connection may wait as long as the web server wants.
    let mut record = match is_new {
        true => tokio::time::timeout(limit, reader.record()).await??,
        false => reader.record().await?,
    };
    loop {
        let Some(found) = record else {
            return Ok(None);
        };
        match found.record_type {
            _ if found.id == 0 => {
                writer.reply(&found)?;
                writer.flush().await?;
            }
            RecordType::BeginRequest => {
                let begun = tokio::time::timeout(limit, begin(reader, writer, &found)).await??;
                if begun.is_some() {
                    return Ok(begun);
                }
            }
            _ => {}
        }
        record = reader.record().await?;
    }
}

/// Reads a request from its first record up to its body; `None` if it is rejected or aborted.
async fn begin<S: AsyncRead + AsyncWrite>(
    reader: &mut RecordReader<S>,
    writer: &mut RecordWriter<S>,
    first: &Record,
) -> io::Result<Option<BegunRequest>> {
    let Some(&[role1, role0, flags]) = first.content.first_chunk::<3>() else {
        return Err(MalformedRecord("a request begins without a role").into());
    };
    if u16::from_be_bytes([role1, role0]) != RESPONDER {
        write_end(&mut writer.buffer, first.id, ProtocolStatus::UnknownRole);
        writer.flush().await?;
        return Ok(None);
    }
    let Some(variables) = params(reader, writer, first.id).await? else {
        return Ok(None);
    };
    let mut begun = BegunRequest {
        id: first.id,
        keep: flags & KEEP_CONNECTION != 0,
        variables,
        first: None,
    };
    let is_unmeasured = matches!(begun.variables.as_ref().map(content_length), Ok(Ok(None)));
    if is_unmeasured {
        // Web servers that pass bodies on while they arrive may not know their length; most requests have no body.
        match next_of(reader, writer, begun.id).await? {
            Some(record) if record.record_type == RecordType::Stdin => {
                begun.first = Some(record.content)
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(begun))
}

/// The variables of a request; `None` if it is aborted.
async fn params<S: AsyncRead + AsyncWrite>(
    reader: &mut RecordReader<S>,
    writer: &mut RecordWriter<S>,
    id: u16,
) -> io::Result<Option<Result<Variables, HttpError>>> {
    let mut content = BytesMut::new();
    let mut is_too_long = false;
    loop {
        let record = match next_of(reader, writer, id).await? {
            Some(record) if record.record_type == RecordType::Params => record.content,
            _ => return Ok(None),
        };
        if record.is_empty() {
            break;
        }
        is_too_long |= content.len() + record.len() > writer.settings.max_variables_size;
        if !is_too_long {
            content.extend_from_slice(&record);
        }
    }
    let too_large = HttpError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    Ok(Some(match is_too_long {
        true => Err(too_large),
        false => Ok(variables(&content.freeze(), MAX_VARIABLES)?),
    }))
}

/// The next record of a request; `None` if it is aborted, or the connection ends. Records of other requests get a
/// reply.
async fn next_of<S: AsyncRead + AsyncWrite>(
    reader: &mut RecordReader<S>,
    writer: &mut RecordWriter<S>,
    id: u16,
) -> io::Result<Option<Record>> {
    while let Some(record) = reader.record().await? {
        match record.record_type {
            _ if record.id == 0 => writer.reply(&record)?,
            RecordType::BeginRequest if record.id == id => return Err(twice().into()),
            RecordType::BeginRequest => write_end(
                &mut writer.buffer,
                record.id,
                ProtocolStatus::CannotMultiplex,
            ),
            _ if record.id != id => {}
            RecordType::AbortRequest => {
                write_end(&mut writer.buffer, id, ProtocolStatus::Complete);
                writer.flush().await?;
                return Ok(None);
            }
            RecordType::Params | RecordType::Stdin => return Ok(Some(record)),
            _ => {}
        }
        writer.flush().await?;
    }
    Ok(None)
}

fn twice() -> MalformedRecord {
    MalformedRecord("a request begins twice")
}

/// Handles one request while its body arrives.
async fn exchange<S: AsyncRead + AsyncWrite>(
    reader: &mut RecordReader<S>,
    writer: &mut RecordWriter<S>,
    (app, spawner): (&Application, &Spawner),
    begun: BegunRequest,
) -> io::Result<()> {
    let BegunRequest {
        id,
        variables,
        first,
        ..
    } = begun;
    let is_over = first.as_ref().is_some_and(Bytes::is_empty);
    let (body, feed) = body_of(&variables, first);
    let is_at_root = writer.settings.is_at_root;
    let request = variables.and_then(|variables| match is_at_root {
        true => request(&variables.at_root(), body),
        false => request(&variables, body),
    });
    let (replies, mut waiting) = mpsc::channel(REPLIES);
    let incoming = receive(reader, id, Some(feed).filter(|_| !is_over), replies);
    let outgoing = async {
        let mut response = pin!(respond(app, request, spawner));
        let response = with_replies(writer, &mut waiting, response.as_mut()).await?;
        send(writer, &mut waiting, id, response).await
    };
    match race(outgoing, incoming).await {
        First::Left(sent) => return sent,
        First::Right(ended) => ended?,
    }
    write_end(&mut writer.buffer, id, ProtocolStatus::Complete);
    writer.flush().await
}

/// The body of a request, with the part that has arrived.
fn body_of(variables: &Result<Variables, HttpError>, first: Option<Bytes>) -> (Body, Feed) {
    let variables = variables.as_ref().ok();
    let length = variables.and_then(|variables| content_length(variables).ok()?);
    let is_over = first.as_ref().is_some_and(Bytes::is_empty);
    let (body, feed) = received(if is_over { Some(0) } else { length });
    if let Some(first) = first {
        // There is room for one.
        let _ = feed.try_send(first);
    }
    (body, feed)
}

/// Receives the records of a request until it is aborted; the web server waits if the application does not read.
///
/// # Errors
///
/// If the web server disconnects or sends invalid FastCGI.
async fn receive<S: AsyncRead>(
    reader: &mut RecordReader<S>,
    id: u16,
    mut feed: Option<Feed>,
    replies: mpsc::Sender<Record>,
) -> io::Result<()> {
    while let Some(record) = reader.record().await? {
        match record.record_type {
            RecordType::BeginRequest if record.id == id => return Err(twice().into()),
            // The other side, which writes, replies to these.
            RecordType::BeginRequest => offer(&replies, record)?,
            _ if record.id == 0 => offer(&replies, record)?,
            _ if record.id != id => {}
            RecordType::AbortRequest => return Ok(()),
            RecordType::Stdin => {
                let is_last = record.content.is_empty();
                let sent = match &feed {
                    Some(feed) => feed.send(record.content).await.is_ok(),
                    None => true,
                };
                // Data that is no longer read is skipped.
                if is_last || !sent {
                    feed = None;
                }
            }
            _ => {}
        }
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}

fn offer(replies: &mpsc::Sender<Record>, record: Record) -> io::Result<()> {
    replies
        .try_send(record)
        .map_err(|_| MalformedRecord("too many records outside of requests").into())
}

/// Waits for a future, and writes replies meanwhile.
async fn with_replies<S: AsyncWrite, T>(
    writer: &mut RecordWriter<S>,
    replies: &mut mpsc::Receiver<Record>,
    mut awaited: Pin<&mut impl Future<Output = T>>,
) -> io::Result<T> {
    loop {
        let record = match race(awaited.as_mut(), replies.recv()).await {
            First::Left(value) => return Ok(value),
            First::Right(Some(record)) => record,
            // Nothing is received any longer.
            First::Right(None) => return Ok(awaited.await),
        };
        match record.record_type {
            RecordType::BeginRequest => write_end(
                &mut writer.buffer,
                record.id,
                ProtocolStatus::CannotMultiplex,
            ),
            _ => writer.reply(&record)?,
        }
        writer.flush().await?;
    }
}

/// Writes a response as it is produced. An aborted response has no end record, and the connection ends.
async fn send<S: AsyncWrite>(
    writer: &mut RecordWriter<S>,
    replies: &mut mpsc::Receiver<Record>,
    id: u16,
    response: Response,
) -> io::Result<()> {
    let mut head = BytesMut::new();
    write_head(&response, &mut head);
    write_stream(&mut writer.buffer, RecordType::Stdout, id, &head);
    let mut body: Body = response.into_body();
    if !body.is_in_memory() {
        writer.flush().await?;
    }
    loop {
        let frame = {
            let mut next = pin!(body.frame());
            with_replies(writer, replies, next.as_mut()).await?
        };
        let Some(frame) = frame else {
            break;
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return break_off(writer, error).await,
        };
        if let Ok(data) = frame.into_data() {
            write_stream(&mut writer.buffer, RecordType::Stdout, id, &data);
            writer.flush().await?;
        }
    }
    write_end(&mut writer.buffer, id, ProtocolStatus::Complete);
    writer.flush().await
}

/// Marks a response as incomplete.
///
/// If a web server does not know the length of a response, it takes the end of the connection for the end of the
/// response, and ignores the status of the application. But an invalid record makes it abort. Before that, it gets a
/// moment to pass on the data that it has.
async fn break_off<S: AsyncWrite>(
    writer: &mut RecordWriter<S>,
    error: BodyError,
) -> io::Result<()> {
    tokio::time::sleep(PASSING_ON).await;
    writer.buffer.extend_from_slice(&NO_RECORD);
    writer.flush().await?;
    Err(io::Error::other(error))
}
