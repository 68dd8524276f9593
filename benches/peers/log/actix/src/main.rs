//! actix-web's `Logger` with the combined format, or a format that looks like JSON (it escapes nothing):
//! `none | combined | json`.
//!
//! It sends its lines to the `log` crate; here they go to `tracing-appender`, without a prefix.

use std::fmt::Write as _;
use std::io::Write as _;

use actix_web::middleware::{Condition, Logger};
use actix_web::{App, body, test, web};
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

fn main() {
    let (appender, _guard) = tracing_appender::non_blocking(std::io::sink());
    log::set_boxed_logger(Box::new(Appender(appender))).expect("the only one");
    log::set_max_level(log::LevelFilter::Info);
    let format = std::env::args().nth(1).filter(|format| format != "none");
    let is_logged = format.is_some();
    let logger = Logger::new(match format.as_deref() {
        Some("json") => concat!(
            r#"{"time":"%t","client":"%a","request":"%r","host":"%{Host}i","status":%s,"bytes":%b,"total_ms":%D,"#,
            r#""referer":"%{Referer}i","user_agent":"%{User-Agent}i","id":"%{X-Request-Id}i"}"#
        ),
        _ => r#"%a - - %t "%r" %s %b "%{Referer}i" "%{User-Agent}i""#,
    });
    let runtime = actix_web::rt::Runtime::new().expect("a runtime");
    let app = App::new()
        .wrap(Condition::new(is_logged, logger))
        .route("/library/shelves/3", web::get().to(async || logging::TEXT));
    let service = runtime.block_on(test::init_service(app));
    let peer = logging::PEER.parse().expect("an address");
    logging::measure(|| {
        let request = test::TestRequest::get()
            .uri("/library/shelves/3?page=2")
            .peer_addr(peer);
        let request = logging::HEADERS
            .iter()
            .fold(request, |request, header| request.insert_header(*header));
        let request = request.to_request();
        runtime.block_on(async {
            let response = test::call_service(&service, request).await;
            let bytes = body::to_bytes(response.into_body()).await;
            bytes.unwrap_or_else(|_| panic!("no failure")).len()
        })
    });
}
