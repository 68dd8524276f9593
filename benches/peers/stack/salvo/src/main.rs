//! salvo: `serve ADDRESS`.

use std::io::Write as _;

use bytes::Bytes;
use salvo::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use salvo::prelude::*;
use stack::{HEADERS, MISSING, RESOURCES, TEXT};
use stack_line::Kept;
use tracing_appender::non_blocking::NonBlocking;

struct Log(NonBlocking);

#[handler]
impl Log {
    async fn handle(
        &self,
        request: &mut Request,
        depot: &mut Depot,
        response: &mut Response,
        flow: &mut FlowCtrl,
    ) {
        let client = request.remote_addr().ip();
        let client = client.map(|ip| ip.to_string()).unwrap_or_default();
        let kept = Kept::new(
            client,
            request.method(),
            request.uri(),
            request.version(),
            request.headers(),
        );
        flow.call_next(request, depot, response).await;
        let status = response.status_code.unwrap_or(StatusCode::OK).as_u16();
        let line = kept.line(status, response.body.size().unwrap_or_default());
        let _ = self.0.clone().write_all(line.as_bytes());
    }
}

#[handler]
async fn headers(response: &mut Response) {
    for (name, value) in HEADERS {
        response.headers_mut().insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
}

#[handler]
async fn root() -> &'static str {
    TEXT
}

#[handler]
async fn user(request: &mut Request) -> String {
    stack::user(request.param("id").unwrap_or_default())
}

#[handler]
async fn missing(response: &mut Response) {
    response.status_code(StatusCode::NOT_FOUND);
    response.render(MISSING);
}

struct Data(Bytes);

#[handler]
impl Data {
    async fn handle(&self, response: &mut Response) {
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response.body(self.0.clone());
    }
}

struct List(&'static str);

#[handler]
impl List {
    async fn handle(&self) -> &'static str {
        self.0
    }
}

struct One(&'static str);

#[handler]
impl One {
    async fn handle(&self, request: &mut Request) -> String {
        stack::one(self.0, request.param("id").unwrap_or_default())
    }
}

fn service(appender: NonBlocking) -> Service {
    let api = RESOURCES
        .iter()
        .fold(Router::with_path("api"), |router, resource| {
            router
                .push(Router::with_path(*resource).get(List(resource)))
                .push(Router::with_path(format!("{resource}/{{id}}")).get(One(resource)))
        });
    let router = Router::new()
        .get(root)
        .push(Router::with_path("users/{id}").get(user))
        .push(Router::with_path("data").get(Data(stack::data().into())))
        .push(api)
        .push(Router::with_path("{**rest}").goal(missing));
    Service::new(router)
        .hoop(Log(appender))
        .hoop(headers)
        .hoop(Compression::new())
}

fn main() {
    let address = std::env::args().nth(2).expect("an address");
    let (appender, _guard) = tracing_appender::non_blocking(std::io::sink());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let acceptor = TcpListener::new(address).bind().await;
        Server::new(acceptor).serve(service(appender)).await;
    });
}
