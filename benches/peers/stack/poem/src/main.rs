//! poem: `serve ADDRESS`.

use std::io::Write as _;

use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::error::NotFoundError;
use poem::http::StatusCode;
use poem::listener::TcpListener;
use poem::middleware::{Compression, SetHeader};
use poem::web::{CompressionAlgo, Data, Path};
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route, Server, get, handler};
use stack::{HEADERS, MISSING, RESOURCES, TEXT};
use stack_line::Kept;
use tracing_appender::non_blocking::NonBlocking;

#[handler]
async fn root() -> &'static str {
    TEXT
}

#[handler]
async fn user(Path(id): Path<String>) -> String {
    stack::user(&id)
}

#[handler]
async fn data(Data(data): Data<&Bytes>) -> Response {
    Response::builder()
        .content_type("application/json")
        .body(data.clone())
}

async fn missing(_: NotFoundError) -> impl IntoResponse {
    MISSING.with_status(StatusCode::NOT_FOUND)
}

async fn log<E: Endpoint>(
    endpoint: &E,
    request: Request,
    appender: &NonBlocking,
) -> poem::Result<Response> {
    let client = request.remote_addr().as_socket_addr();
    let kept = Kept::new(
        client.map(|peer| peer.ip().to_string()).unwrap_or_default(),
        request.method(),
        request.uri(),
        request.version(),
        request.headers(),
    );
    let response = endpoint.get_response(request).await;
    let status = response.status().as_u16();
    let bytes = response.header("content-length");
    let bytes = bytes.and_then(|bytes| bytes.parse().ok());
    let line = kept.line(status, bytes.unwrap_or_default());
    let _ = appender.clone().write_all(line.as_bytes());
    Ok(response)
}

fn api() -> Route {
    RESOURCES.iter().fold(Route::new(), |route, resource| {
        let list = make_sync(move |_| *resource);
        let one = make_sync(move |request: Request| {
            request
                .path_params::<String>()
                .map(|id| stack::one(resource, &id))
        });
        route
            .at(format!("/{resource}"), get(list))
            .at(format!("/{resource}/:id"), get(one))
    })
}

fn app(appender: NonBlocking) -> impl Endpoint {
    let headers = HEADERS
        .iter()
        .fold(SetHeader::new(), |headers, (name, value)| {
            headers.overriding(*name, *value)
        });
    Route::new()
        .at("/", get(root))
        .at("/users/:id", get(user))
        .at("/data", get(data.data(Bytes::from(stack::data()))))
        .nest("/api", api())
        .catch_error(missing)
        .with(Compression::new().algorithms([CompressionAlgo::GZIP]))
        .with(headers)
        .around(move |endpoint, request| {
            let appender = appender.clone();
            async move { log(&*endpoint, request, &appender).await }
        })
}

fn main() {
    let address = std::env::args().nth(2).expect("an address");
    let (appender, _guard) = tracing_appender::non_blocking(std::io::sink());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let served = runtime.block_on(Server::new(TcpListener::bind(address)).run(app(appender)));
    served.expect("no failure");
}
