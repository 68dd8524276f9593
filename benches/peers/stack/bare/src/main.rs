//! hyper without a toolkit, which sends the same bytes but neither compresses nor logs: `serve ADDRESS`.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use stack::{HEADERS, MISSING, TEXT};
use tokio::net::TcpListener;

fn response(request: &Request<Incoming>, data: &Bytes) -> Response<Full<Bytes>> {
    const TEXT_TYPE: &str = "text/plain; charset=utf-8";
    let path = request.uri().path();
    let (status, media_type, content) = match path {
        "/" => (200, TEXT_TYPE, Bytes::from_static(TEXT.as_bytes())),
        "/data" => (200, "application/json", data.clone()),
        _ => {
            let own = match path.strip_prefix("/users/") {
                Some(id) => Some(stack::user(id)),
                None => path
                    .strip_prefix("/api/")
                    .and_then(|path| path.split_once('/'))
                    .map(|(resource, id)| stack::one(resource, id)),
            };
            match own {
                Some(text) => (200, TEXT_TYPE, Bytes::from(text)),
                None => (404, TEXT_TYPE, Bytes::from_static(MISSING.as_bytes())),
            }
        }
    };
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    for (name, value) in HEADERS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}

async fn serve(address: &str) {
    let listener = TcpListener::bind(address).await.expect("a free address");
    let data = Bytes::from(stack::data());
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let data = data.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let response = response(&request, &data);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that disconnects is not an error of the server.
        tokio::spawn(async move { drop(connection.await) });
    }
}

fn main() {
    let address = std::env::args().nth(2).expect("an address");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(serve(&address));
}
