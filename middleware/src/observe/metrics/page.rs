//! The numbers as text, for collectors.

use std::sync::{Arc, RwLock};

use enfilade_core::headers::{members, vary_add};
use enfilade_core::{Handler, HttpError, IntoResponse, Reply, Request, Response, unpoisoned};
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::collector::StoreCollector;
use super::plain::plain;
use super::store::Store;

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The maximum number of members of `Accept` that are read; the rest is ignored.
const MAX_MEMBERS: usize = 64;

/// The application that [`Metrics::application`](super::Metrics::application) returns.
pub(super) struct MetricsPage {
    pub(super) store: Arc<Store>,
    pub(super) registry: Arc<RwLock<Registry>>,
}

impl Handler for MetricsPage {
    fn call(&self, request: Request) -> Reply {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let allow = HeaderValue::from_static("GET, HEAD");
            let error = HttpError::new(StatusCode::METHOD_NOT_ALLOWED);
            return Reply::new(error.header(ALLOW, allow));
        }
        let takes_openmetrics = takes_openmetrics(request.headers());
        let (store, registry) = (self.store.clone(), self.registry.clone());
        // The text may be long, and foreign collectors may block.
        let write = move || page(store, &registry, takes_openmetrics);
        Reply::from_future(async move { blocking::unblock(write).await })
    }
}

fn page(
    store: Arc<Store>,
    registry: &RwLock<Registry>,
    takes_openmetrics: bool,
) -> Result<Response, HttpError> {
    let mut own = Registry::default();
    own.register_collector(Box::new(StoreCollector(store)));
    let mut text = String::new();
    text::encode_registry(&mut text, &own)?;
    // A panic during registration leaves a metric either registered or not, so a poisoned lock is used as it is.
    let others = unpoisoned(registry.read());
    text::encode_registry(&mut text, &others)?;
    drop(others);
    text::encode_eof(&mut text)?;
    let (text, family) = match takes_openmetrics {
        true => (text, OPENMETRICS),
        false => (plain(&text), PLAIN),
    };
    let mut response = text.into_response();
    response.headers_mut().insert(CONTENT_TYPE, family);
    vary_add(response.headers_mut(), &ACCEPT);
    Ok(response)
}

/// Whether the client requests OpenMetrics by name, and does not prefer plain text.
fn takes_openmetrics(headers: &HeaderMap) -> bool {
    let weight = |media_type: &str| {
        let members = members(headers, &ACCEPT).take(MAX_MEMBERS);
        let weights = members.filter_map(|member| weight(member, media_type));
        weights.fold(0.0, f32::max)
    };
    let openmetrics = weight("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= weight("text/plain")
}

/// The weight of a member that names the type (RFC 9110, section 12.4.2).
fn weight(member: &str, media_type: &str) -> Option<f32> {
    let mut parts = member.split(';').map(str::trim);
    let is_named = parts.next()?.eq_ignore_ascii_case(media_type);
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |weight| weight.parse().ok());
    weight.filter(|weight| is_named && (0.0..=1.0).contains(weight))
}
