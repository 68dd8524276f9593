//! tower-http's `CompressionLayer` around a service, with its defaults: `case [none]`.

use std::convert::Infallible;

use axum::body::Body;
use coding::Content;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneService};
use tower_http::compression::CompressionLayer;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let content = Content::of(&arguments.next().expect("a case"));
    let option = arguments.next();
    let response = move |_: Request<Body>| {
        let body = match content.is_stream {
            true => {
                let chunks = content.chunks().map(Ok::<_, Infallible>);
                Body::from_stream(futures_util::stream::iter(chunks))
            }
            false => content.bytes.clone().into(),
        };
        let mut response = Response::new(body);
        let value = HeaderValue::from_static(content.media_type);
        response.headers_mut().insert("content-type", value);
        async { Ok::<_, Infallible>(response) }
    };
    let service = service_fn(response);
    let mut service = match option.as_deref() {
        Some("none") => BoxCloneService::new(service),
        _ => {
            let coded = CompressionLayer::new().layer(service);
            BoxCloneService::new(coded.map_response(|response| response.map(Body::new)))
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    coding::measure(|| {
        let mut request = Request::new(Body::empty());
        for (name, value) in coding::headers() {
            request
                .headers_mut()
                .insert(*name, HeaderValue::from_static(value));
        }
        runtime.block_on(async {
            let response = service
                .ready()
                .await
                .expect("ready")
                .call(request)
                .await
                .expect("a response");
            response
                .into_body()
                .collect()
                .await
                .expect("no failure")
                .to_bytes()
                .len()
        })
    });
}
