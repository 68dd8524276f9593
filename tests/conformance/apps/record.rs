//! The record that an application makes of a request, with the keys of `app_saw`.

use std::collections::BTreeMap;

use enfilade::middleware::{OriginalMethod, RequestIdValue};
use enfilade::{Application, Body, HttpError, IntoResponse, Request, path};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::sets::Sets;
use crate::observed::Recorder;

/// More than any case sends.
const BODY_LIMIT: usize = 64 << 20;

/// The treatment of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is not read.
    Left,
    /// It is read for the application; a failure is the response.
    Whole,
    /// It is read for the application, which gets [`Unread`] if that failed.
    WholeOrError,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread;

/// Records every request, then calls `app`.
pub(super) fn recording(
    app: Application,
    reading: Reading,
    sets: Sets,
    label: Option<&str>,
    recorder: &Recorder,
) -> Application {
    let (label, recorder) = (label.map(str::to_owned), recorder.clone());
    Application::new(move |mut request: Request| {
        recorder.lock().called.push(label.clone());
        let mut saw = describe(&request);
        saw["app"] = json!(label);
        let (app, recorder, sets) = (app.clone(), recorder.clone(), sets.clone());
        if reading == Reading::Left {
            recorder.lock().saw.push(saw);
            sets.apply(&mut request);
            return app.call(request);
        }
        enfilade::Reply::from_future(async move {
            match read(request.take_body()).await {
                Ok((content, trailers)) => {
                    saw["body"] = json!(String::from_utf8_lossy(&content));
                    saw["body_length"] = json!(content.len());
                    saw["trailers"] = json!(list(&trailers));
                    saw["body_error"] = Value::Null;
                    *request.body_mut() = content.into();
                }
                Err(error) if reading == Reading::Whole => {
                    return HttpError::from(error).into_response();
                }
                Err(error) => {
                    saw["body_error"] = json!(error.to_string());
                    request.extensions_mut().insert(Unread);
                }
            }
            recorder.lock().saw.push(saw);
            sets.apply(&mut request);
            app.call(request).await
        })
    })
}

async fn read(mut body: Body) -> Result<(Vec<u8>, HeaderMap), enfilade::BodyError> {
    let (mut content, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if content.len() + data.len() > BODY_LIMIT => {
                return Err(enfilade::BodyError::too_large());
            }
            Ok(data) => content.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok((content, trailers))
}

/// Returns the head of a request with the keys of the cases.
fn describe(request: &Request) -> Value {
    let environ = request.environ();
    let peer = request.connection().peer();
    let cgi: BTreeMap<_, _> = environ.iter().collect();
    json!({
        "method": request.method().as_str(),
        "original_method": request.extensions().get::<OriginalMethod>().map(|sent| sent.0.as_str()),
        "target": request.uri().to_string(),
        "version": format!("{:?}", request.version()),
        "script_name": environ.get("SCRIPT_NAME"),
        "path_info": environ.get("PATH_INFO"),
        "path_info_bytes_hex": hexadecimal(&path::decode_bytes(request.path())),
        "query": environ.get("QUERY_STRING"),
        "scheme": environ.get("wsgi.url_scheme"),
        "host": request.host(),
        "port": request.port(),
        "remote_addr": environ.get("REMOTE_ADDR"),
        "original_remote_addr": peer.map(|peer| peer.ip().to_string()),
        "header_lines": list(request.headers()),
        "header_bytes": header_bytes(request.headers()),
        "cgi": cgi,
        "environment": environment(),
        "request_id": request.extensions().get().map(RequestIdValue::as_str),
    })
}

/// Returns the variables of this process, which a case may set.
fn environment() -> BTreeMap<String, String> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os();
    variables
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

pub(crate) fn list(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let line = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), text(value));
    headers.iter().map(line).collect()
}

fn header_bytes(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), hexadecimal(value.as_bytes())))
        .collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
