//! axum with tower-http's `SetResponseHeaderLayer`: `layer | builder` and a depth; `builder` has a type for each depth.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::routing::get;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::set_header::SetResponseHeaderLayer;

fn header(number: usize) -> SetResponseHeaderLayer<HeaderValue> {
    let name = HeaderName::try_from(layers::name(number)).expect("a name");
    SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(layers::VALUE))
}

/// A `ServiceBuilder` of as many layers as numbers.
macro_rules! builder {
    ($builder:expr;) => { $builder };
    ($builder:expr; $number:literal $($rest:literal)*) => {
        builder!($builder.layer(header($number)); $($rest)*)
    };
}

fn built(router: Router, depth: usize) -> Router {
    let builder = ServiceBuilder::new();
    match depth {
        0 => router,
        1 => router.layer(builder!(builder; 0)),
        5 => router.layer(builder!(builder; 0 1 2 3 4)),
        10 => router.layer(builder!(builder; 0 1 2 3 4 5 6 7 8 9)),
        20 => router.layer(builder!(builder; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19)),
        _ => panic!("no such depth: {depth}"),
    }
}

fn main() {
    let (kind, depth) = layers::arguments();
    let router = Router::new().route("/", get(async || layers::TEXT));
    let mut router = match &*kind {
        "layer" => (0..depth).fold(router, |router, number| router.layer(header(number))),
        "builder" => built(router, depth),
        _ => panic!("no such kind: {kind}"),
    };
    let mut service = router.as_service::<Body>();
    layers::measure(depth, || {
        pollster::block_on(async {
            let request = Request::new(Body::empty());
            let service = service.ready().await.expect("ready");
            let response = service.call(request).await.expect("a response");
            // Without its own two headers, of the media type and the length.
            response.headers().len() - 2
        })
    });
}
