//! The wrapper: decides for each response, and compresses it.

use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::headers::{has_token, vary_add};
use enfilade_core::{
    Application, Body, Description, HttpError, IntoResponse, OptionValue, Reply, Request, Response,
    Wrapper,
};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LENGTH, IF_MATCH, IF_NONE_MATCH};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::pool::EncoderPool;
use super::stream::CompressedBody;
use super::{Compression, Etags, etag, policy};
use crate::content::coding::{Coding, Negotiated, negotiate};
use crate::shared::header_values::HeaderValues;

/// Content in memory from this size on is compressed on another thread: at this size gzip takes some 300 µs, which
/// would delay other requests on the event loop, and the handover takes 12 to 30 µs.
const OFFLOAD_FROM: usize = 64 * 1024;

/// The headers of a request that affect compression, as received: most responses are not compressed and need no more.
struct AcceptedEncodings {
    values: HeaderValues,
    is_head: bool,
    /// The client's `If-None-Match`, if it has one, and the coding of the future response.
    conditions: Option<Box<(HeaderMap, Coding)>>,
}

/// The values of `Accept-Encoding`; none if `Cache-Control` forbids all codings.
fn accepted_encodings(headers: &HeaderMap) -> HeaderValues {
    let values = HeaderValues::of(headers, &ACCEPT_ENCODING);
    // Each lookup in the map costs as much as everything else here: search for the token only if the header exists.
    let is_forbidden = !values.as_slice().is_empty()
        && headers.contains_key(CACHE_CONTROL)
        && has_token(headers, &CACHE_CONTROL, "no-transform");
    if is_forbidden {
        HeaderValues::None
    } else {
        values
    }
}

/// The client accepts neither an available coding nor plain content.
struct NotAcceptable;

/// The state of the wrapper.
pub(super) struct Encoders {
    pub(super) options: Compression,
    /// One for each coding, in the order of the codings.
    pub(super) pools: Vec<Arc<EncoderPool>>,
    /// Names of the codings, in the order of the codings.
    pub(super) names: Vec<&'static str>,
}

impl Wrapper for Encoders {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let Ok(accepted) = self.read(&mut request) else {
            return Reply::new(not_acceptable());
        };
        let mut reply = inner.call(request);
        // Most responses are not affected: they are not even moved.
        let is_done = |response| !self.is_concerned(response);
        if !reply.as_ready().is_some_and(is_done) {
            let encoders = self.clone();
            reply = reply.then(move |response| encoders.compress_response(accepted, response));
        }
        reply
    }

    fn describe(&self) -> Description {
        let coding = |pool: &Arc<EncoderPool>| format!("{} {}", pool.coding().name(), pool.level());
        let codings = self.pools.iter().map(coding);
        Description::new("Compression")
            .option("codings", codings.collect::<OptionValue>())
            .option("min_size", OptionValue::size(self.options.min_size))
    }
}

impl Encoders {
    /// Reads what the client accepts, and restores its conditions to the application's tags.
    fn read(&self, request: &mut Request) -> Result<AcceptedEncodings, NotAcceptable> {
        let values = accepted_encodings(request.headers());
        if self.options.strict
            && negotiate(request.headers().get_all(ACCEPT_ENCODING), &self.names)
                == Negotiated::NotAcceptable
        {
            return Err(NotAcceptable);
        }
        let conditions = self.read_conditions(&values, request);
        Ok(AcceptedEncodings {
            values,
            is_head: request.method() == Method::HEAD,
            conditions,
        })
    }

    /// Reads the conditions, and restores them to the application's tags if tags name the coding.
    fn read_conditions(
        &self,
        values: &HeaderValues,
        request: &mut Request,
    ) -> Option<Box<(HeaderMap, Coding)>> {
        let tags = HeaderValues::of(request.headers(), &IF_NONE_MATCH);
        let is_restored = self.options.etags == Etags::PerCoding
            && (!tags.as_slice().is_empty() || request.headers().contains_key(IF_MATCH));
        if tags.as_slice().is_empty() && !is_restored {
            return None;
        }
        let chosen = self.choose(values).map(|pool| pool.coding());
        if is_restored {
            etag::restore_conditions(request.headers_mut(), chosen, &self.options.codings);
        }
        let before = tags.to_headers(&IF_NONE_MATCH);
        chosen.map(|coding| Box::new((before, coding)))
    }

    /// Returns the coding that the client prefers.
    fn choose(&self, values: &HeaderValues) -> Option<&Arc<EncoderPool>> {
        match negotiate(values.as_slice(), &self.names) {
            Negotiated::Coding(name) => {
                let mut pools = self.pools.iter();
                pools.find(|pool| pool.coding().name() == name)
            }
            Negotiated::Identity | Negotiated::NotAcceptable => None,
        }
    }

    /// Whether the response could be compressed, or stands for one that could.
    fn is_concerned(&self, response: &Response) -> bool {
        let options = &self.options;
        options.is_worth_compressing(response)
            || policy::stands_for_compressed(response, options.min_size, &*options.predicate)
    }

    /// Compresses the response if possible and if the client accepts it.
    fn compress_response(&self, accepted: AcceptedEncodings, mut response: Response) -> Reply {
        if !self.is_concerned(&response) {
            return response.into();
        }
        vary_add(response.headers_mut(), &ACCEPT_ENCODING);
        if response.status() == StatusCode::NOT_MODIFIED
            && let Some(conditions) = &accepted.conditions
        {
            let (before, coding) = &**conditions;
            let changed = |tag: &HeaderValue| self.options.etags.changed(tag, *coding);
            etag::mark_not_modified(response.headers_mut(), before, changed);
        }
        match self.choose(&accepted.values) {
            Some(pool) if self.options.is_worth_compressing(&response) => {
                self.compress(pool, accepted.is_head, response)
            }
            _ => response.into(),
        }
    }

    fn compress(&self, pool: &Arc<EncoderPool>, is_head: bool, response: Response) -> Reply {
        let (mut parts, body) = response.into_parts();
        let whole = if is_head {
            Err(body)
        } else {
            body.try_into_bytes()
        };
        match whole {
            Ok(content) => self.compress_whole(pool, parts, content),
            Err(stream) => {
                policy::mark_compressed(&mut parts.headers, pool.coding(), self.options.etags);
                let compressed = CompressedBody::new(stream, pool.clone(), self.options.flush);
                Response::from_parts(parts, Body::new(compressed)).into()
            }
        }
    }

    /// Compresses content that is completely in memory, or finds it in the memo.
    fn compress_whole(&self, pool: &Arc<EncoderPool>, parts: Parts, content: Bytes) -> Reply {
        let head = ResponseHead {
            parts,
            coding: pool.coding(),
            etags: self.options.etags,
        };
        let length = content.len();
        let missing = match self
            .options
            .memo
            .as_ref()
            .map(|memo| memo.find(pool, &content))
        {
            Some(Ok(compressed)) => return head.with(compressed).into(),
            Some(Err(missing)) => Some(missing),
            None => None,
        };
        let pool = pool.clone();
        let compress = move || {
            let compressed = pool.encode(&content).map(Bytes::from);
            if let (Ok(compressed), Some(missing)) = (&compressed, missing) {
                missing.keep(&content, compressed);
            }
            // If no encoder can be made, plain content is better than none.
            compressed.map_err(|_| content)
        };
        if length < OFFLOAD_FROM {
            return head.with_result(compress()).into();
        }
        Reply::from_future(async move { head.with_result(blocking::unblock(compress).await) })
    }
}

/// The head of a response whose content is compressed as a whole.
struct ResponseHead {
    parts: Parts,
    coding: Coding,
    etags: Etags,
}

impl ResponseHead {
    fn with(mut self, compressed: Bytes) -> Response {
        policy::mark_compressed(&mut self.parts.headers, self.coding, self.etags);
        self.parts
            .headers
            .insert(CONTENT_LENGTH, compressed.len().into());
        Response::from_parts(self.parts, compressed.into())
    }

    /// Adds the compressed content, or the plain one.
    fn with_result(self, compressed: Result<Bytes, Bytes>) -> Response {
        match compressed {
            Ok(compressed) => self.with(compressed),
            Err(plain) => Response::from_parts(self.parts, plain.into()),
        }
    }
}

fn not_acceptable() -> Response {
    let mut response = HttpError::new(StatusCode::NOT_ACCEPTABLE).into_response();
    vary_add(response.headers_mut(), &ACCEPT_ENCODING);
    response
}
