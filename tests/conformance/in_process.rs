//! In process, through the rules of a gateway.

use enfilade::{Application, Request};
use enfilade_testing::{Client, RequestBuilder};
use http::Uri;

use crate::apps;
use crate::observed::{Log, ObservedResponse, Recorder};
use crate::request::Wanted;
use crate::transport::{Pending, Session, Transport, mentions};
use crate::verdict::{Check, unsupported};

pub(crate) const TRANSPORT: Transport = Transport {
    name: "in process",
    protocol: "HTTP/1.1",
    open,
    cannot: &[
        (
            |said| said.case["config"]["server"] == "real socket",
            "it is about the server itself",
        ),
        (
            |said| said.any_request(|request| Uri::try_from(&request.target).is_err()),
            "the request's type takes no such target",
        ),
        (
            |said| said.any_request(|request| request.then.is_some()),
            "there is no connection that a response could spoil",
        ),
        (
            |said| mentions(said.case, "interim_100"),
            "no interim response reaches a client in this process",
        ),
    ],
};

struct InProcess {
    client: Client,
    recorder: Recorder,
}

fn open(app: Application, recorder: &Recorder) -> Check<Box<dyn Session>> {
    Ok(Box::new(InProcess {
        client: Client::new(app),
        recorder: recorder.clone(),
    }))
}

impl Session for InProcess {
    fn send(&mut self, wanted: &Wanted) -> Check<ObservedResponse> {
        let builder = prepare(&self.client, wanted)?;
        pollster::block_on(send(builder, wanted.abort, &self.recorder))
    }

    fn start(&mut self, wanted: &Wanted) -> Check<Pending> {
        let builder = prepare(&self.client, wanted)?;
        let (abort, recorder) = (wanted.abort, self.recorder.clone());
        Pending::in_thread(move || pollster::block_on(send(builder, abort, &recorder)))
    }

    fn send_after(&mut self, _: &Wanted) -> Check<Option<ObservedResponse>> {
        Ok(None)
    }

    fn panics(&self) -> Log {
        let thread = std::thread::current();
        thread
            .name()
            .map_or_else(Log::default, crate::panics::of_thread)
    }
}

fn prepare(client: &Client, wanted: &Wanted) -> Check<RequestBuilder> {
    let uri = Uri::try_from(&wanted.target);
    let uri = uri.or_else(|error| unsupported(format!("the target in this process: {error}")))?;
    let mut builder = client
        .prepared(Request::new(wanted.method.clone(), uri))
        .version(wanted.version)
        .body(wanted.content.body());
    for (name, value) in &wanted.headers {
        builder = builder.header(name, wanted.bytes(value));
    }
    Ok(builder)
}

/// Reads the response to its end, or to its first bytes and drops it.
async fn send(
    builder: RequestBuilder,
    abort: bool,
    recorder: &Recorder,
) -> Check<ObservedResponse> {
    let (head, mut body) = builder.send_head_async().await.into_parts();
    let mut response = ObservedResponse {
        status: head.status.as_u16(),
        headers: apps::list(&head.headers),
        ..ObservedResponse::default()
    };
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => {
                if response.body.is_empty() {
                    response.first_before_end = recorder.lock().sources_ended == 0;
                }
                response.body.extend_from_slice(&data);
            }
            Ok(Err(frame)) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                response.trailers = apps::list(&trailers);
            }
            Err(error) => response.broken = Some(error.to_string()),
        }
        if abort {
            break;
        }
    }
    Ok(response)
}
