//! actix-web: `serve ADDRESS | calls CASE`.
//!
//! Its `Logger` sends its lines to the `log` crate; here they go to `tracing-appender`, without a prefix.

use std::fmt::Write as _;
use std::io::Write as _;

use actix_web::body::{self, MessageBody};
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::middleware::{Compress, DefaultHeaders, Logger};
use actix_web::{App, Error, HttpMessage as _, HttpResponse, HttpServer, Scope, test, web};
use stack::{HEADERS, MISSING, RESOURCES, TEXT};
use tracing_appender::non_blocking::NonBlocking;

struct Appender(NonBlocking);

impl log::Log for Appender {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut line = String::with_capacity(256);
        let _ = writeln!(line, "{}", record.args());
        let _ = self.0.clone().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

fn api() -> Scope {
    RESOURCES
        .iter()
        .fold(web::scope("/api"), |scope, resource| {
            scope
                .route(
                    &format!("/{resource}"),
                    web::get().to(move || async move { *resource }),
                )
                .route(
                    &format!("/{resource}/{{id}}"),
                    web::get().to(move |id: web::Path<String>| async move {
                        stack::one(resource, id.as_str())
                    }),
                )
        })
}

fn app(
    data: web::Bytes,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let headers = HEADERS
        .iter()
        .fold(DefaultHeaders::new(), |headers, header| {
            headers.add(*header)
        });
    App::new()
        .app_data(web::Data::new(data))
        .wrap(Compress::default())
        .wrap(headers)
        .wrap(Logger::new(
            r#"%a - - %t "%r" %s %b "%{Referer}i" "%{User-Agent}i""#,
        ))
        .route("/", web::get().to(async || TEXT))
        .route(
            "/users/{id}",
            web::get().to(async |id: web::Path<String>| stack::user(&id)),
        )
        .route(
            "/data",
            web::get().to(async |data: web::Data<web::Bytes>| {
                let json = (CONTENT_TYPE, "application/json");
                HttpResponse::Ok()
                    .insert_header(json)
                    .body(web::Bytes::clone(&data))
            }),
        )
        .service(api())
        .default_service(web::to(async || (MISSING, StatusCode::NOT_FOUND)))
}

fn calls() {
    let runtime = actix_web::rt::Runtime::new().expect("a runtime");
    let data = web::Bytes::from(stack::data());
    let service = runtime.block_on(test::init_service(app(data)));
    let peer = stack::PEER.parse().expect("an address");
    stack::measure(|case, is_asked| {
        let request = test::TestRequest::get().uri(case.path).peer_addr(peer);
        let host = ("host", "localhost:8000");
        let request = std::iter::once(&host)
            .chain(case.headers)
            .fold(request, |request, header| request.insert_header(*header))
            .to_request();
        if !is_asked {
            return (0, usize::from(request.headers().is_empty()));
        }
        runtime.block_on(async {
            let response = test::call_service(&service, request).await;
            let status = response.status().as_u16();
            let bytes = body::to_bytes(response.into_body()).await;
            let bytes = bytes.unwrap_or_else(|_| panic!("no failure"));
            (status, bytes.len())
        })
    });
}

fn main() {
    let (appender, _guard) = tracing_appender::non_blocking(std::io::sink());
    log::set_boxed_logger(Box::new(Appender(appender))).expect("the only one");
    log::set_max_level(log::LevelFilter::Info);
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("calls") {
        return calls();
    }
    let address = arguments.next().expect("an address");
    let data = web::Bytes::from(stack::data());
    let served = actix_web::rt::System::new().block_on(async {
        HttpServer::new(move || app(data.clone()))
            .workers(1)
            .bind(address)
            .expect("a free address")
            .run()
            .await
    });
    served.expect("no failure");
}
