//! Enfilade: `serve ADDRESS | calls CASE | memo ADDRESS`.

use bytes::Bytes;
use enfilade::middleware::{AccessLog, Compression, Headers, NotFound, Router};
use enfilade::{Application, Connection, Request, Server};
use http::{HeaderName, HeaderValue, StatusCode};
use stack::{Case, HEADERS, MISSING, RESOURCES, TEXT};

fn api() -> Router {
    RESOURCES.iter().fold(Router::new(), |router, resource| {
        router
            .get(&format!("/{resource}"), move |_: Request| *resource)
            .get(&format!("/{resource}/{{id}}"), move |request: Request| {
                stack::one(resource, request.params().get("id").unwrap_or_default())
            })
    })
}

fn app(compression: Compression) -> Application {
    let data = Bytes::from(stack::data());
    let router = Router::new()
        .get("/", |_: Request| TEXT)
        .get("/users/{id}", |request: Request| {
            stack::user(request.params().get("id").unwrap_or_default())
        })
        .get("/data", move |_: Request| {
            ([("content-type", "application/json")], data.clone())
        })
        .nest("/api", api());
    let missing = Application::new(|_: Request| (StatusCode::NOT_FOUND, MISSING));
    let headers = HEADERS
        .iter()
        .fold(Headers::new(), |headers, (name, value)| {
            headers.set(*name, *value).expect("a name and a value")
        });
    let app = router.build().expect("routes that differ");
    app.wrap(NotFound::new(missing))
        .wrap(compression)
        .wrap(headers)
        .wrap(AccessLog::combined().writer(std::io::sink()))
}

fn request(case: &Case, connection: &Connection) -> Request {
    let mut request = Request::get(case.path);
    request.set_connection(connection.clone());
    let host = ("host", "localhost:8000");
    for (name, value) in std::iter::once(&host).chain(case.headers) {
        let name = HeaderName::from_static(name);
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    request
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let of = |at: usize| arguments.get(at).map_or("", |text| text);
    match of(1) {
        "calls" => {
            let app = app(Compression::new());
            let connection =
                Connection::default().with_peer(stack::PEER.parse().expect("an address"));
            stack::measure(|case, is_asked| {
                let request = request(case, &connection);
                if !is_asked {
                    return (0, usize::from(request.version() == http::Version::HTTP_2));
                }
                pollster::block_on(async {
                    let response = app.call(request).await;
                    let status = response.status().as_u16();
                    let body = response.into_body().collect(usize::MAX).await;
                    (status, body.expect("no failure").len())
                })
            });
        }
        kind => {
            let compression = match kind {
                "memo" => Compression::new().memo(1 << 20),
                _ => Compression::new(),
            };
            let server = Server::bind(of(2)).expect("a free address");
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime");
            let served = runtime.block_on(server.serve(app(compression)));
            served.expect("no failure");
        }
    }
}
